"""A worker process of `pool.py`: `python -m fallline.training.worker ADDRESS`."""

from __future__ import annotations

import ast
import os
import pickle
import signal
import sys
from multiprocessing.connection import Client, Connection
from typing import Any

import safetensors.torch
import torch

from .course import Course
from .group import Group
from .pool import KEY
from .snapshots import Snapshots, Weights


def main() -> None:
    """Train what the other side sends until it goes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the other side decides
    torch.set_num_threads(1)
    try:
        client = Client(ast.literal_eval(sys.argv[1]), authkey=bytes.fromhex(os.environ.pop(KEY)))
    except (EOFError, OSError):
        return  # the other side was stopped while this one started
    with client as connection:
        assert isinstance(connection, Connection)
        try:
            sys.path[:] = connection.recv()
            problem = pickle.loads(connection.recv_bytes())
            while True:
                _train(problem, connection, *pickle.loads(connection.recv_bytes()))
                connection.send(("free", None))
        except (EOFError, BrokenPipeError, ConnectionError, KeyboardInterrupt):
            pass


def _train(
    problem: Any,
    connection: Connection,
    index: int,
    trial: Any,
    name: str,
    keep: Any,
    saved: Any,
    steps: frozenset[int] | None,
) -> None:
    def tell(index: int, point: Any) -> None:
        connection.send(("point", (index, point)))

    def take(index: int, step: int, weights: Weights) -> None:
        # as bytes: PyTorch would send tensors by shared memory, which is gone when this process is
        connection.send(("snapshot", (index, step, safetensors.torch.save(weights))))

    # during a trial the other side says nothing: whatever can be read is that it has gone
    course = {index: Course(index, trial)}
    snapshots = None if steps is None else Snapshots(steps, take)
    group = Group(problem, course, [[index]], {index: name}, keep, tell, stop=connection.poll, snapshots=snapshots)
    try:
        for ended in group.run(saved):
            connection.send(("ended", ended))
    except (BrokenPipeError, ConnectionError):
        raise
    except Exception as error:
        connection.send(("failed", _sendable(error)))


def _sendable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


if __name__ == "__main__":
    main()
