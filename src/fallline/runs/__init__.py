"""Runs: one model trained for real, from one call, to weights that depend on that call alone.

    run = train("digits", "adamw", {"weight_decay": 0.1}, schedule="warmup(5%) > cosine", average="ema", out="runs/a")
    run.test, run.model, run.history

A run is a loop over updates and a few things around it, each with a file of its own: the batches (`feed.py`), one
update (`update.py`), where it stands (`state.py`), its files (`checkpoint.py`), the processes that share it
(`parallel.py`). Nothing around the loop changes a number: wherever it is stopped, whoever loads the data and whatever
is logged, the weights are the same to the last bit.

A new place to log to is one function in `loggers.py`, a new format to export to one in `export.py`.
"""

from __future__ import annotations

from .history import Row
from .result import Run
from .trainer import train

__all__ = ["Row", "Run", "train"]
