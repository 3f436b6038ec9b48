"""Everything Fallline raises on purpose: written for the person who reads it, raised before work starts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FalllineError(Exception):
    """Base of every error that Fallline raises on purpose. The command line prints it without a traceback."""


class InputError(FalllineError, ValueError):
    """A user's mistake: names the argument, what was given and what is allowed."""


class RuleError(FalllineError, ValueError):
    """A rule that cannot be read: names the rule, the line and what to write instead."""


class RecordError(FalllineError):
    """A record on disk that is damaged or was written by another schema."""


def unknown(what: str, given: str, allowed: Iterable[str]) -> InputError:
    """The error for a name that is not among `allowed`, with the nearest names suggested."""
    allowed = sorted(allowed)
    near = difflib.get_close_matches(given, allowed, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return InputError(f"unknown {what} {given!r}.{hint} Known: {', '.join(allowed)}.")
