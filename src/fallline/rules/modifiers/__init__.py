"""Modifiers: each takes a rule and gives a rule. They compose, and the result is still one pass over memory."""

from .decay import decoupled, l1, l2
from .gradient import ascend
from .moments import amsgrad

__all__ = ["amsgrad", "ascend", "decoupled", "l1", "l2"]
