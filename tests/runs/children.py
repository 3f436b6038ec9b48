"""Runs in processes of their own, with the real training, for tests that kill them or have several share a run."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import torch

from fallline.runs import checkpoint, loop, train
from tests.child import Child

from . import problems


def run(problem: str, out: str, options: dict[str, Any], environment: dict[str, str], told: int) -> None:
    """Train, look after every second update, and write a byte to the file `told` after every checkpoint.

    What the run says at its end stands beside its directory, in `OUT.json`.
    """
    os.environ.update(environment)
    torch.set_num_threads(1)
    loop.WATCHED = 2
    save = checkpoint.Checkpoints.save

    def telling(self: checkpoint.Checkpoints, *given: Any) -> str:
        failed = save(self, *given)
        os.write(told, b".")
        return failed

    checkpoint.Checkpoints.save = telling  # type: ignore[method-assign]
    made = train(getattr(problems, problem)(), out=out, save_every=0.0, progress=False, **options)
    if environment.get("RANK", "0") == "0":
        Path(f"{out}.json").write_text(json.dumps({**made.to_dict(), "summary": made.summary()}))


class Run(Child):
    """A process that trains, and tells of every checkpoint."""

    def __init__(self, problem: str, out: Path, environment: dict[str, str] | None = None, **options: Any) -> None:
        super().__init__(_begin, problem, str(out), options, environment or {})


def together(problem: str, out: Path, count: int = 2, **options: Any) -> list[Run]:
    """Processes that share a run, as `torchrun` would start them."""
    return [Run(problem, out, rank, **options) for rank in ranks(count)]


def ranks(count: int) -> list[dict[str, str]]:
    """The environments that `torchrun` gives to its processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(count)}
    return [{**place, "RANK": str(k), "LOCAL_RANK": str(k)} for k in range(count)]


def _begin(problem: str, out: str, options: dict[str, Any], environment: dict[str, str], writer: Any) -> None:
    run(problem, out, options, environment, writer.fileno())
