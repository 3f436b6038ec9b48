"""What a loop trains with, put together from what a run is asked for; everything that cannot be is told here."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from .. import optim
from ..averages import Average
from ..errors import InputError
from ..optim import RuleOptimizer, recipes
from ..penalties import Penalized
from ..problems import Problem
from ..rules import Rule
from ..schedules import Follower, Schedules, bases, follow, parse
from ..schedules.settings import NAMES
from ..training import EarlyStopping, Trial
from ..training.course import Course
from ..transfer.start import Start, begun
from .feed import Feed
from .options import Options, divided
from .parallel import Peers
from .precision import Precision
from .update import Update


@dataclass
class Parts:
    """What a loop trains with."""

    problem: Problem
    model: nn.Module
    optimizer: RuleOptimizer
    update: Update
    follower: Follower
    average: Average | None
    unfreezing: recipes.Unfreezing | None
    feed: Feed
    peers: Peers
    precision: Precision
    course: Course
    best: EarlyStopping
    keeps_best: bool
    epochs: int


def assemble(problem: Problem, rule: Rule, options: Options, peers: Peers, keeps_best: bool) -> Parts:
    """Model, optimizer and all that is around them. Raises `InputError` for whatever does not fit together."""
    settings, problem, own = divided(problem, rule, options)
    schedules = None if options.schedule is None else parse(options.schedule)
    examples = len(problem.train)
    follower = follow(schedules, examples=examples, batch_size=options.batch_size, epochs=options.epochs)
    precision = Precision(options.precision, peers.device)
    asked = options.weights, options.head, options.freeze, options.unfreeze_every, options.layer_factor
    problem = begun(problem, *asked)
    model = problem.build(options.seed, own)
    model.to(peers.device)
    start = problem.start or Start()
    optimizer = optim.optimizer(rule, start.groups(model, rule, settings), **settings)
    _check_scheduled(schedules, optimizer, rule)
    average = None if options.average is None else Average(model, options.average)
    if average is not None:
        average.kind.counts(0, follower.steps, follower.epoch_steps)  # raises for one that begins after the end
    penalized = bool(options.l1 or options.l2)
    whole = Penalized(model, l1=options.l1, l2=options.l2, where=options.penalize) if penalized else model
    wrapped = peers.wrap(whole, thaws=start.unfreeze_every is not None)
    loss = problem.loss_of(own)
    trained = _compiled(wrapped, options.compile)
    return Parts(
        problem=problem,
        model=model,
        optimizer=optimizer,
        update=Update(trained, loss, optimizer, precision, peers, options.accumulate, penalized),
        follower=follower,
        average=average,
        unfreezing=start.unfreezing(model),
        feed=Feed(problem, own, options.seed, peers.device, options.workers, peers.share),
        peers=peers,
        precision=precision,
        course=Course(0, Trial(rule, settings, options.seed, "tuned", own=own)),
        best=EarlyStopping(options.patience, maximize=problem.metric.maximize),
        keeps_best=keeps_best or options.patience is not None,
        epochs=options.epochs,
    )


def _check_scheduled(schedules: Schedules | None, optimizer: RuleOptimizer, rule: Rule) -> None:
    """Raises `InputError` for a schedule of something that the rule does not have."""
    known = {name for base in bases(optimizer, rule.hypers) for name in base}
    for clause in () if schedules is None else schedules.clauses:
        if clause.quantity in NAMES and known.isdisjoint(NAMES[clause.quantity]):
            raise InputError(f"schedule {str(clause)!r} sets {clause.quantity}, which {rule.name} does not have.")


def _compiled(model: nn.Module, how: bool | str) -> nn.Module:
    if how is False:
        return model
    backend = "inductor" if how is True else how
    known = torch.compiler.list_backends(exclude_tags=())
    if backend not in known:
        raise InputError(f"compile={how!r} is not allowed; allowed are True and the backends {', '.join(known)}.")
    compiled: nn.Module = torch.compile(model, backend=backend)  # type: ignore[assignment]
    return compiled
