"""Results made up for tests: values that a comparison could have found, without training anything."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from fallline.problems.space import restore
from fallline.rules import Rule, get
from fallline.study.result import Difference, Estimate, Result, RuleResult, Study, TrialRecord

RULES = ("adamw", "adam", "nadam", "lion", "momentum", "rmsprop", "sgd", "rprop")
_EQUATIONS = (
    r"m_{t} = \beta_{1} \, m_{t-1} + \left(1 - \beta_{1}\right) \, g_{t}",
    r"\theta_{t} = \theta_{t-1} - \eta \, m_{t}",
)
_MACHINE = {"cpu": "Made-up CPU", "cores": 2, "threads": 2, "memory_bytes": 16 * 2**30, "os": "Linux"}
_VERSIONS = {"python": "3.11.4", "fallline": "0.1.0", "torch": "2.13.0", "numpy": "2.4.6"}


def point(epoch: int, metric: float, loss: float) -> Any:
    """A point of a learning curve."""
    return SimpleNamespace(
        epoch=epoch,
        step=34 * epoch,
        seconds=0.02 * epoch,
        train_loss=None if epoch == 0 else loss,
        valid_loss=loss * 1.2 + 0.01,
        valid_metric=metric,
    )


def record(
    rule: Rule,
    kind: str,
    number: int,
    seed: int,
    settings: dict[str, float],
    end: float,
    diverged: bool,
    epochs: int = 15,
    own: dict[str, Any] | None = None,
    pruned: bool = False,
) -> TrialRecord:
    """A trial whose validation accuracy ends at `end`."""
    noise = random.Random(f"{rule.name} {kind} {number} {seed}")
    reach = 3 if diverged or pruned else epochs
    gap = [math.exp(-0.45 * e) for e in range(reach + 1)]
    curve = [
        point(e, end - (end - 0.1) * g + noise.gauss(0, 0.004) * (e > 0), 0.04 + 2.3 * g * (1.1 - end) / 0.15)
        for e, g in enumerate(gap)
    ]
    if diverged:
        curve[-1] = point(reach, math.nan, math.inf)
    test = kind != "search"
    score = curve[0 if diverged else -1].valid_metric
    return TrialRecord(
        rule=rule.name,
        kind=kind,
        number=number,
        seed=seed,
        settings=settings,
        state="diverged" if diverged else "pruned" if pruned else "finished",
        reason="the training loss is not finite at step 71" if diverged else "ended at epoch 3" if pruned else "",
        curve=tuple(curve),
        steps=34 * reach,
        seconds=0.02 * reach,
        step_seconds=noise.uniform(8e-6, 2.5e-5),
        test_loss=1.4 * (1 - score) + 0.04 if test else None,
        test_metric=score - 0.004 if test else None,
        versions=_VERSIONS,
        machine=_MACHINE,
        started="2026-01-02T03:04:05+00:00",
        own=own or {},
    )


def estimate(values: Sequence[float]) -> Estimate:
    """A mean with an interval of about the right length."""
    mean = sum(values) / len(values)
    if len(values) < 2:
        return Estimate(mean, math.nan, math.nan, 1)
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values))
    return Estimate(mean, mean - 2.3 * spread, mean + 2.3 * spread, len(values))


OWN = (
    {"name": "width", "type": "whole", "low": 16, "high": 256, "scale": "log", "default": 100, "when": {}},
    {"name": "activation", "type": "choice", "values": ["relu", "tanh", "gelu"], "default": "tanh", "when": {}},
    {
        "name": "slope",
        "type": "range",
        "low": 0.0,
        "high": 0.5,
        "scale": "linear",
        "default": 0.1,
        "when": {"activation": ["relu"]},
    },
)
"""A problem's own search space, as the record describes it."""


def rule_result(
    name: str,
    top: float,
    *,
    trials: int,
    seeds: int,
    lost: float = 0.1,
    scored: bool = True,
    own: bool = False,
    pruned: bool = False,
    epochs: int = 15,
) -> RuleResult:
    """A rule that reaches about `top`; a share `lost` of its search trials diverges.

    `own` searches the problem's own hyper-parameters too, of which only the activation matters; of `pruned` searches
    the worse half is ended early.
    """
    rule = get(name)
    draw = random.Random(name)
    search = []
    for number in range(trials):
        at = {hyper: draw.random() for hyper in rule.space}
        settings = {hyper: rule.space[hyper].sample(u) for hyper, u in at.items()}
        off = at.get("lr", 0.5) - 0.6
        chosen = _own(draw) if own else {}
        penalty = 0.3 * (chosen.get("activation") == "relu")
        end = max(0.1, top - 3.5 * off**2 - penalty - 0.02 * draw.random())
        gone = off > 0.4 - lost or lost >= 1
        early = pruned and end < top - 0.2
        search.append(record(rule, "search", number, 0, settings, end, gone, epochs, chosen, early))
    alive = [trial for trial in search if trial.state == "finished"]
    best = max(alive or search, key=lambda trial: trial.score)
    ends = [top + random.Random(f"{name} {seed}").gauss(0, 0.004) for seed in range(1, seeds + 1)] if scored else []
    tuned = tuple(
        record(rule, "tuned", 0, s, dict(best.settings), end, not alive, epochs, dict(best.own))
        for s, end in enumerate(ends, 1)
    )
    behind = draw.choice([0.002, 0.01, 0.3])
    default = tuple(record(rule, "default", 0, s, rule.defaults, end - behind, False) for s, end in enumerate(ends, 1))
    ranked = sorted(trial.score for trial in search)
    reached = [next((p for p in t.curve if p.valid_metric >= 0.95), None) for t in tuned if not t.diverged]
    soon = [p for p in reached if p is not None]
    return RuleResult(
        name=name,
        rule=rule,
        search=tuple(search),
        best=best,
        tuned=tuned,
        default=default,
        test_metric=estimate([t.test_metric for t in tuned]) if tuned else None,
        test_loss=estimate([t.test_loss for t in tuned]) if tuned else None,
        default_metric=estimate([t.test_metric for t in default]) if default else None,
        default_loss=estimate([t.test_loss for t in default]) if default else None,
        expected_best=tuple(
            math.fsum(math.comb(k, b - 1) / math.comb(trials, b) * v for k, v in enumerate(ranked))
            for b in range(1, min(trials, 64) + 1)
        ),
        diverged_share=sum(t.diverged for t in search) / max(len(search), 1),
        steps_to_target=estimate([p.step for p in soon]) if soon else None,
        seconds_to_target=estimate([p.seconds for p in soon]) if soon else None,
        reached_share=len(soon) / len(tuned) if tuned else 0.0,
        step_seconds=search[0].step_seconds if search else math.nan,
        bytes_per_parameter=4 * (3 + 2 * len(rule.states)),
        state_arrays=len(rule.states),
        equation=_EQUATIONS,
        own=OWN if own else (),
    )


def _own(draw: random.Random) -> dict[str, Any]:
    drawn = {name: part.sample(draw.random()) for name, part in restore(OWN).items() if name != "slope"}
    return drawn | ({"slope": draw.uniform(0, 0.5)} if drawn["activation"] == "relu" else {})


def difference(first: RuleResult, second: RuleResult) -> Difference:
    """The paired difference of two rules' test scores."""
    pairs = zip(first.tuned, second.tuned, strict=True)
    found = estimate([a.test_metric - b.test_metric for a, b in pairs])
    shown = found.low > 0 or found.high < 0
    return Difference(first.name, second.name, found, shown, f"{first.name} and {second.name}")


def result(
    names: Sequence[str] = RULES, *, trials: int = 16, seeds: int = 5, lost: str = "rprop", **more: Any
) -> Result:
    """What a comparison could have found: the first rules are close together, all of `lost`'s trials diverged."""
    tops = [0.979 - 0.0015 * i - (0.012 if i > 3 else 0) - 0.02 * (i > 5) for i in range(len(names))]
    rules = [
        rule_result(name, top, trials=trials, seeds=seeds, lost=1.0 if name == lost else 0.1, **more)
        for name, top in zip(names, tops, strict=True)
    ]
    rules.sort(key=lambda rule: rule.test_metric.mean, reverse=True)
    return Result(
        problem_name="digits",
        metric_name="accuracy",
        maximize=True,
        target=0.95,
        trials=trials,
        seeds=seeds,
        complete=True,
        rules=tuple(rules),
        differences=tuple(difference(rules[0], rule) for rule in rules[1:]),
        notes=[
            "Intervals are 95 % bootstrap intervals over the seeds.",
            "Test data: 15 % of the training data, held out.",
        ],
        study=Study(
            "digits-1a2b3c4d",
            "2026-01-02T03:04:05+00:00",
            _VERSIONS,
            _MACHINE,
            0,
            {"epochs": 15, "batch_size": 32},
        ),
        pruner="halving" if more.get("pruned") else "none",
    )


def one_rule() -> Result:
    """A comparison of one rule."""
    return result(["adam"])


def one_seed() -> Result:
    """A comparison with one seed, which allows no interval."""
    return result(["adam", "sgd"], seeds=1)


def interrupted() -> Result:
    """What Ctrl-C leaves: the second rule searched but not scored, the third not begun."""
    full = result(["adam", "sgd", "lion"])
    searched = rule_result("sgd", 0.95, trials=9, seeds=5, scored=False)
    begun = replace(rule_result("lion", 0.95, trials=1, seeds=5, scored=False), search=(), best=None, expected_best=())
    first = next(rule for rule in full.rules if rule.name == "adam")
    return replace(full, complete=False, rules=(first, searched, begun), differences=())


def nothing_scored() -> Result:
    """What an early Ctrl-C leaves: a few search trials and no score."""
    rule = rule_result("adam", 0.95, trials=3, seeds=5, scored=False)
    return replace(result(["adam"]), complete=False, target=None, rules=(rule,), differences=())
