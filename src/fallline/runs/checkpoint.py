"""A run's files: what is needed to go on (`last.safetensors`) and the best model so far (`best.safetensors`).

Each is written whole or not at all, holds tensors and, as JSON in its metadata, plain facts; nothing is pickled.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic
from typing import Any

from torch import Tensor

from ..errors import InputError, RecordError
from ..tensors import under
from ..training.checkpoint import read, remove, write

LAST, BEST = "last.safetensors", "best.safetensors"
_IN_WORDS = {
    "problem": "another problem, or the same with other data",
    "text": "another text of its rule",
    "weights": "other weights to start from",
}
"""How runs differ in what is no plain value."""
_SHARE = 0.02
"""Of the time, at most, is spent on writing."""


@dataclass(frozen=True)
class Saved:
    """A checkpoint as it was found."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]
    torch: str
    """The version of PyTorch that trained up to there."""

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors whose names begin with `name` and a dot, without these."""
        return under(self.tensors, f"{name}.")


class Checkpoints:
    """The checkpoints of a run in a directory, at least `seconds` apart; None keeps nothing.

    Raises `InputError` for a directory that cannot be made or written.
    """

    def __init__(self, directory: Path | None, identity: dict[str, Any], seconds: float) -> None:
        self._directory, self._identity, self._seconds = directory, identity, seconds
        self._next = monotonic() + seconds
        if directory is not None:
            try:
                directory.mkdir(parents=True, exist_ok=True)
                TemporaryFile(dir=directory).close()
            except FileExistsError as error:
                raise InputError(f"out={str(directory)!r} is a file; give a directory.") from error
            except OSError as error:
                raise InputError(f"out={str(directory)!r} cannot be written: {error.strerror or error}.") from error

    def due(self) -> bool:
        """Whether it is time for the next one."""
        return self._directory is not None and monotonic() >= self._next

    def save(self, tensors: dict[str, Tensor], facts: dict[str, Any], best: dict[str, Tensor]) -> str:
        """Replace the checkpoint and the best model; what the disk did not take is told in a sentence."""
        if self._directory is None:
            return ""
        began = monotonic()
        failed = ""
        try:
            if best:
                self.put(BEST, best, {"best": facts["best"]})
            self.put(LAST, tensors, facts)
        except OSError as error:
            failed = (
                f"no checkpoint could be written to {self._directory} ({error.strerror or error}); training goes on"
            )
        now = monotonic()
        self._next = now + max(self._seconds, (now - began) / _SHARE if self._seconds else 0.0)
        return failed

    def put(self, name: str, tensors: dict[str, Tensor], facts: dict[str, Any]) -> Path:
        """Write one of the run's files. Raises `OSError` where the disk does not take it."""
        assert self._directory is not None
        write(self._directory / name, tensors, {"identity": self._identity, "facts": facts})
        return self._directory / name

    def last(self) -> Saved | None:
        """Where to go on. Raises `InputError` if that is another run's, `RecordError` if it cannot be read."""
        if self._directory is None or not (self._directory / LAST).exists():
            return None
        header, tensors = _read(self._directory / LAST)
        other = _differences(header["identity"], self._identity)
        if other:
            raise InputError(
                f"{self._directory} holds a run with {other}. Give another directory (out), or fresh=True (--fresh) to "
                "start again in this one."
            )
        return Saved(tensors, header["facts"], header["versions"][-1])

    def best(self) -> dict[str, Tensor]:
        """The tensors of the best model, where there are any."""
        if self._directory is None or not (self._directory / BEST).exists():
            return {}
        return _read(self._directory / BEST)[1]

    def remove(self) -> None:
        """Forget what is there, to start again."""
        if self._directory is not None:
            for name in (LAST, BEST):
                remove(self._directory / name)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        header, tensors = read(path)
        return {name: header[name] for name in ("identity", "facts", "versions")}, tensors
    except Exception as error:
        raise RecordError(
            f"{path} cannot be read ({type(error).__name__}: {error}); remove it to start the run again."
        ) from error


def _differences(there: dict[str, Any], here: dict[str, Any]) -> str:
    """How another run differs, in words; nothing where it is the same."""
    parts = []
    for name in here:
        if there.get(name) != here[name]:
            parts.append(_IN_WORDS.get(name) or f"{name}={there.get(name)!r} (now {here[name]!r})")
    return ", ".join(parts)
