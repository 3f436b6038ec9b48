"""The names that training, validation and test data go by."""

from __future__ import annotations

from collections.abc import Iterable

_NAMES = {
    "train": ("train", "training"),
    "valid": ("valid", "val", "validation", "dev"),
    "test": ("test", "testing"),
}


def named(given: Iterable[str]) -> dict[str, str]:
    """ "train", "valid" and "test" -> the one of the given names that means it, where there is one."""
    known = {name.lower(): name for name in given}
    found = {split: next((known[name] for name in names if name in known), None) for split, names in _NAMES.items()}
    return {split: name for split, name in found.items() if name is not None}
