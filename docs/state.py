"""How much state a rule keeps, counted on a matrix of the size that large models are made of."""

from __future__ import annotations

from math import prod

from fallline.kernels.cost import state_bytes
from fallline.rules import Rule

LARGE = (1024, 4096)
"""Rows and columns of that matrix."""


def bytes_of_state(rule: Rule) -> float:
    """Bytes of state for each element of a float32 matrix of `LARGE` rows and columns, to one decimal."""
    return round(state_bytes(rule, LARGE) / prod(LARGE), 1)
