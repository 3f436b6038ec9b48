"""Augmentations from their text.

augmentation := step (">" step)*
step         := name ["(" [argument ("," argument)*] ")"]
argument     := [name "="] value
value        := number | word | "(" number ("," number)* ")"
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..errors import InputError, unknown
from ..reader import Reader, bound, like
from .named import NAMED
from .step import Compose, fitted

_EXAMPLE = 'such as "flip > crop(4)"'


def parse(text: str, x: Tensor | None = None, classes: int | None = None) -> Compose:
    """The steps that a text names, one after another: "flip > crop(4) > cutmix(1.0)".

    What steps need to know of the data, and the text does not give, is read off pictures `x` like those of training,
    (n, channels, height, width), and the number of `classes`; a `Problem` does this itself. Raises `InputError` for a
    text that is none, with the nearest names where one is unknown.
    """
    if not isinstance(text, str):
        raise InputError(f"augment must be a text, {_EXAMPLE}; it is a {type(text).__name__}.")
    reader = Reader(text, "augment")
    steps = reader.several(lambda: _step(reader), ">")
    reader.end("a > or nothing more")
    made: Compose = fitted(Compose(*steps), _Given(x, classes))
    return made


def _step(reader: Reader) -> Any:
    name = reader.take("name", f"the name of a step, {_EXAMPLE},")
    if name not in NAMED:
        raise unknown("augmentation", name, NAMED)
    step = NAMED[name]
    found = bound(name, step.call, list(step.defaults), reader.arguments(reader.value))
    return step.made(**{key: like(step.defaults[key], value, f"{key} of {name}") for key, (value,) in found.items()})


class _Given:
    """What is known of the data in a loop of one's own."""

    def __init__(self, x: Tensor | None, classes: int | None) -> None:
        self.x, self.classes = x, classes
