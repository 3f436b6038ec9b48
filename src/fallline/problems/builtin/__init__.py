"""The built-in problems: one decorated function each, which gives the name and, in its first line, the summary.

    @builtin
    def digits() -> Problem:
        \"\"\"Handwritten digits, 8x8 pixels, ten classes: ...\"\"\"
        return Problem(...)

A new one is one such function in a file of this package; all of these are read at import. One that reads files takes
the directory of data sets, `data`, and asks `download.fetch` for them.
"""

from __future__ import annotations

import importlib
import pkgutil

from .registry import BUILTIN, builtin, names, summary

__all__ = ["BUILTIN", "builtin", "names", "summary"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
