"""Training that gets Ctrl-C again and again and goes on from what is on disk."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from fallline.problems import Problem
from fallline.training import Outcome, Rungs, Trial, train
from fallline.training.alone import Alone
from fallline.training.stack import Stack


def stop_every(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C when so many steps have been trained, again and again."""
    trained = iter(range(10**6))
    for kind in (Alone, Stack):

        def until_ctrl_c(self: Any, pause: Any, advance: Any = kind.advance) -> bool:
            whole = advance(self, lambda: next(trained) % steps == steps - 1)
            if not whole:
                os.kill(os.getpid(), signal.SIGINT)
            return bool(whole)

        monkeypatch.setattr(kind, "advance", until_ctrl_c)


def train_in_pieces(
    problem: Problem,
    trials: Sequence[Trial],
    keep: Path,
    rungs: Callable[[Sequence[int]], Rungs] | None = None,
    **given: Any,
) -> dict[int, Outcome]:
    """Train, and go on after every interrupt from what is on disk in `keep`."""
    finished: dict[int, Outcome] = {}
    for _ in range(200):
        left = [k for k in range(len(trials)) if k not in finished]
        if not left:
            return finished
        given |= {"keep": keep, "names": [f"trial {k}" for k in left], "rungs": rungs(left) if rungs else None}
        try:
            for ended in train(problem, [trials[k] for k in left], **given):
                finished.update((left[place], outcome) for place, outcome in ended)
        except KeyboardInterrupt:
            pass
    raise AssertionError("it never came to an end")
