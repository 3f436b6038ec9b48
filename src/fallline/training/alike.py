"""Which trials can share a stack: those with models of one structure, whose shares of dropout alone may differ."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from ..kernels.plan import sides
from ..optim.curvature import reads_curvature
from ..problems import Problem, seeded
from .trial import Trial

Place = tuple[dict[str, Any], str]
"""A dictionary of a module, and the key under which it keeps something."""

Shares = dict[str, Tensor]
"""Name of a dropout module -> the share that each trial drops, (trials,), where trials differ."""


def dropout_shares(models: Sequence[nn.Module]) -> Shares:
    """The dropout shares in which the models differ."""
    shares = {}
    for name, module in models[0].named_modules():
        if isinstance(module, _DropoutNd):
            values = [float(model.get_submodule(name).p) for model in models]  # type: ignore[arg-type]
            if len(set(values)) > 1:
                shares[name] = torch.tensor(values, dtype=torch.float64)
    return shares


def places(model: nn.Module, tensors: Sequence[str], shares: Sequence[str]) -> list[list[Place]]:
    """Where the model keeps its tensors of these names, several places for a shared one, and its dropout shares."""
    kept: dict[int, list[Place]] = {}
    known: dict[str, int] = {}
    for prefix, module in model.named_modules():
        for owner in (module._parameters, module._buffers):
            for key, value in owner.items():
                known[f"{prefix}.{key}" if prefix else key] = id(value)
                kept.setdefault(id(value), []).append((owner, key))
    return [kept[known[name]] for name in tensors] + [[(model.get_submodule(name).__dict__, "p")] for name in shares]


def constant_buffers(
    problem: Problem, trial: Trial, names: Sequence[str], held: Sequence[Mapping[str, Tensor]]
) -> set[str]:
    """Those of the buffers `names` that are the same in all models and that a step leaves alone, such as masks.

    Trials share them: what branches on their values can then be stacked.
    """
    same = {name for name in names if all(torch.equal(held[0][name], other[name]) for other in held[1:])}
    if not same:
        return set()
    model = problem.build(trial.seed, trial.own)
    x, _ = next(problem.train.batches(problem.batch_size, next(model.parameters()).device))
    with torch.no_grad(), seeded(0):
        model(x)
    return {name for name, value in model.named_buffers() if name in same and torch.equal(value, held[0][name])}


ONE_BY_ONE = "estimates of curvature are made for one model at a time"
"""Why some trials are never stacked."""


def stackable(trial: Trial) -> bool:
    """Whether a trial can share a stack at all (`ONE_BY_ONE`)."""
    return not reads_curvature(trial.rule)


def signature(problem: Problem, trial: Trial) -> str:
    """A text that is the same for trials that can share a stack: models and states alike, as many gradients a step."""
    alike = "" if stackable(trial) else ONE_BY_ONE
    alike += "" if trial.rule.climb is None else "two gradients a step"
    alike += "".join(f" {trial.rule.name} {name}={value}" for name, value in _sizes(trial).items())
    if not trial.own:
        return alike
    model = problem.build(0, trial.own)
    tensors = [*model.named_parameters(), *model.named_buffers()]
    shapes = [f"{name} {tuple(value.shape)} {value.dtype} {value.requires_grad}" for name, value in tensors]
    parts = [f"{name} {type(module).__qualname__} {_facts(module)}" for name, module in model.named_modules()]
    loss = problem.loss_of(trial.own)
    return _plain("\n".join([alike, *shapes, *parts, repr(getattr(loss, "keywords", ""))]))


def _sizes(trial: Trial) -> dict[str, float]:
    """Settings, other than the defaults, that decide on the shapes of a rule's states."""
    told = sorted(sides(trial.rule) & trial.settings.keys())
    return {name: trial.settings[name] for name in told if trial.settings[name] != trial.rule.defaults[name]}


def _facts(module: nn.Module) -> dict[str, Any]:
    skipped = {"p"} if isinstance(module, _DropoutNd) else set()
    return {k: v for k, v in vars(module).items() if not k.startswith("_") and k not in skipped}


def _plain(text: str) -> str:
    """The text without addresses."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)
