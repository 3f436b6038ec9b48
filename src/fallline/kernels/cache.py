"""Where generated kernels live: a file each, named by its text, beside which Numba keeps the compiled code.

The cache is an optimization only. Where it cannot be read or written, kernels are compiled in memory.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib.util
import linecache
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any


def directory() -> Path:
    """The cache directory: `FALLLINE_CACHE_DIR`, else `fallline` under the user's cache directory."""
    given = os.environ.get("FALLLINE_CACHE_DIR")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(base) / "fallline" if base else Path(os.path.expanduser("~")) / ".cache" / "fallline"


def load(text: str, name: str) -> Any:
    """The object `name` of a module made from `text`, compiled code taken from the cache where there is any."""
    with _no_collection():
        return _load(text, name)


def _load(text: str, name: str) -> Any:
    stem = "k" + hashlib.sha256((_support(text) + text).encode()).hexdigest()[:20]
    try:
        path = _write(directory() / "kernels" / f"{stem}.py", text)
        return getattr(_module(path, stem), name)
    except Exception:
        # any trouble with the cache (permissions, a damaged entry, no home): compile without it
        scope: dict[str, Any] = {"CACHE": False, "__name__": stem}
        # Triton reads the text of functions
        linecache.cache[f"<{stem}>"] = len(text), None, text.splitlines(True), f"<{stem}>"
        exec(compile(text, f"<{stem}>", "exec"), scope)
        return scope[name]


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Importing Numba makes so many objects that Python stops, several times, to look through all of PyTorch's."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


_SUPPORT = (
    "memory.py",
    "arithmetic.py",
    "pipeline.py",
    "sums.py",
    "codes.py",
    "dither.py",
    "formats.py",
    "../rules/draws.py",
)
_SELDOM = ("roots.py", "draws.py")


def _support(text: str) -> str:
    """What a kernel depends on besides its own text: the loads and stores it is built from, and what it names."""
    named = (name for name in _SELDOM if f"fallline.kernels.{name.removesuffix('.py')} " in text)
    return "".join(map(_source, (*_SUPPORT, *named)))


@lru_cache(maxsize=None)
def _source(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _write(path: Path, text: str) -> Path:
    if not _holds(path, text):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        try:
            # the file of a process that was first stays, with its time stamp, by which Numba knows its code
            if not _holds(path, text):
                os.replace(temporary, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
    return path


def _holds(path: Path, text: str) -> bool:
    """Whether the file is there and is what it should be: what is in it will be run."""
    try:
        return path.read_text(encoding="utf-8") == text
    except (OSError, UnicodeDecodeError):
        return False


def _module(path: Path, stem: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"fallline_{stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    module.__dict__["CACHE"] = True
    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module.__name__]
        raise
    return module
