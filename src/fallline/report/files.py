"""Files written whole or not at all, figures to save in them, and packages that come with an extra."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import InputError


def write_whole(path: Path | str, save: Callable[[Path], object]) -> Path:
    """Let `save` write a file beside `path`, then put it there in one step: no reader meets half of it.

    Directories are made as needed. Raises `InputError` when the path cannot be written, and leaves what is there.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"path {str(path)!r} is a directory; name a file in it.")
    if path.parent.exists() and not path.parent.is_dir():
        raise InputError(f"path {str(path)!r} cannot be written: {str(path.parent)!r} is not a directory.")
    draft = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save(draft)
        os.replace(draft, path)
    except OSError as error:
        raise InputError(f"path {str(path)!r} cannot be written: {error.strerror or error}.") from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
    return path


IMAGES = (".png", ".svg", ".pdf")
_NEEDED = ("jinja2", "latex2mathml", "plotly")


def check_image(path: Path | str | None) -> None:
    """Raises `InputError` where the path ends in no format that a figure is saved in."""
    if path is not None and Path(path).suffix.lower() not in IMAGES:
        raise InputError(f"path {str(path)!r} must end in {', '.join(IMAGES[:-1])} or {IMAGES[-1]}.")


def drawing(width: float, height: float) -> Any:
    """An empty Matplotlib figure of so many inches. Raises `InputError` when Matplotlib is missing."""
    return need(f"{__package__}.drawing").Drawing(width, height)


def check() -> None:
    """Raises `InputError` when a package that a page needs is missing, without importing any."""
    for package in _NEEDED:
        if importlib.util.find_spec(package) is None:
            raise _missing(package)


def need(module: str) -> Any:
    """The module; raises `InputError` that says how to install it when it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise _missing((error.name or module).partition(".")[0]) from None


def _missing(package: str) -> InputError:
    return InputError(f"reports need {package}; install it with: pip install 'fallline[report]'")
