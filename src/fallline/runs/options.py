"""What a run is asked for, checked before any work: each mistake gets one error that says what is allowed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from hashlib import blake2b
from typing import Any

from torch import nn

from ..errors import InputError, unknown
from ..optim.generic import class_of_rule
from ..optim.settings import names as names_of
from ..problems import Problem, Setting
from ..problems.data import digest_tensor
from ..rules import Rule
from ..tensors import tensors_of
from . import export, loggers, precision

_CARRIED_OUT = {"numbers": False}
"""Marks how a run is carried out, on which no weights depend."""


@dataclass(frozen=True)
class Options:
    """The arguments of `train`, where each is told."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    schedule: str | None = None
    average: str | None = None
    epochs: int = 1
    batch_size: int = 1
    seed: int = 0
    accumulate: int = 1
    l1: float = 0.0
    l2: float = 0.0
    penalize: tuple[str, ...] = ()
    patience: int | None = None
    precision: str = "fp32"
    compile: bool | str = False
    weights: str | None = None
    head: str = "auto"
    freeze: tuple[str, ...] = ()
    unfreeze_every: int | None = None
    layer_factor: float | None = None
    augment: str | None = None
    label_smoothing: float | None = None
    device: str | None = field(default=None, metadata=_CARRIED_OUT)
    workers: int = field(default=0, metadata=_CARRIED_OUT)
    save_every: float = field(default=10.0, metadata=_CARRIED_OUT)
    log: tuple[str, ...] = field(default=(), metadata=_CARRIED_OUT)
    export: tuple[str, ...] = field(default=(), metadata=_CARRIED_OUT)

    def __post_init__(self) -> None:
        whole("epochs", self.epochs, 1)
        whole("batch_size", self.batch_size, 1)
        whole("accumulate", self.accumulate, 1)
        whole("workers", self.workers, 0)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise InputError(f"seed={self.seed!r} is not allowed; allowed are whole numbers.")
        number("save_every", self.save_every, 0)
        if self.accumulate > self.batch_size:
            raise InputError(
                f"accumulate={self.accumulate} is not allowed: a batch of {self.batch_size} has not so many parts."
            )
        if self.precision not in precision.TYPES:
            raise unknown("precision", str(self.precision), precision.TYPES)
        loggers.check(self.log)
        export.check(self.export)

    def numbers(self) -> dict[str, Any]:
        """Those on which the trained weights depend, as plain values."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.metadata.get("numbers", True)}


def identity(problem: Problem, rule: Rule, options: Options, begun: nn.Module, processes: int) -> dict[str, Any]:
    """What tells runs apart: one with the same identity has the same weights. Plain values.

    `begun` is the model as training begins.
    """
    text = f"{rule.source} {rule.defaults}".encode()
    weights = blake2b(digest_size=16)
    for value in tensors_of(begun).values():
        digest_tensor(value, weights)
    return {
        "problem": problem.fingerprint,
        "rule": rule.name,
        "text": blake2b(text, digest_size=16).hexdigest(),
        **options.numbers(),
        "weights": weights.hexdigest(),
        "processes": processes,
    }


def divided(problem: Problem, rule: Rule, options: Options) -> tuple[dict[str, Any], Problem, dict[str, Setting]]:
    """Settings of the rule and its modifiers; the problem as it is asked for; its own hyper-parameters, all of them."""
    known = {*rule.hypers, *names_of(class_of_rule(rule))}
    settings, theirs = problem.divided(options.settings, known)
    fixed = {name: value for name, value in theirs.items() if name not in problem.space}
    problem = problem.changed(augment=options.augment, label_smoothing=options.label_smoothing, settings=fixed)
    return settings, problem, problem.check({name: value for name, value in theirs.items() if name not in fixed})


def whole(name: str, value: Any, low: int) -> int:
    """A whole number from `low` up."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise InputError(f"{name}={value!r} is not allowed; allowed are whole numbers from {low} up.")
    return value


def number(name: str, value: Any, low: float) -> float:
    """A finite number from `low` up."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < low:
        raise InputError(f"{name}={value!r} is not allowed; allowed are numbers from {low:g} up.")
    return float(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in sorted(value.items())}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return value.item() if hasattr(value, "item") else repr(value)
