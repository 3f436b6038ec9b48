"""Schedules: learning rate, momentum, weight decay and batch size as functions of how far training has come.

A schedule is a function of progress and nothing else, so that any update of a run can be asked for, in any order:

    @schedule(paper="Loshchilov & Hutter 2017, arXiv:1608.03983, equation 5, without restarts")
    def cosine(at, steps, *, end: Factor = 0.0):
        return end + (1 - end) * (1 + math.cos(math.pi * at / steps)) / 2

It gives the factor of the value that the user chose. A text puts schedules together: `>` one after another, `*`
multiplied, `;` for several quantities.

    plan = parse("warmup(5%) > cosine; weight_decay: linear")
    plan.plot()                                             # a figure; fallline schedules show draws it in a terminal
    run = follow(plan, examples=60_000, batch_size=128, epochs=10)
    run.factors(300)                                        # {"lr": 0.99..., "weight_decay": 0.93...}
    apply(optimizer, run.factors(300), bases(optimizer))    # sets them
    Scheduler(optimizer, "warmup(5%) > cosine", steps=run.steps)   # as one of torch.optim.lr_scheduler

A new schedule is one new function in a file of `families/`.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

from . import families
from .follower import Follower, follow
from .length import Length, Run
from .plan import Schedules
from .schedule import (
    QUANTITIES,
    REGISTRY,
    Absolute,
    AtLeastOne,
    Count,
    Factor,
    Positive,
    Schedule,
    Share,
    Updates,
    get,
    schedule,
)
from .settings import apply, bases, scheduled
from .text import parse

if TYPE_CHECKING:
    from .scheduler import Scheduler as Scheduler

__all__ = [
    "QUANTITIES",
    "REGISTRY",
    "Absolute",
    "AtLeastOne",
    "Count",
    "Factor",
    "Follower",
    "Length",
    "Positive",
    "Run",
    "Schedule",
    "Scheduler",
    "Schedules",
    "Share",
    "Updates",
    "apply",
    "bases",
    "follow",
    "get",
    "parse",
    "schedule",
    "scheduled",
]


def __getattr__(name: str) -> Any:
    if name == "Scheduler":  # the one part that needs PyTorch
        return importlib.import_module(f"{__name__}.scheduler").Scheduler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


for _module in pkgutil.iter_modules(families.__path__):
    importlib.import_module(f"{families.__name__}.{_module.name}")
