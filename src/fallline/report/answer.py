"""The answer in two sentences: which rule, at which settings, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .words import Measure, duration, leads, listed, scored

if TYPE_CHECKING:
    from ..problems import Setting
    from ..study.result import Difference, Result, RuleResult


@dataclass(frozen=True)
class Answer:
    """The winner (None when nothing has a score), its settings, the sentences around them, what is missing."""

    winner: RuleResult | None
    settings: dict[str, Setting]
    head: str
    sure: str
    facts: str
    missing: str


def answer(result: Result, measure: Measure) -> Answer:
    """What the comparison says, in words."""
    ranked = scored(result)
    winner = ranked[0] if ranked else None
    settings = tuned_settings(winner) if winner else {}
    return Answer(winner, settings, _head(result, measure), _sure(result, measure), _facts(result), _missing(result))


def tuned_settings(rule: RuleResult) -> dict[str, Setting]:
    """The settings of the tuned runs, the problem's own ones after the rule's; none before there are such runs."""
    return {**rule_settings(rule), **rule.tuned[0].own} if rule.tuned else {}


def rule_settings(rule: RuleResult) -> dict[str, float]:
    """The rule's settings in its tuned runs, those that were searched or are not the default."""
    settings = rule.tuned[0].settings if rule.tuned else {}
    fixed = {name: value for name, value in rule.rule.defaults.items() if name not in rule.rule.space}
    return {name: value for name, value in settings.items() if fixed.get(name) != value}


def _head(result: Result, measure: Measure) -> str:
    ranked = scored(result)
    if not ranked:
        lost = result.rules and all(rule.search and rule.diverged_share >= 1 for rule in result.rules)
        return "No answer: every trial diverged" if lost else "No answer yet: no tuned rule has been scored"
    estimate = ranked[0].test_metric
    assert estimate is not None
    score = measure.text(estimate.mean, measure.digits(rule.test_metric for rule in ranked))
    return f"reaches {score} test {measure.name} on {result.problem_name}"


def _sure(result: Result, measure: Measure) -> str:
    return _certainty(result, measure) + _defaults(result, measure) if scored(result) else ""


def _defaults(result: Result, measure: Measure) -> str:
    """A warning when some rule's defaults did as well as the tuned winner: tuning then shows no gain."""
    sign = 1 if measure.maximize else -1
    known = [(sign * rule.default_metric.mean, rule) for rule in result.rules if rule.default_metric]
    best = scored(result)[0]
    top, rule = max(known, key=lambda each: each[0], default=(-math.inf, best))
    if best.test_metric is None or rule.default_metric is None or top < sign * best.test_metric.mean:
        return ""
    digits = measure.digits(each.test_metric for each in result.rules)
    whose = "its own defaults" if rule is best else f"the defaults of {rule.name}"
    score = measure.text(rule.default_metric.mean, digits)
    return f" But {whose} did no worse ({score}), so tuning shows no gain here."


def _certainty(result: Result, measure: Measure) -> str:
    ranked = scored(result)
    best, estimate = ranked[0], ranked[0].test_metric
    assert estimate is not None
    digits = measure.digits(rule.test_metric for rule in ranked)
    if estimate.has_interval:
        sentence = f"The 95 % interval over {estimate.n} seeds is {measure.interval(estimate, digits)}."
    else:
        sentence = "One seed allows no interval: how sure this is cannot be said."
    if len(ranked) == 1:
        return sentence if len(result.rules) == 1 else f"{sentence} No other rule has a score."
    if not estimate.has_interval:
        return sentence
    found = leads(result)
    level = [difference.second for difference in found if not difference.shown]
    if level:
        beaten = len(found) - len(level)
        ahead = f"; {best.name} is ahead of the other {beaten}" if beaten > 1 else ""
        # The runners-up by name; who asks for the others finds them right below.
        named = level if len(level) <= 5 else [*level[:4], f"{len(level) - 4} more"]
        return f"{sentence} No difference shown between {best.name} and {listed(named)}{ahead}."
    return f"{sentence} {_lead(found[0], measure)}" if found else sentence


def _lead(difference: Difference, measure: Measure) -> str:
    mean, low, high = measure.lead(difference)
    digits = measure.digits([difference.estimate])
    return (
        f"{difference.first} is ahead of the runner-up, {difference.second}, "
        f"by {measure.points(mean, digits)} "
        f"({measure.points(low, digits, unit=False)} to {measure.points(high, digits)}, paired by seed)."
    )


def _facts(result: Result) -> str:
    records = [record for rule in result.rules for record in (*rule.search, *rule.tuned, *rule.default)]
    parts = [
        _count(len(result.rules), "rule"),
        f"{_count(result.trials, 'search trial')} each",
        f"{_count(result.seeds, 'fresh seed')} for the scores",
        f"{_count(len(records), 'training run')} in all",
    ]
    spent = sum(record.seconds for record in records)
    return ", ".join(parts) + (f", {duration(spent)} of training." if spent else ".")


def _missing(result: Result) -> str:
    done = sum(len(rule.search) for rule in result.rules)
    final = sum(len(rule.tuned) + len(rule.default) for rule in result.rules)
    rules = len(result.rules)
    return (
        f"The comparison was interrupted: {done} of {rules * result.trials} search trials and {final} of "
        f"{rules * result.seeds * 2} final runs are done, so the ranking may change."
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
