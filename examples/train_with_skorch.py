"""skorch with an optimizer of Fallline: `python examples/train_with_skorch.py`.

The class goes in as `optimizer=`, its settings as `optimizer__...`, where a grid search finds them too. skorch makes
the groups itself, from patterns of parameter names.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from skorch import NeuralNetClassifier
from skorch.callbacks import GradientNormClipping, LRScheduler
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from fallline.optim import AdamW


class Net(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(64, 100), nn.LayerNorm(100), nn.GELU(), nn.Linear(100, 10))


def digits() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_digits(return_X_y=True)
    return (x / 16).astype(np.float32), y


def classifier(
    epochs: int = 8, kind: type[NeuralNetClassifier] = NeuralNetClassifier, **settings: Any
) -> NeuralNetClassifier:
    """A classifier as scikit-learn knows them."""
    return kind(
        Net,
        criterion=nn.CrossEntropyLoss,
        optimizer=AdamW,
        optimizer__weight_decay=0.05,
        optimizer__param_groups=[("*.bias", {"weight_decay": 0.0}), ("1.*", {"weight_decay": 0.0})],
        lr=3e-3,
        max_epochs=epochs,
        batch_size=32,
        train_split=None,
        callbacks=[GradientNormClipping(1.0), LRScheduler(CosineAnnealingLR, T_max=epochs)],
        **settings,
    )


if __name__ == "__main__":
    x, y = digits()
    found = classifier().fit(x[:1440], y[:1440])
    print(f"accuracy {found.score(x[1440:], y[1440:]):.3f}")
