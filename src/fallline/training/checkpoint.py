"""Checkpoints: one safetensors file for each group of trials that trains together, written whole or not at all.

A file is named by its trials and replaced as they go on, so the disk holds one state of what is in training and nothing
of what has ended. It is written when its trials begin, even before there is anything to save: the next process puts the
same trials together again, and sums in which the last bits depend on the company come out the same.
"""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any

import torch
from torch import Tensor

from .. import __version__

_FORMAT = "1"
_SECONDS = 10.0
"""Between two checkpoints, at least."""
_SHARE = 0.02
"""Of the time, at most, is spent on writing them."""


@dataclass(frozen=True)
class Saved:
    """A checkpoint as it was found: the trials' names, tensors, and everything else as plain values."""

    names: tuple[str, ...]
    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    @property
    def teams(self) -> list[list[str]]:
        """Which of them train together in a crew."""
        if "crews" in self.facts:
            return [[course["name"] for course in crew["courses"]] for crew in self.facts["crews"]]
        teams: list[list[str]] = self.facts["teams"]
        return teams


class Checkpoints:
    """The checkpoints of one group of trials in a directory; None keeps nothing."""

    def __init__(self, directory: Path | None, names: Sequence[str]) -> None:
        stem = sha256(" ".join(names).encode()).hexdigest()[:24]
        self.names = tuple(names)
        self.path = None if directory is None else directory / f"{stem}.safetensors"
        self._next = monotonic() + _SECONDS

    def due(self) -> bool:
        """Whether it is time for the next one."""
        return self.path is not None and monotonic() >= self._next

    def save(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Replace the checkpoint; training goes on without one where the disk does not take it."""
        if self.path is None:
            return
        began = monotonic()
        try:
            write(self.path, tensors, {"names": list(self.names), "facts": facts})
        except OSError as error:
            warnings.warn(
                f"no checkpoint could be written to {self.path.parent} ({error.strerror or error}); training goes on, "
                "and an interrupted trial starts from its last checkpoint.",
                stacklevel=2,
            )
        now = monotonic()
        self._next = now + max(_SECONDS, (now - began) / _SHARE)

    def remove(self) -> None:
        """The trials have ended."""
        if self.path is not None:
            remove(self.path)


def found(directory: Path | None, names: Sequence[str]) -> list[Saved]:
    """The checkpoints in a directory that hold any of these trials, by name; what cannot be read is no checkpoint."""
    if directory is None or not directory.is_dir():
        return []
    wanted = set(names)
    saved = [_saved(path) for path in sorted(directory.glob("*.safetensors"))]
    return [s for s in saved if s is not None and wanted.intersection(s.names)]


def write(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Put tensors and plain facts into a file, whole or not at all. Raises `OSError` where the disk does not take it.

    The facts stand, with the versions that wrote them, as JSON under "fallline" in the file's metadata.
    """
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _draft(path)
    try:
        text = json.dumps({**header, "versions": _versions()})
        temporary.touch()
        mode = temporary.stat().st_mode  # what the user lets others do; safetensors would let them do nothing
        kept = {name: value.detach().contiguous() for name, value in tensors.items()}
        try:
            save_file(kept, temporary, {"fallline": text})
        except OSError:
            raise
        except Exception as error:  # safetensors has an exception of its own for a full disk
            raise OSError(str(error)) from error
        temporary.chmod(mode)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def remove(path: Path) -> None:
    """Take a file away, and what a process left that was killed while it wrote it."""
    for each in (path, _draft(path)):
        with contextlib.suppress(OSError):
            each.unlink()


def _draft(path: Path) -> Path:
    """Where a file is written before it has its name: one place, so that the next draft is written over the last."""
    return path.with_suffix(".tmp")


def _sync(directory: Path) -> None:
    """Put a renamed file's new name on disk, where directories can be synced."""
    with contextlib.suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The header and the tensors of a file that `write` wrote. Raises whatever a file that is none leads to."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        header: dict[str, Any] = json.loads((file.metadata() or {})["fallline"])
        return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _saved(path: Path) -> Saved | None:
    try:
        header, tensors = read(path)
        if header["versions"] != _versions():
            return None  # other versions may compute other numbers
        return Saved(tuple(header["names"]), tensors, header["facts"])
    except Exception:
        return None


def _versions() -> list[str]:
    return [_FORMAT, __version__, torch.__version__]
