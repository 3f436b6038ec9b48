"""AlexNet, the network that SqueezeNet is measured against."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from ..layers.check import share, whole

__all__ = ["alexnet"]


def alexnet(classes: int = 1000, channels: int = 3, dropout: float = 0.5) -> nn.Sequential:
    """Five convolutions and three fully connected layers: (n, channels, height, width) -> (n, classes).

    Made for pictures of 224x224; any of 63x63 on will do, since the last pictures are averaged to 6x6. 61,100,840
    parameters at 1,000 classes. Source: Krizhevsky, Sutskever & Hinton 2012, in the one-column form of Krizhevsky 2014,
    arXiv:1404.5997, without the local response normalization. Raises `InputError` for counts below 1, and for a share
    dropped that is not below 1.
    """
    channels, classes, dropped = whole("channels", channels), whole("classes", classes), share("dropout", dropout)
    features = nn.Sequential(
        *(nn.Conv2d(channels, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
    )
    classifier = nn.Sequential(
        *(nn.Dropout(dropped), nn.Linear(256 * 6 * 6, 4096), nn.ReLU()),
        *(nn.Dropout(dropped), nn.Linear(4096, 4096), nn.ReLU()),
        nn.Linear(4096, classes),
    )
    return nn.Sequential(
        OrderedDict(features=features, pool=nn.AdaptiveAvgPool2d(6), flatten=nn.Flatten(), classifier=classifier)
    )
