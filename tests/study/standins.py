"""A problem and a training whose truth is known, for testing the protocol of a comparison without training anything."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from fallline.rules import Rule, named
from fallline.rules import get as get_rule
from fallline.training import Outcome, Point, Trial


@dataclass(frozen=True)
class Problem:
    """The parts of a problem that a comparison reads."""

    name: str = "synthetic"
    fingerprint: str = "f" * 16
    maximize: bool = True
    share: bool = False
    epochs: int = 3
    batch_size: int = 32
    parameters_count: int = 10
    notes: tuple[str, ...] = ("Data are made up.",)
    sizes: dict[str, int] = field(default_factory=lambda: {"train": 60, "valid": 20, "test": 20})
    space: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    source: str = ""
    data: str | None = None
    schedule: None = None
    average: None = None
    patience: None = None
    penalty: None = None
    start: None = None
    augment_text: None = None
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def metric(self) -> Any:
        name = "accuracy" if self.maximize else "error"
        return SimpleNamespace(name=name, maximize=self.maximize, share=self.share)


def twin(rule: str, name: str) -> Rule:
    """The same rule under another name, outside the registry."""
    return replace(named(get_rule(rule)), name=name)


def noise(*key: object) -> float:
    """A standard normal number that the key decides."""
    return float(np.random.default_rng(np.frombuffer(repr(key).encode(), np.uint8)).normal())


def outcome(trial: Trial, quality: float, *, epochs: int = 3, diverged: bool = False) -> Outcome:
    """A trial that climbs from 0.1 to `quality` in equal parts, ten steps an epoch."""
    levels = [0.1 + (quality - 0.1) * e / epochs for e in range(epochs + 1)]
    curve = [Point(e, 10 * e, 0.1 * e, None if e == 0 else 1 - q, 1 - q, q) for e, q in enumerate(levels)]
    if diverged:
        curve = [curve[0], Point(1, 10, 0.1, math.inf, math.nan, math.nan)]
        quality = 0.1
    tested = trial.kind != "search"
    return Outcome(
        "diverged" if diverged else "finished",
        "the training loss is infinite" if diverged else "",
        tuple(curve),
        10 * (len(curve) - 1),
        0.1 * (len(curve) - 1),
        1e-4,
        1 - quality if tested else None,
        quality if tested else None,
    )


def closeness(trial: Trial, ideal: float = 0.01) -> float:
    """A quality that falls with the distance of the learning rate from the ideal, in decades."""
    return 0.9 - 0.05 * abs(math.log10(trial.settings["lr"] / ideal))


class Training:
    """A stand-in for `train`: scores by a function, keeps what it trained, may be interrupted after some trials."""

    def __init__(self, quality: Callable[[Trial], float | None] = closeness, stop_after: int | None = None) -> None:
        self.quality, self.stop_after = quality, stop_after
        self.trained: list[Trial] = []

    def __call__(
        self,
        problem: Any,
        trials: Sequence[Trial],
        *,
        on_epoch: Any = None,
        may_start: Any = None,
        rungs: Any = None,
        **_: Any,
    ) -> Iterator[Any]:
        places = range(len(trials))
        if rungs is None:
            for index in places:
                if may_start is None or may_start([index]):
                    yield [self._train(problem, index, trials[index], on_epoch)]
            return
        running = [self._train(problem, index, trials[index], on_epoch) for index in may_start(places)]
        for epoch in rungs.epochs:
            curves = {index: ended.curve[: epoch + 1] for index, ended in running if len(ended.curve) > epoch}
            stay = rungs.survivors(epoch, curves)
            pruned = [(index, pruned_at(epoch, ended)) for index, ended in running if index in curves.keys() - stay]
            running = [(index, ended) for index, ended in running if index not in curves.keys() - stay]
            yield pruned
        yield running

    def _train(self, problem: Any, index: int, trial: Trial, on_epoch: Any) -> tuple[int, Outcome]:
        if self.stop_after is not None and len(self.trained) == self.stop_after:
            raise KeyboardInterrupt
        quality = self.quality(trial)
        result = outcome(trial, quality or 0.0, epochs=problem.epochs, diverged=quality is None)
        for point in result.curve:
            if on_epoch is not None:
                on_epoch(index, point)
        self.trained.append(trial)
        return index, result


def pruned_at(epoch: int, ended: Outcome) -> Outcome:
    """The trial as it would have been ended at a rung."""
    return replace(ended, state="pruned", curve=ended.curve[: epoch + 1], test_loss=None, test_metric=None)
