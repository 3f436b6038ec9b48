"""Libraries that only some problems need: their absence is one line that says what to install."""

from __future__ import annotations

from importlib.util import find_spec

from ..errors import InputError


def needs(library: str, extra: str, what: str) -> None:
    """Raises `InputError` where the library is not installed; `extra` is the name of ours that brings it."""
    try:
        found = find_spec(library) is not None
    except (ImportError, ValueError):
        found = False
    if not found:
        raise InputError(f"{what} needs {library}; install it with: pip install 'fallline[{extra}]'")
