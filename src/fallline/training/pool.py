"""Trials one by one on several processes, a thread each: for models that are best left unstacked.

A worker is a Python process of its own (`worker.py`), not a fork, whose threads would hang, and not `multiprocessing`'s
spawn, which would run the user's script again. It is sent the problem once, then one trial after another, and answers
with points and outcomes.
"""

from __future__ import annotations

import io
import os
import secrets
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, Listener, wait
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from types import TracebackType
from typing import Any

import cloudpickle
import safetensors.torch

from ..errors import FalllineError
from ..problems import Problem
from ..rules.naming import is_known_everywhere
from ..rules.rule import Rule
from .checkpoint import Saved, found
from .course import Tell
from .group import Ended
from .snapshots import Snapshots
from .trial import Trial

KEY = "FALLLINE_WORKER_KEY"
"""Environment variable by which a worker proves that it is ours."""
_PATIENCE = 60.0
"""Seconds for a worker to start, and for one that was asked to stop to write its checkpoint."""


class CannotSend(FalllineError):
    """The problem cannot be sent to another process."""


_NOT_SENT = {"source", "modifier", "inner"}
"""What is made anew where it is needed, and how a rule came about, which its function holds."""


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Rules of the user's own are sent by their parts: the other process has not run the file that registers them."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, Rule) and not is_known_everywhere(value):
            return _rule, ({name: held for name, held in vars(value).items() if name not in _NOT_SENT},)
        return super().reducer_override(value)


def _rule(fields: dict[str, Any]) -> Rule:
    return Rule(**fields)


def dumps(value: Any) -> bytes:
    """The value as bytes, functions and classes of the user's own files included."""
    for name, module in list(sys.modules.items()):
        if name.startswith("fallline_user_"):  # made from a file: no other process could import it
            cloudpickle.register_pickle_by_value(module)
    buffer = io.BytesIO()
    _Pickler(buffer).dump(value)
    return buffer.getvalue()


class Pool:
    """Worker processes for one problem. Raises `CannotSend` when the problem cannot be sent to them."""

    def __init__(self, problem: Problem, processes: int) -> None:
        try:
            self.problem = dumps(problem)
        except Exception as error:
            cause = f"{type(error).__name__}: {error}"
            raise CannotSend(f"the problem cannot be sent to other processes ({cause})") from error
        self.processes = processes
        self.workers: list[subprocess.Popen[bytes]] = []
        self.connections: list[Connection] = []

    def __enter__(self) -> Pool:
        key = secrets.token_hex(32)
        environment = {**os.environ, KEY: key, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        with Listener(authkey=bytes.fromhex(key)) as listener:
            command = [sys.executable, "-m", "fallline.training.worker", repr(listener.address)]
            for _ in range(self.processes):
                self.workers.append(subprocess.Popen(command, env=environment, start_new_session=True))
            self.connections = self._accepted(listener)
        for connection in self.connections:
            connection.send(sys.path)
            connection.send_bytes(self.problem)
        return self

    def _accepted(self, listener: Listener) -> list[Connection]:
        """Every worker's connection. Raises `FalllineError` when one ends before it calls."""
        calls: Queue[Connection] = Queue()

        def accept() -> None:
            for _ in self.workers:
                calls.put(listener.accept())

        Thread(target=accept, daemon=True).start()
        accepted: list[Connection] = []
        while len(accepted) < len(self.workers):
            try:
                accepted.append(calls.get(timeout=0.2))
            except Empty:
                self._check()
        return accepted

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self.connections:
            connection.close()  # a worker that loses its connection writes its checkpoint and goes
        for process in self.workers:
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()

    def _check(self) -> None:
        for process in self.workers:
            if process.poll() is not None:
                raise FalllineError(
                    f"a training process ended with status {process.returncode}; was it killed, or out of memory? "
                    "What is finished is kept."
                )

    def train(
        self,
        trials: Sequence[Trial],
        tell: Tell,
        keep: Path | None,
        names: Sequence[str],
        may_start: Callable[[Sequence[int]], Sequence[int]],
        snapshots: Snapshots | None = None,
    ) -> Iterator[Ended]:
        """Train the trials; those that a checkpoint holds first."""
        steps = None if snapshots is None else snapshots.steps
        waiting = self._tasks(trials, keep, names, may_start, steps)
        busy = {connection for connection in self.connections if self._give(connection, waiting)}
        while busy:
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                kind, content = self._hear(connection)
                if kind == "point":
                    tell(*content)
                elif kind == "snapshot" and snapshots is not None:
                    index, step, weights = content
                    snapshots.take(index, step, safetensors.torch.load(weights))
                elif kind == "ended":
                    yield content
                elif kind == "failed":
                    raise content
                elif not self._give(connection, waiting):
                    busy.discard(connection)

    def _tasks(
        self,
        trials: Sequence[Trial],
        keep: Path | None,
        names: Sequence[str],
        may_start: Callable[[Sequence[int]], Sequence[int]],
        steps: frozenset[int] | None,
    ) -> Iterator[bytes]:
        """One trial after another, asked for only when a worker is free."""
        place = {name: index for index, name in enumerate(names)}
        saved = {place[s.names[0]]: s for s in found(keep, names) if len(s.names) == 1}
        order: deque[int] = deque([*saved, *(index for index in range(len(trials)) if index not in saved)])
        while order:
            index = order.popleft()
            if may_start([index]):
                kept: Saved | None = saved.pop(index, None)
                yield dumps((index, trials[index], names[index], keep, kept, steps))

    def _give(self, connection: Connection, waiting: Iterator[bytes]) -> bool:
        task = next(waiting, None)
        if task is not None:
            connection.send_bytes(task)
        return task is not None

    def _hear(self, connection: Connection) -> tuple[str, Any]:
        try:
            heard: tuple[str, Any] = connection.recv()
        except (EOFError, OSError):
            for process in self.workers:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(1)  # the one that left ends at once
                self._check()
            raise
        return heard
