"""The augmentation of a problem: a function or a text, told what it needs to know of the problem's data."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..augmentation import parse
from ..augmentation.step import fitted
from ..errors import InputError
from .metric import class_axis
from .seeds import seeded

if TYPE_CHECKING:
    from .problem import Problem

_SEEN = 1000
"""Training examples from which steps learn of the data, at most."""
_AT_ONCE = 100


def read(given: Any) -> Any:
    """The function that is meant, or None for none. Raises `InputError` for what is neither text nor function."""
    if given is None or (isinstance(given, str) and given.strip() == "none"):
        return None
    if isinstance(given, str):
        return parse(given)
    if not callable(given):
        raise InputError(
            f'augment must be a function of inputs and targets, or a text such as "flip"; it is {given!r}.'
        )
    return given


def fit(augment: Any, problem: Problem, model: nn.Module) -> Any:
    """The function with what its steps need to know of the data. Raises `InputError` for data that they do not take."""
    return fitted(augment, _Examples(problem, model))


class _Examples:
    """What steps may ask, found out when they do."""

    def __init__(self, problem: Problem, model: nn.Module) -> None:
        self._problem, self._model = problem, model

    @cached_property
    def x(self) -> Tensor:
        """Training inputs from all over the data."""
        train = self._problem.train
        few = torch.linspace(0, len(train) - 1, min(_SEEN, len(train)), dtype=torch.float64).round().long()
        with seeded(0):
            return torch.cat([x for x, _ in train.take(few).batches(_AT_ONCE, torch.device("cpu"))])

    @cached_property
    def classes(self) -> int | None:
        """How many classes the model scores, where targets are labels."""
        x, y = next(self._problem.train.batches(self._problem.batch_size, next(self._model.parameters()).device))
        if y.is_floating_point():
            return None
        self._model.eval()
        with torch.no_grad(), seeded(0):
            outputs = self._model(x)
        axis = class_axis(outputs, y) if isinstance(outputs, Tensor) else None
        return None if axis is None else outputs.shape[axis]
