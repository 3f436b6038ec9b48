"""What a run is asked for, checked before any work: each mistake gets one error that says what is allowed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from hashlib import blake2b
from typing import Any

from torch import nn

from ..errors import InputError, unknown
from ..problems import Problem, Setting
from ..problems.data import digest_tensor
from ..rules import Rule
from . import export, loggers, precision
from .best import tensors_of


@dataclass(frozen=True)
class Options:
    """The arguments of `train`, where each is told. `numbers` marks those on which the trained weights depend."""

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
    device: str | None = None
    workers: int = 0
    save_every: float = 10.0
    log: tuple[str, ...] = ()
    export: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        whole("epochs", self.epochs, 1)
        whole("batch_size", self.batch_size, 1)
        whole("accumulate", self.accumulate, 1)
        whole("workers", self.workers, 0)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise InputError(f"seed={self.seed!r} is not allowed; allowed are whole numbers.")
        if self.patience is not None:
            whole("patience", self.patience, 1)
        if self.unfreeze_every is not None:
            whole("unfreeze_every", self.unfreeze_every, 1)
        if self.layer_factor is not None:
            number("layer_factor", self.layer_factor, 1)
        for name in ("l1", "l2", "save_every"):
            number(name, getattr(self, name), 0)
        if self.accumulate > self.batch_size:
            raise InputError(
                f"accumulate={self.accumulate} is not allowed: a batch of {self.batch_size} has not so many parts."
            )
        if self.penalize and not (self.l1 or self.l2):
            raise InputError("penalize says which modules are penalized; give l1 or l2 too.")
        if self.head != "auto" and self.weights is None:
            raise InputError("head says what becomes of a checkpoint's last layer; give weights (--from) too.")
        if self.precision not in precision.TYPES:
            raise unknown("precision", str(self.precision), precision.TYPES)
        loggers.check(self.log)
        export.check(self.export)

    def numbers(self) -> dict[str, Any]:
        """Those on which the trained weights depend, as plain values."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.name not in _WITHOUT_NUMBERS}


_WITHOUT_NUMBERS = ("device", "workers", "save_every", "log", "export")


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


def divided(problem: Problem, settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Setting]]:
    """Hyper-parameters of the rule, and those of the problem's own, which are checked."""
    own = {name: value for name, value in settings.items() if name in problem.space}
    return {name: value for name, value in settings.items() if name not in own}, problem.check(own)


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


def names(name: str, value: str | Sequence[str]) -> tuple[str, ...]:
    """Several names: a sequence of them, or a text with commas."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if not isinstance(value, Sequence) or not all(isinstance(part, str) for part in value):
        raise InputError(f"{name}={value!r} is not allowed; allowed are names, or a text of names with commas.")
    return tuple(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in sorted(value.items())}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return value.item() if hasattr(value, "item") else repr(value)
