"""Pruners: which search trials are ended early, and when. Selection is among the trials of one rule, so that every rule
has the same number of trials and of epochs.

A *bracket* is a number of trials that start together and a few *rungs*, epochs at which the better part goes on:

    Halving(eta=3).brackets(trials=9, epochs=18)      # [9 trials: 3 go on after epoch 2, 1 after epoch 6]
    Hyperband(eta=3).brackets(trials=16, epochs=18)   # brackets with rungs 2 and 6, with rung 6, with none
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, ClassVar

from ...errors import InputError, unknown
from ..arguments import whole


@dataclass(frozen=True)
class Bracket:
    """`count` trials of a rule, of which one in `eta` (rounded up) goes on after each epoch of `rungs`."""

    count: int
    rungs: tuple[int, ...] = ()
    eta: int = 3

    @property
    def alive(self) -> tuple[int, ...]:
        """How many trials begin, and how many go on after each rung."""
        return tuple(accumulate(self.rungs, lambda left, _: math.ceil(left / self.eta), initial=self.count))

    def epochs(self, last: int) -> int:
        """Epochs of training in all, if none diverges; `last` is the length of a whole trial."""
        spans = (end - start for start, end in pairwise((0, *self.rungs, last)))
        return sum(left * span for left, span in zip(self.alive, spans, strict=True))


@dataclass(frozen=True)
class Halving:
    """Successive halving (Jamieson & Talwalkar 2016): at each rung, one in `eta` goes on.

    Rungs stand at 1/eta, 1/eta^2, ... of the epochs, from `min_epochs` on, as many as the number of trials can feed.
    """

    eta: int = 3
    min_epochs: int = 1
    name: ClassVar[str] = "halving"

    def brackets(self, trials: int, epochs: int) -> list[Bracket]:
        """The brackets of a search of so many trials a rule."""
        return [Bracket(trials, _rungs(self, trials, epochs), self.eta)]


@dataclass(frozen=True)
class Hyperband:
    """Hyperband (Li et al. 2018): brackets of successive halving, from the most rungs to none, share the trials.

    Bracket sizes are in proportion to eta^s / (s + 1) for s rungs, so that all get about as many epochs.
    """

    eta: int = 3
    min_epochs: int = 1
    name: ClassVar[str] = "hyperband"

    def brackets(self, trials: int, epochs: int) -> list[Bracket]:
        """The brackets of a search of so many trials a rule."""
        rungs = _rungs(self, trials, epochs)
        shares = {s: self.eta**s / (s + 1) for s in range(len(rungs), -1, -1)}
        counts = _apportioned(trials, shares)
        return [Bracket(counts[s], rungs[len(rungs) - s :], self.eta) for s in shares if counts[s]]


Pruner = Halving | Hyperband
PRUNERS: dict[str, type[Pruner]] = {"halving": Halving, "hyperband": Hyperband}


def find(given: Any) -> Pruner | None:
    """The pruner that is meant: a name, a pruner, "none" or None. Raises `InputError` for anything else."""
    if given is None or given == "none":
        return None
    if isinstance(given, str):
        if given not in PRUNERS:
            raise unknown("pruner", given, [*PRUNERS, "none"])
        return PRUNERS[given]()
    if not isinstance(given, Pruner):
        raise InputError(f"pruner={given!r} is not allowed; allowed are 'none', {', '.join(map(repr, PRUNERS))}.")
    return type(given)(whole("eta", given.eta, 2), whole("min_epochs", given.min_epochs, 1))


def of_plan(name: str, options: Mapping[str, Any]) -> Pruner | None:
    """The pruner that a plan names."""
    return None if name == "none" else PRUNERS[name](options["eta"], options["min_epochs"])


def _rungs(pruner: Pruner, trials: int, epochs: int) -> tuple[int, ...]:
    most = math.floor(math.log(trials, pruner.eta) + 1e-9)
    levels = (epochs // pruner.eta**i for i in range(most, 0, -1))
    return tuple(dict.fromkeys(level for level in levels if pruner.min_epochs <= level < epochs))


def _apportioned(total: int, shares: Mapping[int, float]) -> dict[int, int]:
    """The total in whole parts, in proportion to the shares, by largest remainder."""
    exact = {key: total * share / sum(shares.values()) for key, share in shares.items()}
    counts = {key: math.floor(value) for key, value in exact.items()}
    by_remainder = sorted(exact, key=lambda key: counts[key] - exact[key])
    for key in by_remainder[: total - sum(counts.values())]:
        counts[key] += 1
    return counts
