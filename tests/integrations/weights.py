"""Comparing the weights of two models that a framework trained."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils import parameters_to_vector

ROUNDING = {"float32": 1e-5, "bf16": 2e-3}
"""How far apart, after a hundred steps, models may be that differ in nothing but the order of roundings."""


def equal(one: nn.Module, two: nn.Module) -> bool:
    """Whether all values are the same to the last bit."""
    pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def apart(one: nn.Module, two: nn.Module) -> float:
    """The distance between two models' parameters, as a share of how long they are."""
    with torch.no_grad():
        a, b = parameters_to_vector(one.parameters()), parameters_to_vector(two.parameters())
        return ((a - b).norm() / b.norm()).item()
