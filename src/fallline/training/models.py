"""The models of several trials as one: parameters carry a leading trial axis, one backward pass serves all.

Each trial has its own random stream, so that dropout draws for it what it would draw alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from ..problems import Problem
from ..stacking import Draws, over_trials
from ..tensors import under
from .alike import Shares, constant_buffers, dropout_shares, places
from .snapshots import Weights
from .trial import Trial


class Models:
    """The models of trials that are alike (`alike.py`), with their streams of random numbers.

    `parameters` (trials, ...) are trained, `fixed` (trials, ...) are buffers and frozen parameters, `common` are
    buffers that all share. `shared_batches` says whether a batch is the same for all trials.
    """

    def __init__(self, problem: Problem, trials: Sequence[Trial], shared_batches: bool) -> None:
        self.problem, self.shared_batches = problem, shared_batches
        models = {_which(trial): problem.build(trial.seed, trial.own) for trial in trials}
        chosen = [models[_which(trial)] for trial in trials]
        self.skeleton = chosen[0]
        self.loss = problem.loss_of(trials[0].own)
        self.penalty = None if problem.penalty is None else problem.penalty.of(self.skeleton)
        self.draws = Draws([trial.seed for trial in trials])
        self.shares: Shares = dropout_shares(chosen)
        held = [dict([*model.named_parameters(), *model.named_buffers()]) for model in chosen]
        trained = {name for name, p in self.skeleton.named_parameters() if p.requires_grad}
        buffers = [name for name, _ in self.skeleton.named_buffers()]
        same = constant_buffers(problem, trials[0], buffers, held)
        stacked = {name: torch.stack([tensors[name].detach() for tensors in held]) for name in held[0]}
        self.parameters = {name: value.requires_grad_() for name, value in stacked.items() if name in trained}
        self.fixed = {name: value for name, value in stacked.items() if name not in trained and name not in same}
        self.common = {name: held[0][name] for name in same}
        self.places = places(self.skeleton, [*self.parameters, *self.fixed, *self.common], list(self.shares))
        self.device = next(iter(stacked.values())).device

    def gradients(self, x: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor | None]]:
        """Every trial's loss on a batch, and its gradients by the names of the parameters."""
        losses, found = self.pure_step(list(self.parameters.values()), list(self.fixed.values()), x, y, self.draws)
        return losses, dict(zip(self.parameters, found, strict=True))

    def pure_step(
        self, parameters: Sequence[Tensor], fixed: Sequence[Tensor], x: Tensor, y: Tensor, draws: Draws
    ) -> tuple[Tensor, Sequence[Tensor | None]]:
        """Losses and gradients of these parameters, on one backward pass for all."""
        axis = None if self.shared_batches else 0
        held, axes = self._held(parameters, fixed)
        losses, lowered = over_trials(self._losses, (axis, axis, *axes), draws)(x, y, *held)
        # the gradient of their sum: trials do not meet, so it is each trial's own
        ones = torch.ones_like(lowered)
        return losses.detach(), torch.autograd.grad(lowered, list(parameters), ones, allow_unused=True)

    def _held(self, parameters: Sequence[Tensor], fixed: Sequence[Tensor]) -> tuple[list[Tensor], list[int | None]]:
        """All tensors of the models in the order of `places`, and their trial axes."""
        apart = [*parameters, *fixed]
        shares, common = list(self.shares.values()), list(self.common.values())
        return [*apart, *common, *shares], [0] * len(apart) + [None] * len(common) + [0] * len(shares)

    def _forward(self, x: Tensor, held: Sequence[Tensor]) -> Any:
        """The skeleton's outputs with these tensors in it; `functional_call` would take as long as a small model."""
        for where, value in zip(self.places, held, strict=True):
            for owner, key in where:
                owner[key] = value
        return self.skeleton(x)

    def _losses(self, x: Tensor, y: Tensor, *held: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and what is lowered: the loss with the problem's penalty."""
        loss = self.loss(self._forward(x, held), y)
        return loss, loss if self.penalty is None else loss + self.penalty()

    @torch.no_grad()
    def scores(self, x: Tensor, y: Tensor, at: Mapping[str, Tensor] | None = None) -> np.ndarray[Any, Any]:
        """Every trial's loss and metric on a batch, (2, trials), with the parameters `at` in place of those trained."""

        def one(*held: Tensor) -> tuple[Tensor, Any]:
            outputs = self._forward(x, held)
            return self.problem.loss(outputs, y), outputs

        self.skeleton.eval()
        parameters = self.parameters if at is None else at
        held, axes = self._held(list(parameters.values()), list(self.fixed.values()))
        losses, outputs = over_trials(one, tuple(axes), self.draws)(*held)
        self.skeleton.train()
        return np.stack([possible(losses.double().cpu().numpy()), self._metrics(outputs, y)])

    def _metrics(self, outputs: Any, y: Tensor) -> np.ndarray[Any, Any]:
        metric = self.problem.metric

        def one(outputs: Any) -> Tensor:
            return torch.as_tensor(metric.function(outputs, y)).mean(dtype=torch.float64)

        try:
            means: np.ndarray[Any, Any] = over_trials(one, 0)(outputs).cpu().numpy()
            return means
        except Exception:  # a metric may do what no stack can, and is cheap one by one
            each = (tree_map(lambda value, k=k: value[k], outputs) for k in range(len(self.draws)))
            return np.array([metric.mean(output, y) for output in each])

    def weights(self, at: Mapping[str, Tensor] | None = None, of: Sequence[int] | None = None) -> list[Weights]:
        """Copies of the parameters and buffers of every trial, or of those `of` these places, with the parameters `at`
        in place of those trained."""
        apart = {**(self.parameters if at is None else at), **self.fixed}
        return [
            {name: value.detach()[k].clone() for name, value in apart.items()}
            | {name: value.clone() for name, value in self.common.items()}
            for k in (range(len(self.draws)) if of is None else of)
        ]

    def keep(self, trials: Sequence[int]) -> None:
        """Go on with these alone."""
        rows = list(trials)
        self.parameters = {name: p.detach()[rows].requires_grad_() for name, p in self.parameters.items()}
        self.fixed = {name: value[rows] for name, value in self.fixed.items()}
        self.shares = {name: value[rows] for name, value in self.shares.items()}
        self.draws.keep(rows)

    def state(self) -> dict[str, Tensor]:
        """Everything that training changes, as tensors for a checkpoint."""
        tensors = {f"parameters.{name}": value.detach() for name, value in self.parameters.items()}
        tensors |= {f"fixed.{name}": value for name, value in self.fixed.items()}
        return tensors | {f"draws.{name}": value for name, value in self.draws.state().items()}

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor]) -> None:
        """Go on from such a state."""
        for kind, held in (("parameters", self.parameters), ("fixed", self.fixed)):
            for name, value in held.items():
                value.copy_(tensors[f"{kind}.{name}"])
        self.draws.load(under(tensors, "draws."))


def possible(losses: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The losses; raises where one says that a target is none of the classes, which a trial alone explains."""
    if np.isneginf(losses).any():
        raise ValueError("a loss is infinitely low")
    return losses


def _which(trial: Trial) -> tuple[Any, ...]:
    """What a trial's initial model depends on."""
    return (trial.seed, *sorted(trial.own.items()))
