"""How much state a rule keeps, counted on a matrix of the size that large models are made of."""

from __future__ import annotations

import torch

from fallline.kernels.text import fresh
from fallline.rules import Rule

LARGE = (1024, 4096)
"""Rows and columns of that matrix."""


def bytes_of_state(rule: Rule) -> float:
    """Bytes of state for each element of a float32 matrix of `LARGE` rows and columns, to one decimal."""
    matrix = torch.empty(LARGE, device="meta")
    states = (fresh(rule, name, matrix, rule.defaults) for name in rule.states)
    return round(sum(state.numel() * state.element_size() for state in states) / matrix.numel(), 1)
