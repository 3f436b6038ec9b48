"""A process of its own, forked from one that has imported everything, for tests that kill it."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from typing import Any


class Child:
    """Calls `begin(*given, writer)` there; what is written to the pipe `writer` is counted here."""

    def __init__(self, begin: Callable[..., None], *given: Any) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([begin.__module__])
        self.reader, writer = context.Pipe(duplex=False)
        self.process = context.Process(target=begin, args=(*given, writer))
        self.process.start()
        writer.close()

    def told(self, count: int) -> int:
        """Wait until it has written so many bytes, or has ended; returns how many it wrote."""
        seen = 0
        while seen < count and (got := os.read(self.reader.fileno(), count - seen)):
            seen += len(got)
        return seen

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        self.process.kill()
        self.process.join()
        self.reader.close()

    def end(self) -> int | None:
        """Wait for its end; the exit status."""
        self.told(10**9)
        self.process.join()
        self.reader.close()
        return self.process.exitcode
