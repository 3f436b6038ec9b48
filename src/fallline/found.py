"""What the files of a folder define, found by the files being there."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from typing import Any


def public(package: str, path: Iterable[str]) -> dict[str, Any]:
    """Name -> object for every name in the `__all__` of the modules of a package, in the order of the names."""
    found: dict[str, Any] = {}
    for file in pkgutil.iter_modules(path):
        module = importlib.import_module(f"{package}.{file.name}")
        for name in getattr(module, "__all__", ()):
            if name in found:
                raise ImportError(f"{package} has two things named {name}.")
            found[name] = getattr(module, name)
    return dict(sorted(found.items()))


def named(package: str, found: Mapping[str, Any], name: str) -> Any:
    """One of them, for the package's `__getattr__`. Raises `AttributeError`, with all names, where there is none."""
    if name in found:
        return found[name]
    raise AttributeError(f"{package} has no {name!r}. It has {', '.join(found)}.")
