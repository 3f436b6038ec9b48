"""Training an ensemble: arguments checked, runs trained, members put together."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..averages import Kind
from ..errors import InputError
from ..problems import Problem
from ..problems.load import asked_for
from ..rules import Rule
from ..study.arguments import whole
from ..study.candidates import load_rule
from ..study.practice import Practice, kept
from ..training import Execution, Trial
from .ensemble import Ensemble
from .keeper import Keeper
from .kinds import KINDS, read
from .progress import Watch


def train(
    problem: Problem | str,
    members: int = 5,
    *,
    kind: str = "snapshot",
    rule: str | Rule = "adamw",
    settings: Mapping[str, Any] | None = None,
    schedule: str | None = None,
    average: str | Kind | None = None,
    l1: float | None = None,
    l2: float | None = None,
    penalize: str | Sequence[str] = (),
    weights: Path | str | None = None,
    head: str = "auto",
    freeze: str | Sequence[str] = (),
    augment: str | None = None,
    label_smoothing: float | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    out: Path | str | None = None,
    fresh: bool = False,
    progress: bool | None = None,
    execution: Execution | None = None,
    **options: float,
) -> Ensemble:
    """Train the members of an ensemble by a rule.

    - `kind`: "snapshot", "independent" (trained in a stack where that is faster) or "fge"; its `options`, see
      `ensembles.kinds`, may also stand in the text, as "fge(low=0.05)". `ensembles.snapshot(problem, 5)` is short for
      the first.
    - `settings` of the rule (default: its own), and keyword arguments of the problem's model, augmentation and loss, as
      `{"dropout": 0.2}`.
    - `epochs` and `batch_size` of a run, and the `schedule` of independent ones, where they are not to be the
      problem's. `average`: of weights, as "ema", at which members are taken.
    - `l1`, `l2`, `penalize`, `weights`, `head`, `freeze`, `augment`, `label_smoothing`: as in `fallline.compare`.
    - `seed`: of initial weights, data order and dropout; independent members have it and those after it.
    - `out`: a directory for members and checkpoints, which `Ensemble.load` reads. The same call goes on where an
      interrupted one stopped; `fresh` starts again. Without it nothing is kept.
    - `progress` shows a bar (default: at a terminal and in a notebook); `execution` says how runs are trained.

    A run that diverges gives the members that it had before; `notes` says so. Ctrl-C keeps what is trained and returns
    the members that are finished as an ensemble that is not `complete`; it is raised where there is none.

    Raises `InputError` before any training for whatever cannot be run, and where `out` holds another ensemble.
    """
    problem = asked_for(problem)
    kind, said = read(kind)
    options = {**said, **options}
    chosen = load_rule(rule)
    theirs, own = problem.divided(settings or {}, chosen.hypers)
    used = {**chosen.defaults, **chosen.check(theirs)}
    count, first = whole("members", members, 1), whole("seed", seed, 0)
    practice = Practice(
        average=average,
        l1=l1,
        l2=l2,
        penalize=penalize,
        weights=weights,
        head=head,
        freeze=freeze,
        augment=augment,
        label_smoothing=label_smoothing,
        settings=own,
    )
    # without patience: members are taken after a run's set updates
    problem = practice.of(_changed(problem.patient(None), kind, schedule, epochs, batch_size))
    try:
        plan = KINDS[kind](problem, count, first, **options)
    except TypeError as error:
        raise InputError(f"options {options} are not allowed for {kind}: {error}") from error
    cycles = plan.problem.schedule is not problem.schedule
    if cycles and "lr" not in chosen.hypers:
        raise InputError(f"{kind} is not allowed for {chosen.name}, which has no learning rate (lr) to cycle.")
    asked = {"kind": kind, "members": count, "rule": chosen.name, "settings": used, "seed": first, "options": options}
    asked["practice"] = {name: value for name, value in kept(plan.problem).items() if name != "schedule"} or None
    keeper = Keeper(plan, None if out is None else Path(out), {**asked, "problem": plan.problem.fingerprint})
    if fresh:
        keeper.clear()
    keeper.find()
    trials = [Trial(chosen, used, each, "search", number) for number, each in enumerate(plan.seeds)]
    with Watch(progress, f"{kind} of {chosen.name} on {problem.name}", plan, keeper.held) as watch:
        keeper.watch = watch
        complete = keeper.train(trials, execution)
    return keeper.ensemble(complete)


def _changed(problem: Problem, kind: str, schedule: str | None, epochs: int | None, batch_size: int | None) -> Problem:
    """The problem with runs as long as asked for, on the schedule asked for."""
    if schedule is not None and kind != "independent":
        raise InputError(f"schedule={schedule!r} is not allowed for {kind}, which has its own; leave it out.")
    if schedule is None and epochs is None and batch_size is None:
        return problem
    changed = problem.scheduled(None)
    changed.epochs = problem.epochs if epochs is None else whole("epochs", epochs, 1)
    changed.batch_size = problem.batch_size if batch_size is None else whole("batch_size", batch_size, 1)
    return changed.scheduled(problem.schedule if schedule is None else None if schedule == "none" else schedule)


def _of(kind: str) -> partial[Ensemble]:
    """`train` of one kind, with that kind's description."""
    made = partial(train, kind=kind)
    made.__doc__ = f"{inspect.getdoc(KINDS[kind])}\n\nArguments and result are those of `ensembles.train`."
    return made


snapshot, independent, fge = _of("snapshot"), _of("independent"), _of("fge")
