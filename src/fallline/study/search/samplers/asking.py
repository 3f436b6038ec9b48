"""Optuna's samplers by ask and tell.

A range is asked for as the share of it, from 0 to 1 on its own axis, so that decay rates are searched in the logarithm
of what they lack to 1. Settings are defined by running through the space: what does not exist is not asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from ....problems import Setting
from ....problems.space import Choice, Part, Whole, bare
from ....rules.hyper import Range
from ..space import Space
from .request import Request, Tried

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

Make = Callable[[], "BaseSampler"]
"""Makes a sampler, which may warn that it is new."""


def ask_next(make: Make, request: Request) -> list[dict[str, Setting]]:
    """The next settings of a sampler that reads all it knows from the trials told."""
    with _study(make) as study:
        for tried in (tried for batch in request.history for tried in batch):
            study.add_trial(_told(tried, request.space))
        return [_values(study.ask(), request.space) for _ in range(request.count)]


def ask_afresh(make: Make, request: Request) -> list[dict[str, Setting]]:
    """The next settings of a sampler that has to be asked all over again, and told in between."""
    with _study(make) as study:
        for batch in request.history:
            asked = [study.ask() for _ in batch]
            for trial in asked:
                _values(trial, request.space)
            for trial, tried in zip(asked, batch, strict=True):
                study.tell(trial, tried.score)
        return [_values(study.ask(), request.space) for _ in range(request.count)]


def ask_first(make: Make, space: Space, count: int) -> list[dict[str, Setting]]:
    """The first settings of a sampler that goes through a sequence, whatever is told."""
    with _study(make) as study:
        return [_values(study.ask(), space) for _ in range(count)]


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """The whole space in Optuna's terms, conditional parts included."""
    return {name: _distribution(bare(part)) for name, part in space.parts.items()}


def word(text: str) -> int:
    """A seed of 32 bits from a text."""
    return int.from_bytes(sha256(text.encode()).digest()[:4], "little")


@contextmanager
def _study(make: Make) -> Iterator[Any]:
    """An Optuna study in memory, to be maximized, that says nothing."""
    import optuna
    import torch

    before, threads = optuna.logging.get_verbosity(), torch.get_num_threads()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    torch.set_num_threads(1)  # a Gaussian process of a few dozen points: more threads wait for each other
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield optuna.create_study(direction="maximize", sampler=make())
    finally:
        optuna.logging.set_verbosity(before)
        torch.set_num_threads(threads)


def _values(trial: Any, space: Space) -> dict[str, Setting]:
    return space.at({name: partial(_asked, trial, name, bare(part)) for name, part in space.parts.items()})


def _asked(trial: Any, name: str, part: Part) -> Setting:
    if isinstance(part, Range):
        return part.sample(trial.suggest_float(name, 0.0, 1.0))
    value: Setting
    if isinstance(part, Whole):
        value = trial.suggest_int(name, part.low, part.high, log=part.log)
    else:
        value = trial.suggest_categorical(name, part.values)
    return value


def _distribution(part: Part) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(part, Choice):
        return CategoricalDistribution(part.values)
    return IntDistribution(part.low, part.high, part.log) if isinstance(part, Whole) else FloatDistribution(0.0, 1.0)


def _told(tried: Tried, space: Space) -> Any:
    """A trial that Optuna did not ask for in this study, as it would have been told of it."""
    import optuna

    parts = {name: bare(space.parts[name]) for name in tried.values}
    return optuna.trial.create_trial(
        params={name: _param(part, tried.values[name]) for name, part in parts.items()},
        distributions={name: _distribution(part) for name, part in parts.items()},
        value=tried.score,
    )


def _param(part: Part, value: Any) -> Any:
    return min(max(part.position(value), 0.0), 1.0) if isinstance(part, Range) else value
