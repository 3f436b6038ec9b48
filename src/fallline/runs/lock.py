"""One process at a time writes into a run's directory."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError

try:
    import fcntl
except ImportError:  # where the system has no such locks, nobody is kept out
    fcntl = None  # type: ignore[assignment]


@contextmanager
def held(directory: Path | None) -> Iterator[None]:
    """Keep other processes out of the directory; the system lets go when this one ends, however that comes.

    Raises `InputError` where another process is inside.
    """
    if directory is None or fcntl is None:
        yield
        return
    with (directory / ".lock").open("w") as file:
        try:
            # a lock of the process, which those that it forks to load data do not hold
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise InputError(
                    f"another process is training in {directory}; wait for it, or give another directory (out)."
                ) from error
        yield
