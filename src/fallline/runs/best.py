"""The best model so far on validation data, and when to give up waiting for a better one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..training import Score


class Best:
    """The epoch with the best validation metric (of equal ones the lowest loss), and the model's tensors there.

    Training is `over` when `patience` epochs have passed since then. Tensors are kept where `keeps` says so.
    """

    def __init__(self, maximize: bool, patience: int | None, keeps: bool) -> None:
        self._sign = 1.0 if maximize else -1.0
        self._patience, self._keeps = patience, keeps or patience is not None
        self.epoch: int | None = None
        self.score: Score | None = None
        self.tensors: dict[str, Tensor] = {}

    def beaten_by(self, score: Score) -> bool:
        """Whether this score is better than the best."""
        return self.score is None or self._rank(score) > self._rank(self.score)

    def take(self, epoch: int, score: Score, model: nn.Module) -> None:
        """This epoch is the best; the model holds its weights."""
        self.epoch, self.score = epoch, score
        if self._keeps:
            self.tensors = {name: value.clone() for name, value in tensors_of(model).items()}

    def over(self, epoch: int) -> bool:
        """Whether no epoch has been better for too long."""
        return self._patience is not None and self.epoch is not None and epoch - self.epoch >= self._patience

    def _rank(self, score: Score) -> tuple[float, float]:
        return self._sign * score.metric, -score.loss

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs to hold besides the tensors."""
        return {"epoch": self.epoch, "score": self.score}

    def load(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Go on from such a state."""
        self.epoch = state["epoch"]
        self.score = None if state["score"] is None else Score(*state["score"])
        self.tensors = tensors


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """What a model's `state_dict` holds; a tensor with several names stands under the first."""
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in model.state_dict(keep_vars=True).items():
        if isinstance(value, Tensor) and id(value) not in seen:
            seen.add(id(value))
            found[name] = value.detach()
    return found


@torch.no_grad()
def put(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give a model the tensors that `tensors_of` found."""
    for name, value in tensors_of(model).items():
        value.copy_(tensors[name])
