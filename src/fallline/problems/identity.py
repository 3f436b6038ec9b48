"""Texts that tell functions and modules apart, the same in every process."""

from __future__ import annotations

import inspect
import re
from typing import Any

from torch import nn

from .metric import loss_name


def described(value: Any) -> str:
    """A text of a function or module that is the same in every process."""
    if isinstance(value, nn.Module):
        plain = {k: v for k, v in vars(value).items() if isinstance(v, str | int | float) and k != "training"}
        return re.sub(r" at 0x[0-9a-fA-F]+", "", f"{value!r} {plain}")
    if hasattr(value, "__qualname__"):
        return str(value.__qualname__)
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value)) or loss_name(value)


def text(function: Any) -> str:
    """The text of a function, as far as there is one."""
    function = getattr(function, "func", function)
    try:
        return inspect.getsource(function if hasattr(function, "__qualname__") else type(function))
    except (OSError, TypeError):
        return ""
