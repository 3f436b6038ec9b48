"""The plan of a study: everything that decides which trials it has. Two studies with one plan are one study."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from ..training import best_epoch

if TYPE_CHECKING:
    from ..problems import Setting
    from ..training import Point


@dataclass(frozen=True)
class Plan:
    """What a study sets out to do; two studies with the same plan are one study, gone on with.

    `rules` and `problem` hold what a reader needs to know of them without the code that defined them, `own` the
    problem's own search space (`problems.space.describe`). `sampler` and `pruner` are names, `options` what they were
    given. `source`, `data` and `rule_sources` say where problem and rules were loaded from; `source` is empty for a
    problem that was given as a Python object. `training` are the wishes for how it is trained (`calibrate`'s).
    """

    problem_name: str
    metric_name: str
    maximize: bool
    target: float | None
    trials: int
    seeds: int
    seed: int
    rules: tuple[Mapping[str, Any], ...]
    problem: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    source: str = ""
    data: str | None = None
    rule_sources: tuple[str, ...] = ()
    sampler: str = "random"
    pruner: str = "none"
    own: tuple[Mapping[str, Any], ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)

    @property
    def study_id(self) -> str:
        """A name that the plan alone decides."""
        rules = [[rule["name"], rule["fingerprint"], rule["hypers"]] for rule in self.rules]
        identity: list[Any] = [self.problem["fingerprint"], self.target, self.trials, self.seeds, self.seed, rules]
        if (self.sampler, self.pruner) != ("random", "none"):
            identity += [self.sampler, self.pruner, dict(self.options)]
        return f"{self.problem_name[:100]}-{digest(identity)[:8]}"

    def counted(self, curve: Sequence[Point]) -> int | None:
        """The epoch of a trial that counts, where that is the best and not the last: where the problem has patience."""
        return None if self.problem.get("patience") is None else best_epoch(curve, self.maximize)

    @property
    def planned(self) -> int:
        """How many trials the study has: the search, the tuned runs and the default runs of every rule."""
        return len(self.rules) * (self.trials + 2 * self.seeds)


def trial_key(
    problem: str,
    rule: str,
    rule_text: str,
    kind: str,
    seed: int,
    settings: Mapping[str, float],
    own: Mapping[str, Setting] | None = None,
    bracket: str = "",
) -> str:
    """The identity of a trial: a digest of everything that its numbers depend on, versions and machine apart.

    `own` are the problem's own hyper-parameters, `bracket` names the others that it competes with where trials are
    pruned.
    """
    identity: list[Any] = [problem, rule, rule_text, kind, seed, dict(settings)]
    if own or bracket:
        identity += [dict(own or {}), bracket]
    return digest(identity)


def digest(value: Any) -> str:
    """A hex digest of a value that JSON can hold, the same on every machine."""
    return sha256(json.dumps(exact(value), sort_keys=True, allow_nan=False).encode()).hexdigest()


def exact(value: Any) -> Any:
    """The value with infinities and NaN, which JSON lacks, as strings."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {key: exact(item) for key, item in value.items()}
    return [exact(item) for item in value] if isinstance(value, list | tuple) else value


def back(value: Any) -> Any:
    """What `exact` was given (a tuple as a list)."""
    if isinstance(value, str):
        return _BEYOND_JSON.get(value, value)
    if isinstance(value, dict):
        return {key: back(item) for key, item in value.items()}
    return [back(item) for item in value] if isinstance(value, list) else value


_BEYOND_JSON = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
