"""Augmentation: changes of a training batch, (x, y) -> (x, y), composed for each problem.

    from fallline.augmentation import Compose, CutMix, Flip, RandomCrop, parse

    augment = Compose(RandomCrop(padding=2), Flip(), CutMix(alpha=1.0, classes=10))
    augment = parse("crop(2) > flip > cutmix", classes=10)          # the same
    x, y = augment(x, y)                                            # in a loop of one's own
    problem = fallline.Problem(model, data, augment=augment)       # in training alone; the data stay as they are
    problem = fallline.Problem(model, data, augment="crop(2) > flip > cutmix")

Pictures are (n, channels, height, width), of floating point. Each step draws from PyTorch's global generator, anew for
every example (mixtures: for every batch). Flips, crops and colours are kornia's, which must be installed for them.

A `Problem` tells steps what they need to know of its data: the number of classes, the pictures' colours and range.
From the command line: `--augment "crop(2) > flip > cutmix"` of `fallline train`, `compare` and `ensemble`.

A step is a class named in the `__all__` of a file of this folder, with its name in texts given by `@step`; a new file
is found by being here.
"""

from __future__ import annotations

from typing import Any

from ..found import named as by_name
from ..found import public
from .named import NAMED
from .text import parse

STEPS: dict[str, Any] = public(__name__, __path__)
"""Name -> step, or what composes steps."""

__all__ = ["NAMED", "STEPS", "parse", *STEPS]


def __getattr__(name: str) -> Any:
    return by_name(__name__, STEPS, name)
