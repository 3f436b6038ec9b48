"""A user's file or module, imported; what goes wrong in it is told by the user's own line, without a traceback."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from ..errors import FalllineError, InputError

T = TypeVar("T")

_PACKAGE = Path(__file__).resolve().parent.parent

_imported: dict[Path, tuple[int, ModuleType]] = {}
"""Files that were imported, with the time they had been changed: one file is one module, unless it changes."""


def module(home: str) -> ModuleType:
    """The module of "path/to/file.py" or "package.module". Its folder stays importable, for its siblings.

    Raises `InputError` if there is none or it fails to import.
    """
    return _from_file(Path(home).expanduser()) if is_file(home) else _from_name(home)


def is_file(home: str) -> bool:
    """Whether that names a file, not a module."""
    return home.endswith(".py") or "/" in home or os.sep in home or Path(home).is_file()


def whole_path(spec: str) -> str:
    """A name such as "my_model.py:problem" as it reads from any directory; what names no file stays as it is."""
    home, colon, name = spec.rpartition(":")
    if not colon or not name.isidentifier():
        home, colon, name = spec, "", ""
    return f"{Path(home).expanduser().absolute()}{colon}{name}" if is_file(home) else spec


def told(call: Callable[[], T], folder: Path, failed: str) -> T:
    """Call the user's code; an exception becomes an `InputError` that says what `failed` and shows their line."""
    try:
        return call()
    except KeyboardInterrupt:
        raise
    except SystemExit as error:
        raise InputError(
            f"{failed}: it ended the program (sys.exit).\n{_line(error, folder)}"
            '  Put what should not run on import under `if __name__ == "__main__":`.'
        ) from error
    except FalllineError as error:
        raise InputError(f"{failed}.\n{_line(error, folder)}  {error}") from error
    except BaseException as error:
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        raise InputError(f"{failed}.\n{_line(error, folder)}  {type(error).__name__}: {said}") from error


def _from_file(path: Path) -> ModuleType:
    if path.is_dir() or path.suffix != ".py":
        raise InputError(f"{str(path)!r} is not a Python file; name it as FILE.py:NAME.")
    if not path.is_file():
        near = sorted(p.name for p in path.parent.glob("*.py"))[:8] if path.parent.is_dir() else []
        there = f" Python files there: {', '.join(near)}." if near else ""
        raise InputError(f"there is no file {str(path)!r} (looked in {path.absolute().parent}).{there}")
    path = path.resolve()
    changed = path.stat().st_mtime_ns
    known = _imported.get(path)
    if known is not None and known[0] == changed:
        return known[1]
    made = _run(path)
    _imported[path] = changed, made
    return made


def _run(path: Path) -> ModuleType:
    _importable(path.parent)
    # a name of its own: a file called like a library must not take the library's place
    spec = importlib.util.spec_from_file_location(f"fallline_user_{path.stem}", path)
    assert spec is not None
    loader = spec.loader
    assert loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[made.__name__] = made
    try:
        told(lambda: loader.exec_module(made), path.parent, f"{path.name} cannot be imported")
    except BaseException:
        del sys.modules[made.__name__]
        raise
    return made


def _from_name(name: str) -> ModuleType:
    _importable(Path.cwd())
    parent, _, _ = name.rpartition(".")
    if parent:
        # a package's own mistakes must not read as "there is no such module"
        _from_name(parent)
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise InputError(
            f"there is no module {name!r} (looked in {Path.cwd()} and the installed packages). "
            "What is in a file is named as FILE.py:NAME."
        )
    return told(lambda: importlib.import_module(name), Path.cwd(), f"{name} cannot be imported")


def _importable(folder: Path) -> None:
    """Let a user's file import its siblings, now and later from inside its functions."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _line(error: BaseException, folder: Path) -> str:
    """The last line of the user's own that an exception passed through, with its file and number."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"  {Path(error.filename).name}, line {error.lineno}: {(error.text or '').strip()}\n"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        ours = path.is_relative_to(_PACKAGE) or "site-packages" in path.parts
        if path.is_relative_to(folder) and not ours:
            return f"  {path.relative_to(folder)}, line {frame.lineno}: {frame.line}\n"
    return ""
