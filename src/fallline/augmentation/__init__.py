"""Augmentation: changes of a training batch, (x, y) -> (x, y), composed for each problem.

    from fallline.augmentation import Compose, CutMix, Flip, RandomCrop

    augment = Compose(RandomCrop(padding=2), Flip(), CutMix(alpha=1.0, classes=10))
    problem = fallline.Problem(model, data, augment=augment)       # in training alone; the data stay as they are
    x, y = augment(x, y)                                            # in a loop of one's own

Pictures are (n, channels, height, width), of floating point. Each step draws from PyTorch's global generator, anew for
every example (mixtures: for every batch). Flips, crops and colours are kornia's, which must be installed for them.

A step is a class named in the `__all__` of a file of this folder; a new file is found by being here.
"""

from __future__ import annotations

from typing import Any

from ..found import named, public

STEPS: dict[str, Any] = public(__name__, __path__)
"""Name -> step, or what composes steps."""

__all__ = ["STEPS", *STEPS]


def __getattr__(name: str) -> Any:
    return named(__name__, STEPS, name)
