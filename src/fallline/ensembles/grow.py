"""Training an ensemble: arguments checked, runs trained, members put together."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ..errors import InputError, unknown
from ..problems import Problem
from ..problems import load as load_problem
from ..rules import Rule
from ..study.arguments import whole
from ..study.candidates import load_rule
from ..training import Execution, Trial
from .ensemble import Ensemble
from .keeper import Keeper
from .kinds import KINDS
from .progress import Watch


def train(
    problem: Problem | str,
    members: int = 5,
    *,
    kind: str = "snapshot",
    rule: str | Rule = "adamw",
    settings: Mapping[str, float] | None = None,
    schedule: str | None = None,
    epochs: int | None = None,
    seed: int = 0,
    out: Path | str | None = None,
    fresh: bool = False,
    progress: bool | None = None,
    execution: Execution | None = None,
    **options: float,
) -> Ensemble:
    """Train the members of an ensemble by a rule at its `settings` (default: the rule's own).

    - `kind`: "snapshot", "independent" (trained in a stack where that is faster) or "fge"; `options` are those of the
      kind, see `ensembles.kinds`. `ensembles.snapshot(problem, 5)` is short for the first.
    - `epochs` of a run, and the `schedule` of independent ones, where they are not to be the problem's.
    - `seed`: of initial weights, data order and dropout; independent members have it and those after it.
    - `out`: a directory for members and checkpoints, which `Ensemble.load` reads. The same call goes on where an
      interrupted one stopped; `fresh` starts again. Without it nothing is kept.
    - `progress` shows a bar on stderr (default: when that is a terminal); `execution` says how runs are trained.

    A run that diverges gives the members that it had before; `notes` says so. Ctrl-C keeps what is trained and returns
    the members that are finished as an ensemble that is not `complete`; it is raised where there is none.

    Raises `InputError` before any training for whatever cannot be run, and where `out` holds another ensemble.
    """
    if isinstance(problem, str):
        problem = load_problem(problem)
    elif not hasattr(problem, "fingerprint"):
        raise InputError(f"problem must be a fallline.Problem or the name of one; it is a {type(problem).__name__}.")
    if kind not in KINDS:
        raise unknown("kind of ensemble", str(kind), KINDS)
    chosen = load_rule(rule)
    used = {**chosen.defaults, **chosen.check(dict(settings or {}))}
    count, first = whole("members", members, 1), whole("seed", seed, 0)
    problem = _changed(problem, kind, schedule, epochs)
    try:
        plan = KINDS[kind](problem, count, first, **options)
    except TypeError as error:
        raise InputError(f"options {options} are not allowed for {kind}: {error}") from error
    cycles = plan.problem.schedule is not problem.schedule
    if cycles and "lr" not in chosen.hypers:
        raise InputError(f"{kind} is not allowed for {chosen.name}, which has no learning rate (lr) to cycle.")
    asked = {"kind": kind, "members": count, "rule": chosen.name, "settings": used, "seed": first, "options": options}
    keeper = Keeper(plan, None if out is None else Path(out), {**asked, "problem": plan.problem.fingerprint})
    if fresh:
        keeper.clear()
    keeper.find()
    trials = [Trial(chosen, used, each, "search", number) for number, each in enumerate(plan.seeds)]
    with Watch(progress, f"{kind} of {chosen.name} on {problem.name}", plan, keeper.held) as watch:
        keeper.watch = watch
        complete = keeper.train(trials, execution)
    return keeper.ensemble(complete)


def _changed(problem: Problem, kind: str, schedule: str | None, epochs: int | None) -> Problem:
    """The problem with runs as long as asked for, on the schedule asked for."""
    if schedule is not None and kind != "independent":
        raise InputError(f"schedule={schedule!r} is not allowed for {kind}, which has its own; leave it out.")
    if schedule is None and epochs is None:
        return problem
    changed = problem.scheduled(None)
    changed.epochs = problem.epochs if epochs is None else whole("epochs", epochs, 1)
    return changed.scheduled(problem.schedule if schedule is None else schedule)


def _of(kind: str) -> partial[Ensemble]:
    """`train` of one kind, with that kind's description."""
    made = partial(train, kind=kind)
    made.__doc__ = f"{inspect.getdoc(KINDS[kind])}\n\nArguments and result are those of `ensembles.train`."
    return made


snapshot, independent, fge = _of("snapshot"), _of("independent"), _of("fge")
