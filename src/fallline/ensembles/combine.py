"""How the outputs of members become one: the mean of probabilities for classes, the mean of outputs otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError, unknown
from ..problems import Problem
from ..problems.metric import class_axis, ignored_label, loss_name

Change = Callable[[Tensor, int], Tensor]


@dataclass(frozen=True)
class Form:
    """What outputs are: how they become probabilities, how probabilities become such outputs again."""

    said: str
    probabilities: Change
    outputs: Change


def _same(values: Tensor, axis: int) -> Tensor:
    return values


def _log(p: Tensor, axis: int) -> Tensor:
    return p.clamp_min(torch.finfo(p.dtype).tiny).log()


FORMS: dict[str, Form] = {
    "softmax": Form("the mean of the members' probabilities (softmax of their outputs)", F.softmax, _log),
    "sigmoid": Form(
        "the mean of the members' probabilities (sigmoid of their outputs)",
        lambda outputs, axis: outputs.sigmoid(),
        lambda p, axis: _log(p, axis) - _log(1 - p, axis),
    ),
    "probability": Form("the mean of the members' probabilities (their outputs)", _same, _same),
    "mean": Form("the mean of the members' outputs", _same, _same),
}


@dataclass(frozen=True)
class Combination:
    """A form of outputs, by its name among `FORMS`; classes run over `axis`, labels equal to `ignored` do not count.

    Means are computed in double precision.
    """

    form: str = "softmax"
    axis: int = 1
    ignored: int = -100

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise unknown("form of outputs", self.form, FORMS)

    @property
    def of_classes(self) -> bool:
        """Whether what is combined are probabilities."""
        return self.form != "mean"

    @property
    def said(self) -> str:
        """What a prediction is, in words."""
        return FORMS[self.form].said

    def probabilities(self, outputs: Tensor) -> Tensor:
        """A member's outputs as they are averaged, in double precision."""
        return FORMS[self.form].probabilities(outputs.double(), self.axis)

    def outputs(self, combined: Tensor, like: Tensor) -> Tensor:
        """An average in the form that members' outputs have, which losses and metrics take."""
        return FORMS[self.form].outputs(combined, self.axis).to(like.dtype)

    def rows(self, p: Tensor) -> Tensor:
        """Probabilities as (cases, classes): a position of a sequence is a case, so is each of several labels."""
        if self.form == "softmax":
            return p.movedim(self.axis, -1).flatten(0, -2)
        return torch.stack([1 - p.flatten(), p.flatten()], 1)

    def labels(self, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The classes of the cases, and which of them count."""
        flat = targets.flatten()
        if self.form != "softmax":
            return (flat > 0.5).long(), torch.ones_like(flat, dtype=torch.bool)
        return flat, flat != self.ignored


def combination(problem: Problem, outputs: Tensor, targets: Tensor) -> Combination:
    """What fits the problem's loss, and the shapes of a batch: probabilities wherever the targets are classes."""
    if not isinstance(outputs, Tensor):
        raise InputError(f"an ensemble needs models that give one tensor; this one gives a {type(outputs).__name__}.")
    axis = class_axis(outputs, targets)
    if axis is not None and outputs.shape[axis] > 1 and not targets.is_floating_point():
        # log-probabilities (for nll_loss) are scores of which the softmax is the probability
        return Combination("softmax", axis, ignored_label(problem.loss))
    name = loss_name(problem.loss)
    if name in ("binary_cross_entropy_with_logits", "BCEWithLogitsLoss"):
        return Combination("sigmoid")
    if name in ("binary_cross_entropy", "BCELoss") or isinstance(problem.loss, nn.BCELoss):
        return Combination("probability")
    return Combination("mean")


def mean(each: Sequence[Tensor]) -> Tensor:
    """The mean over members."""
    return torch.stack(list(each)).mean(0)
