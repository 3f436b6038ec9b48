"""Averages of the weights of many models at once, each tensor with a leading axis of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from .kinds import Kind


class StackedAverage:
    """The averages of tensors by name, (models, ...), of one kind for all models."""

    def __init__(self, kind: Kind, tensors: Mapping[str, Tensor]) -> None:
        self.kind = kind
        self.count = 0
        """Iterates in the averages."""
        self.averages = {name: tensor.detach().clone() for name, tensor in tensors.items()}

    def update(self, tensors: Mapping[str, Tensor], step: int, steps: int, epoch: float) -> None:
        """Take in the tensors after update `step` (from 0) of a run of `steps`, if the kind counts them.

        An `epoch` has so many updates.
        """
        if self.kind.counts(step, steps, epoch):
            kept = self.kind.keep(self.count) if self.count else 0.0
            take = get_ema_multi_avg_fn(kept)  # type: ignore[no-untyped-call]
            take(list(self.averages.values()), [tensors[name].detach() for name in self.averages], self.count)
            self.count += 1

    def keep(self, models: Sequence[int]) -> None:
        """Go on with these alone."""
        self.averages = {name: average[list(models)] for name, average in self.averages.items()}

    def state(self) -> dict[str, Tensor]:
        """All that is needed to go on."""
        return {"count": torch.tensor(self.count), **self.averages}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from such a state."""
        self.count = int(state["count"])
        for name, average in self.averages.items():
            average.copy_(state[name])
