"""What cannot be done for many trials at once, told in a sentence for the user."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..errors import FalllineError


class CannotStack(FalllineError):
    """The model or its loss does something that cannot be done for many trials at once; the text says what and why."""


_KNOWN = (
    (
        r"\.item\(\)",
        "{op}: a tensor's value is read as a Python number (.item(), float(), int()), but each trial has its own value",
    ),
    (
        r"data-dependent control flow",
        "the code branches on a tensor's value (if, while, assert), which may differ among trials; torch.where selects "
        "without a branch",
    ),
    (
        r"dynamic shape|data-dependent shape|nonzero",
        "{op}: the shape of the result depends on values, which differ among trials",
    ),
    (r"randomness", "{op} draws random numbers in a way that cannot be repeated for each trial by itself"),
    (
        r"in-?place|doesn't match the broadcast shape",
        "{op}: a tensor that all trials share is changed in place, but each trial has its own values",
    ),
    (r"[Bb]atching rule not implemented|fallback", "PyTorch has no rule to do {op} for many trials at once"),
    (r"autograd\.Function", "it has an autograd.Function of its own without a vmap rule"),
    (
        r"[Cc]annot access (?:storage|data pointer)|have storage",
        "{op}: a tensor's memory is asked for (.numpy(), .tolist()), in which each trial has its own values",
    ),
    (r"vmap|functorch|BatchedTensor", "{op} cannot be done for many trials at once ({message})"),
)
_STACKING = r"vmap|functorch|[Bb]atching rule|BatchedTensor|have storage|doesn't match the broadcast shape"


def explain(message: str, doing: str) -> str | None:
    """Why PyTorch refused, as the end of a sentence; None for an error that has nothing to do with stacking."""
    if not re.search(_STACKING, message):
        return None
    found = re.search(r"aten::(\w+)", message)
    op = doing or (found[1] if found else "an operation")
    short = message.strip().partition("\n")[0]
    return next(text.format(op=op, message=short) for pattern, text in _KNOWN if re.search(pattern, message))


@contextmanager
def refusals(doing: Callable[[], str]) -> Iterator[None]:
    """Turn PyTorch's errors about stacking into `CannotStack`; a model's own errors pass.

    `doing` gives the name of the function that was called last.
    """
    try:
        yield
    except CannotStack:
        raise
    except (RuntimeError, ValueError, NotImplementedError) as error:
        reason = explain(str(error), doing())
        if reason is None:
            raise
        raise CannotStack(f"the trials cannot be stacked: {reason}.") from error
