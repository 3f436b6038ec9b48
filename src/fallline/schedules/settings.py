"""Scheduled values in an optimizer: from the settings that its groups began with."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .schedule import Absolute

if TYPE_CHECKING:
    import torch

NAMES = {"lr": ("lr",), "momentum": ("momentum", "beta1"), "weight_decay": ("weight_decay",)}
"""The settings that a quantity stands for."""


def scheduled(base: Mapping[str, Any], factors: Mapping[str, float]) -> dict[str, Any]:
    """The settings that change, from those at the start (numbers or arrays of them).

    A quantity that is not among them is left out.
    """
    return {
        name: float(factor) if isinstance(factor, Absolute) else base[name] * factor
        for quantity, factor in factors.items()
        for name in NAMES[quantity]
        if name in base
    }


def bases(optimizer: torch.optim.Optimizer, only: Container[str] | None = None) -> list[dict[str, float]]:
    """The settings of every group that can be scheduled, as they are; `lr` as PyTorch's schedulers found it.

    `only` are the hyper-parameters of a rule: an optimizer's class may have settings that its rule does without.
    """
    return [
        {name: value for name, value in _base(group).items() if only is None or name in only}
        for group in optimizer.param_groups
    ]


def apply(optimizer: torch.optim.Optimizer, factors: Mapping[str, float], base: Sequence[Mapping[str, float]]) -> None:
    """Give every group its values: those of `base` (from `bases`) times the factors, or the `Absolute` ones."""
    for group, start in zip(optimizer.param_groups, base, strict=True):
        for name, value in scheduled(start, factors).items():
            put(group, name, value)


def put(group: dict[str, Any], name: str, value: float) -> None:
    """Set a group's setting, `beta1` in `betas` where the group has these; a tensor is changed in place."""
    if name == "beta1" and "betas" in group:
        group["betas"] = (value, *group["betas"][1:])
    elif hasattr(group[name], "fill_"):
        group[name].fill_(value)
    else:
        group[name] = value


def _base(group: Mapping[str, Any]) -> dict[str, float]:
    found = {name: group[name] for names in NAMES.values() for name in names if name in group}
    if "betas" in group:
        found["beta1"] = group["betas"][0]
    if "initial_lr" in group:
        found["lr"] = group["initial_lr"]
    return {name: float(value) for name, value in found.items()}
