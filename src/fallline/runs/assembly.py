"""What a loop trains with, put together from what a run is asked for; everything that cannot be is told here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from .. import optim
from ..averages import Average
from ..errors import InputError
from ..optim import RuleOptimizer, recipes
from ..optim.recipes.parameters import check_selectors
from ..penalties import Penalized
from ..problems import Problem
from ..rules import Rule
from ..schedules import Follower, Schedules, bases, follow, parse
from ..schedules.settings import NAMES
from ..training import Trial
from ..training.course import Course
from ..transfer import load_weights
from .best import Best
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
    best: Best
    epochs: int
    notes: tuple[str, ...]


def assemble(problem: Problem, rule: Rule, options: Options, peers: Peers, keeps_best: bool) -> Parts:
    """Model, optimizer and all that is around them. Raises `InputError` for whatever does not fit together."""
    settings, own = divided(problem, options.settings)
    schedules = None if options.schedule is None else parse(options.schedule)
    examples = len(problem.train)
    follower = follow(schedules, examples=examples, batch_size=options.batch_size, epochs=options.epochs)
    precision = Precision(options.precision, peers.device)
    model = problem.build(options.seed, own)
    _check_selected(model, options)
    notes = _begin_with(model, options)
    model.to(peers.device)
    optimizer = _optimizer(model, rule, settings, options)
    _check_scheduled(schedules, optimizer, rule)
    average = None if options.average is None else Average(model, options.average)
    if average is not None:
        average.kind.counts(0, follower.steps)  # raises for one that begins after the end
    penalized = bool(options.l1 or options.l2)
    whole = Penalized(model, l1=options.l1, l2=options.l2, where=options.penalize) if penalized else model
    wrapped = peers.wrap(whole, thaws=options.unfreeze_every is not None)
    unfreezing = None if options.unfreeze_every is None else recipes.Unfreezing(model, every=options.unfreeze_every)
    loss = problem.loss_of(own)
    trained = _compiled(wrapped, options.compile)
    return Parts(
        problem=problem,
        model=model,
        optimizer=optimizer,
        update=Update(trained, loss, optimizer, precision, peers, options.accumulate, penalized),
        follower=follower,
        average=average,
        unfreezing=unfreezing,
        feed=Feed(problem, own, options.seed, peers.device, options.workers, peers.share),
        peers=peers,
        precision=precision,
        course=Course(0, Trial(rule, settings, options.seed, "tuned", own=own)),
        best=Best(problem.metric.maximize, options.patience, keeps_best),
        epochs=options.epochs,
        notes=notes,
    )


def _check_selected(model: nn.Module, options: Options) -> None:
    """Raises `InputError`, which names the argument, for a selector that names nothing."""
    parameters = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    names = [*parameters, *(path for path, _ in model.named_modules() if path)]
    check_selectors("freeze", options.freeze, names)
    check_selectors("penalize", options.penalize, names)


def _begin_with(model: nn.Module, options: Options) -> tuple[str, ...]:
    """Weights from a checkpoint, which is told, and what does not learn."""
    notes: tuple[str, ...] = ()
    if options.weights is not None:
        notes = tuple(str(load_weights(model, options.weights, head=options.head)).splitlines())
    if options.freeze:
        recipes.freeze(model, *options.freeze)
    if not any(p.requires_grad for p in model.parameters()):
        raise InputError("nothing is left to learn: every parameter of the model is frozen.")
    return notes


def _optimizer(model: nn.Module, rule: Rule, settings: Mapping[str, Any], options: Options) -> RuleOptimizer:
    if options.layer_factor is None:
        return optim.optimizer(rule, [p for p in model.parameters() if p.requires_grad], **settings)
    lr = settings.get("lr", rule.defaults.get("lr"))
    if lr is None:
        raise InputError(f"layer_factor is not allowed: {rule.name} has no learning rate (lr) that layers could share.")
    groups = recipes.discriminative(model, lr, options.layer_factor)
    return optim.optimizer(rule, groups, **settings)


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
