"""Soups: one model from the mean of several checkpoints' weights, at the cost of one.

Wortsman et al. 2022, arXiv:2203.05482. It works where checkpoints lie in one basin of the loss: fine-tuned from the
same weights, or taken late in one run. Weights of independent runs have nothing in common to average.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..problems import Problem, derive, generator, seeded
from ..training import Weights, evaluate
from ..transfer import read

Checkpoint = Mapping[str, Tensor] | nn.Module | Path | str
"""Weights by name, a model, or a file of either (`transfer.read`)."""


@dataclass(frozen=True)
class Soup:
    """The mean of checkpoints: its `weights`, the places of those that are `used` in the order in which they were
    added, and where it was scored the `score` that it reached, and those of each checkpoint `alone`."""

    weights: Weights
    used: tuple[int, ...]
    score: float | None = None
    alone: tuple[float, ...] = ()

    def into(self, model: nn.Module) -> nn.Module:
        """The model with these weights."""
        from ..transfer import load_weights

        load_weights(model, self.weights, head="load")
        return model


def uniform(checkpoints: Sequence[Checkpoint]) -> Soup:
    """The mean of all checkpoints. Buffers of whole numbers are those of the first.

    Means are computed in double precision. Running statistics of batch norms are averaged like weights, though the mean
    of statistics is not the statistics of the mean: `Soup.into` a model and `torch.optim.swa_utils.update_bn` put that
    right. Raises `InputError` for checkpoints of different models.
    """
    return Soup(_mean(_read(checkpoints)), tuple(range(len(checkpoints))))


def greedy(checkpoints: Sequence[Checkpoint], score: Callable[[Weights], float], *, maximize: bool = True) -> Soup:
    """The mean of those checkpoints that help: from the best down, each stays if the score is not worse with it.

    `score(weights)` is a number on held-out data, such as `validation(problem)`. Wortsman et al. 2022, recipe 1. Raises
    `InputError` for checkpoints of different models.
    """
    held = _read(checkpoints)
    sign = 1.0 if maximize else -1.0
    alone = [sign * float(score(weights)) for weights in held]
    order = sorted(range(len(held)), key=lambda k: -alone[k])
    used, best, soup = [order[0]], alone[order[0]], held[order[0]]
    for k in order[1:]:
        tried = _mean([held[other] for other in [*used, k]])
        reached = sign * float(score(tried))
        if reached >= best:
            used, best, soup = [*used, k], reached, tried
    return Soup(soup, tuple(used), sign * best, tuple(sign * value for value in alone))


def validation(problem: Problem, *, recalibrate: bool = True) -> Callable[[Weights], float]:
    """A score for `greedy`: the problem's metric on its validation data (`maximize=problem.metric.maximize`).

    With `recalibrate`, batch norms learn the statistics of the weights first, from a pass over the training data.
    """
    model = problem.build(0)

    def score(weights: Weights) -> float:
        return evaluate(ready(model, weights, problem, recalibrate), problem, problem.valid).metric

    return score


def ready(model: nn.Module, weights: Weights, problem: Problem, recalibrate: bool = True) -> nn.Module:
    """The model with these weights, batch norms recalibrated on the problem's training data."""
    Soup(weights, ()).into(model)
    if recalibrate:
        device = next(model.parameters()).device
        order = generator(derive(0, "recalibrate"))
        with seeded(0):
            batches = problem.train.batches(problem.batch_size, device, order)
            torch.optim.swa_utils.update_bn((x for x, _ in batches if len(x) > 1), model)
    return model


def _read(checkpoints: Sequence[Checkpoint]) -> list[Weights]:
    if not checkpoints:
        raise InputError("a soup needs at least one checkpoint.")
    held = [_weights(checkpoint) for checkpoint in checkpoints]
    for k, weights in enumerate(held[1:], 1):
        other = held[0].keys() ^ weights.keys()
        other |= {name for name in held[0].keys() & weights.keys() if held[0][name].shape != weights[name].shape}
        if other:
            raise InputError(f"checkpoints 0 and {k} are of different models: {min(other)} is not the same in both.")
    return held


def _weights(checkpoint: Checkpoint) -> Weights:
    if isinstance(checkpoint, nn.Module):
        checkpoint = checkpoint.state_dict()
    if isinstance(checkpoint, Mapping):
        return {name: value.detach() for name, value in checkpoint.items() if isinstance(value, Tensor)}
    return read(checkpoint)[0]


def _mean(held: Sequence[Weights]) -> Weights:
    made = {}
    for name, first in held[0].items():
        if first.is_floating_point() or first.is_complex():
            wide = torch.complex128 if first.is_complex() else torch.float64
            made[name] = torch.stack([weights[name].to(wide) for weights in held]).mean(0).to(first.dtype)
        else:
            made[name] = first.clone()
    return made
