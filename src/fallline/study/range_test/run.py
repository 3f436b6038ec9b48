"""Running a learning-rate range test: its arguments checked, the sweeps made, what came of them read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from rich.progress import TextColumn, TimeElapsedColumn

from ...errors import InputError
from ...problems import Problem
from ...problems.load import asked_for
from ...progress import Bar, left
from ...rules import Rule
from ...training.sweep import sweep
from ..arguments import whole
from ..candidates import load_rule
from .curve import Follower
from .result import LrRange, summarize

_FEWEST = 20
_WIDER = 10
"""The rates tried by default reach so many times beyond the rule's search range."""


def lr_range(
    problem: Problem | str,
    rule: str | Rule = "adamw",
    *,
    seeds: int = 5,
    low: float | None = None,
    high: float | None = None,
    steps: int = 200,
    settings: Mapping[str, float] | None = None,
    seed: int = 0,
    progress: bool | None = None,
    _sweep: Callable[..., Any] = sweep,
) -> LrRange:
    """A learning rate to begin with, from a few hundred steps of training at rates that grow from `low` to `high`.

    `problem` and `rule` are as in `compare`; `settings` are the rule's other hyper-parameters (default: the rule's
    own). The test is run from the initial weights and in the data order of `seeds` seeds, `seed` and those after it,
    with `steps` mini-batches each. `low` and `high` default to the rule's search range, ten times wider on each side.
    `progress` shows a bar (default: at a terminal and in a notebook).

    The problem's schedule is not followed. The user's model, data and random state are left as they were. Ctrl-C keeps
    what was swept and returns it as a result that is not `complete`. Raises `InputError` before any training for
    whatever cannot be run.
    """
    problem = asked_for(problem)
    chosen = load_rule(rule)
    used = _settings(chosen, settings or {})
    rates = _rates(chosen, low, high, whole("steps", steps, _FEWEST))
    first = whole("seed", seed, 0)
    followed = {first + index: Follower(rates) for index in range(whole("seeds", seeds, 1))}
    complete = True
    with _bar(progress, f"{chosen.name} on {problem.name}", len(followed), len(rates)) as advance:
        places = list(followed)

        def on_step(index: int, number: int, loss: float) -> bool:
            if number == 0:  # again, where a stack was given up
                followed[places[index]] = Follower(rates)
            ended = followed[places[index]].add(loss)
            advance(index, len(rates) if ended else number + 1)
            return ended

        try:
            _sweep(problem, chosen, used, rates, places, on_step=on_step)
        except KeyboardInterrupt:
            complete = False
    return summarize(problem.name, chosen.name, used, rates, followed, complete)


def _settings(rule: Rule, given: Mapping[str, float]) -> dict[str, float]:
    if "lr" not in rule.hypers:
        has = f"it has {', '.join(rule.hypers)}" if rule.hypers else "it has no hyper-parameters"
        raise InputError(f"rule {rule.name!r} has no learning rate `lr` to test: {has}.")
    if "lr" in rule.starts.values():
        raise InputError(
            f"rule {rule.name!r} uses lr to start its step sizes alone: a rate that grows changes nothing."
        )
    if "lr" in given:
        raise InputError(f"lr={given['lr']!r} is not allowed among the settings: the test varies it from low to high.")
    return {**rule.defaults, **rule.check(given)}


def _rates(rule: Rule, low: Any, high: Any, steps: int) -> tuple[float, ...]:
    usual = _usual(rule)
    low, high = _rate("low", low, usual[0], rule), _rate("high", high, usual[1], rule)
    if high < 10 * low * (1 - 1e-9):
        raise InputError(
            f"low={low:g} and high={high:g} are not allowed; high must be at least ten times low, so that the loss "
            "has room to fall and to rise."
        )
    return tuple(float(rate) for rate in np.geomspace(low, high, steps))


def _usual(rule: Rule) -> tuple[float, float] | tuple[None, None]:
    """The rates tried where none are given: the search range, widened as far as the rule allows."""
    hyper = rule.hypers["lr"]
    if hyper.search is None:
        return (None, None) if hyper.default <= 0 else (hyper.default / 1000, hyper.default * 1000)
    low, high = hyper.search.low / _WIDER, hyper.search.high * _WIDER
    return (low if low in hyper.allowed else hyper.search.low, high if high in hyper.allowed else hyper.search.high)


def _rate(name: str, given: Any, usual: float | None, rule: Rule) -> float:
    if given is None:
        given = usual
    if given is None:
        raise InputError(f"{name} is missing: rule {rule.name!r} does not say where its lr is searched.")
    try:
        rate = float(given)
    except (TypeError, ValueError):
        rate = math.nan
    allowed = rule.hypers["lr"].allowed
    if isinstance(given, bool) or not 0 < rate < math.inf or rate not in allowed:
        raise InputError(f"{name}={given!r} is not allowed; allowed are rates above 0, for {rule.name} {allowed}.")
    return rate


@contextmanager
def _bar(show: bool | None, what: str, seeds: int, steps: int) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, counted in steps of all seeds; gives the function that takes a seed's place and its steps."""
    done = [0] * seeds
    columns = TextColumn("{task.fields[count]} seeds"), TimeElapsedColumn(), *left()
    with Bar(show, *columns, what=what, total=seeds * steps, count=f"0/{seeds}") as bar:

        def advance(index: int, number: int) -> None:
            done[index] = number
            bar.update(completed=sum(done), count=f"{sum(each == steps for each in done)}/{seeds}")

        yield advance
