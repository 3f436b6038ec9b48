"""Fashion-MNIST: grey pictures of clothes.

Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747. The last 10,000 training pictures are the validation data.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ...augmentation import Flip
from ...models import mlp, resnet, squeezenet
from ..download import Published, fetch
from ..problem import Problem
from .registry import builtin

Array = np.ndarray[Any, Any]

FASHION_MNIST = Published(
    name="fashion_mnist",
    folders=("fashion-mnist", "fashion_mnist", "FashionMNIST/raw"),
    source="https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    files={
        "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
)


@builtin
def fashion_mnist(data: Path | None = None) -> Problem:
    """Grey pictures of clothes, 28x28 pixels, ten classes: 784-128-10 network, ReLU.

    Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747. The last 10,000 training pictures are the validation data.
    """
    return Problem(
        partial(mlp, 784, 128, 10), *_splits(data, flat=True), batch_size=128, epochs=5, name="fashion_mnist"
    )


@builtin
def fashion_mnist_mlp(data: Path | None = None) -> Problem:
    """Grey pictures of clothes, as `fashion_mnist`: 784-512-256-10, batch norm, dropout, flips, one-cycle schedule.

    Ioffe & Szegedy 2015, arXiv:1502.03167; Srivastava et al. 2014; Smith & Topin 2017, arXiv:1708.07120 (the schedule).
    """
    return Problem(
        _perceptron,
        *_splits(data),
        batch_size=128,
        epochs=15,
        augment=Flip(),
        schedule="one_cycle",
        name="fashion_mnist_mlp",
    )


@builtin
def fashion_mnist_resnet(data: Path | None = None) -> Problem:
    """Grey pictures of clothes, as `fashion_mnist`: ResNet-20, flips, one-cycle schedule.

    He et al. 2016, arXiv:1512.03385, section 4.2; Smith & Topin 2017, arXiv:1708.07120 (the schedule).
    """
    return Problem(
        partial(resnet, 20, classes=10, channels=1),
        *_splits(data),
        batch_size=64,
        epochs=5,
        augment=Flip(),
        schedule="one_cycle",
        name="fashion_mnist_resnet",
    )


@builtin
def fashion_mnist_squeezenet(data: Path | None = None) -> Problem:
    """Grey pictures of clothes, as `fashion_mnist`: SqueezeNet 1.1 for small pictures, flips, one-cycle schedule.

    Iandola et al. 2016, arXiv:1602.07360; Smith & Topin 2017, arXiv:1708.07120 (the schedule).
    """
    return Problem(
        partial(squeezenet, "1.1", classes=10, channels=1, stem="small", bypass="simple", dropout=0.2),
        *_splits(data),
        batch_size=64,
        epochs=10,
        augment=Flip(),
        schedule="one_cycle",
        name="fashion_mnist_squeezenet",
    )


def _perceptron(dropout: float = 0.3) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), mlp(784, 512, 256, 10, dropout=dropout, batch_norm=True))


def _splits(data: Path | None, flat: bool = False) -> tuple[tuple[Array, Array], ...]:
    """The pictures (n, 1, 28, 28), or (n, 784) if `flat`, less the mean over the deviation of the training pixels."""
    content = fetch(FASHION_MNIST, data)
    images, labels, test_images, test_labels = (_idx(content[name]) for name in FASHION_MNIST.files)
    shape = (-1, 784) if flat else (-1, 1, 28, 28)
    x = images.reshape(shape) / np.float32(255)
    mean, std = x[:50_000].mean(dtype=np.float64), x[:50_000].std(dtype=np.float64)
    x = (x - np.float32(mean)) / np.float32(std)
    x_test = (test_images.reshape(shape) / np.float32(255) - np.float32(mean)) / np.float32(std)
    return (x[:50_000], labels[:50_000]), (x[50_000:], labels[50_000:]), (x_test, test_labels)


def _idx(content: bytes) -> Array:
    """An array in the idx format: two zero bytes, the type, the number of axes, their lengths, the values."""
    axes = content[3]
    shape = np.frombuffer(content, ">u4", axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
