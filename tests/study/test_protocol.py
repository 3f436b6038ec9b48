"""The comparison where the truth is known: equal rules are not told apart, better ones are found, intervals hold.

Scores are drawn by `benchmarks.protocol`, a training stands in for the real one, or the real one trains small models.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from benchmarks.protocol import MEANS, SCORES, Scores, coverage, false_alarms, family_wise, power
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm

from fallline.problems import load
from fallline.rules import Range, Rule, get
from fallline.study import Result, compare
from fallline.study.findings.statistics import expected_best, holm, mean_interval, shown_together, spans_zero, student_p
from fallline.training import Trial

from .standins import Problem, Training, outcome, twin


def at_most(rate: float, repeats: int) -> float:
    """A share that chance exceeds once in a thousand tests where the true one is `rate`."""
    return float(binom.ppf(0.999, repeats, rate)) / repeats


class Drawn:
    """A training in which every rule's score at a seed is a column of a draw: what the seed does is common to all."""

    def __init__(self, scores: Scores, repeat: int, gain: Callable[[Trial], float]) -> None:
        self.scores, self.repeat, self.gain = scores, repeat, gain

    def __call__(self, problem: Any, trials: Sequence[Trial], *, may_start: Any, **_: Any) -> Iterator[Any]:
        yield [(index, outcome(trials[index], self.quality(trials[index]))) for index in may_start(range(len(trials)))]

    def quality(self, trial: Trial) -> float:
        kind = ("search", "default", "tuned").index(trial.kind)
        rng = np.random.default_rng([self.repeat, trial.seed, kind, trial.number])
        known = {"sgd": 0, "other": 1, "adam": 2}.get(trial.rule.name)
        column = int(trial.rule.name.removeprefix("rule")) if known is None else known
        return float(self.scores.draw(rng, (1, 1, 9))[0, 0, column]) + self.gain(trial)


def run(
    rules: list[Rule], scores: Scores, repeat: int, seeds: int = 5, gain: Callable[[Trial], float] = lambda trial: 0.0
) -> Result:
    """A whole comparison, from drawn scores to the result."""
    test = round(1 / scores.step) if scores.step else 200
    problem = Problem(share=scores.step > 0, sizes={"train": 600, "valid": test, "test": test})
    return compare(problem, rules, trials=1, seeds=seeds, progress=False, _train=Drawn(scores, repeat, gain))


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize(("seeds", "repeats"), [(2, 1000), (3, 1000), (5, 1000), (10, 200)])
def test_two_equal_rules_are_told_apart_once_in_twenty_times(name: str, seeds: int, repeats: int) -> None:
    assert false_alarms(SCORES[name], seeds, repeats) <= at_most(0.06, repeats)


def test_a_whole_comparison_of_two_equal_rules_shows_no_difference() -> None:
    rules = [get("sgd"), twin("sgd", "other")]
    shown = [run(rules, SCORES["normal"], repeat).differences[0].shown for repeat in range(40)]
    assert np.mean(shown) <= at_most(0.05, 40)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_whole_comparisons_of_two_equal_rules(name: str, seeds: int) -> None:
    rules = [get("sgd"), twin("sgd", "other")]
    shown = [run(rules, SCORES[name], repeat, seeds).differences[0].shown for repeat in range(150)]
    assert np.mean(shown) <= at_most(0.06, 150)


@pytest.mark.parametrize(
    ("margin", "seeds", "repeats"), [(1.0, 5, 1000), (2.0, 3, 1000), (2.0, 5, 1000), (1.0, 10, 200)]
)
def test_a_known_margin_is_shown_as_often_as_students_test_would(margin: float, seeds: int, repeats: int) -> None:
    shown, expected, first = power(margin, seeds, repeats)
    error = 3.3 * math.sqrt(expected * (1 - expected) / repeats)
    assert abs(shown - expected) < error + 0.02
    assert first == pytest.approx(norm.cdf(margin * math.sqrt(seeds)), abs=0.02)


def test_a_whole_comparison_ranks_the_better_rule_first_and_shows_it() -> None:
    """Ahead by two standard deviations of the paired difference; what the seeds have in common is twice that."""

    def gain(trial: Trial) -> float:
        return 0.01 * math.sqrt(2) * 2 if trial.rule.name == "adam" else 0.0

    results = [run([get("sgd"), get("adam")], SCORES["normal"], repeat, gain=gain) for repeat in range(40)]
    assert all(result.best.name == "adam" for result in results)
    assert np.mean([result.differences[0].shown for result in results]) >= 1 - at_most(1 - 0.91, 40)
    assert np.mean([result.differences[0].estimate.mean for result in results]) == pytest.approx(0.0283, abs=0.003)


def test_what_the_seeds_have_in_common_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        own, common = rng.normal(size=(2, 5)), 100 * rng.normal(size=5)
        alone = mean_interval((own[0] - own[1]).tolist())
        paired = mean_interval(((own[0] + common) - (own[1] + common)).tolist())
        assert (paired.low, paired.high) == pytest.approx((alone.low, alone.high), abs=1e-9)


@pytest.mark.parametrize(("rules", "seeds"), [(3, 5), (9, 3), (9, 5)])
def test_of_many_equal_rules_hardly_any_report_tells_one_apart(rules: int, seeds: int) -> None:
    alone, together, _ = family_wise(rules, seeds, 200)
    assert together <= at_most(0.05, 200)
    assert alone > together  # what the correction is for


def test_many_rules_that_do_differ_are_still_told_apart() -> None:
    """Three equal rules, and six that are ten standard deviations behind."""
    _, together, true = family_wise(9, 5, 100, np.repeat([0.0, 10.0, 10.0], 3))
    assert together <= at_most(0.05, 100)
    assert true > 5


def test_a_whole_comparison_of_nine_equal_rules() -> None:
    rules = [twin("sgd", f"rule{k}") for k in range(9)]
    results = [run(rules, SCORES["normal"], repeat) for repeat in range(15)]
    assert np.mean([any(d.shown for d in result.differences) for result in results]) <= at_most(0.05, 15)


def test_holms_step_down() -> None:
    """By hand: the smallest p-value times the whole family, the next times one less, never falling."""
    assert holm([0.01, 0.04, 0.03, 0.005], 4) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.01, 0.04], 6) == pytest.approx((0.06, 0.2))
    assert holm([0.9, 0.8], 3) == (1.0, 1.0)
    assert holm([], 1) == ()


def test_students_p_value_is_scipys() -> None:
    from scipy.stats import ttest_1samp

    values = [0.1, 0.3, -0.05, 0.2, 0.15]
    assert student_p(values) == pytest.approx(ttest_1samp(values, 0).pvalue)
    assert student_p([1.0]) == student_p([]) == student_p([0.0, 0.0]) == student_p([math.nan, 1.0]) == 1.0
    assert student_p([0.5, 0.5]) == 0.0
    assert student_p([0.5, 0.5], step=0.5) > 0.05
    assert shown_together([[], [0.5, 0.6, 0.55]]) == (False, True)
    assert shown_together([]) == ()


def test_few_equal_differences_on_a_coarse_scale_are_no_certainty() -> None:
    example = 1 / 90
    assert not spans_zero(mean_interval([example] * 2))
    assert spans_zero(mean_interval([example] * 2, step=example))
    assert spans_zero(mean_interval([example] * 3, step=example))
    assert not spans_zero(mean_interval([5 * example] * 3, step=example))
    wide = mean_interval([0.1, 0.5, 0.9])
    assert mean_interval([0.1, 0.5, 0.9], step=example) == wide


# Student's interval covers the mean of lognormal values of sigma 1 in 82 to 87 % of samples of these sizes.
LEAST = {"lognormal, sigma 0.5": 0.90, "lognormal, sigma 1": 0.81}


@pytest.mark.slow
@pytest.mark.parametrize("name", MEANS)
@pytest.mark.parametrize(("n", "repeats"), [(2, 4000), (3, 4000), (5, 4000), (10, 1000)])
def test_coverage_of_a_mean(name: str, n: int, repeats: int) -> None:
    least = LEAST.get(name, 0.92)
    assert coverage(name, n, repeats) >= least - 3.3 * math.sqrt(least * (1 - least) / repeats)


@pytest.mark.parametrize("maximize", [True, False])
@given(values=st.lists(st.sampled_from([0.0, 0.1, 0.1, 0.5, 0.9, 1.0, math.nan, -math.inf, math.inf]), max_size=7))
def test_expected_best_of_ties_and_of_what_is_no_number(maximize: bool, values: list[float]) -> None:
    """Against every subset of every size; what is not a number is the worst."""
    worst = -math.inf if maximize else math.inf
    best = max if maximize else min
    found = expected_best(values, maximize)
    for budget, expected in enumerate(found, start=1):
        subsets = itertools.combinations([worst if math.isnan(v) else v for v in values], budget)
        bests = [best(subset) for subset in subsets]
        finite = all(map(math.isfinite, bests))
        if finite:
            assert expected == pytest.approx(math.fsum(bests) / len(bests), abs=1e-12)
        elif len({each for each in bests if math.isinf(each)}) == 1:
            assert expected == next(each for each in bests if math.isinf(each))
        else:
            assert not math.isfinite(expected)


@pytest.mark.parametrize("maximize", [True, False])
def test_expected_best_of_a_search_counts_diverged_trials_as_untrained(maximize: bool) -> None:
    def quality(trial: Trial) -> float | None:
        return None if trial.settings["lr"] > 0.2 else round(0.5 + 0.1 * math.log10(trial.settings["lr"]), 1)

    result = compare(Problem(maximize=maximize), ["sgd"], trials=8, seeds=1, progress=False, _train=Training(quality))
    search = result.best.search
    assert 0 < sum(t.diverged for t in search) < 8
    scores = [0.1 if t.diverged else t.curve[-1].valid_metric for t in search]
    assert len(set(scores)) < 8
    best = max if maximize else min
    for budget, expected in enumerate(result.best.expected_best, start=1):
        bests = [best(subset) for subset in itertools.combinations(scores, budget)]
        assert expected == pytest.approx(np.mean(bests))


@pytest.mark.slow
def test_real_training_of_one_rule_under_two_names_and_of_a_crippled_one() -> None:
    sgd = get("sgd")
    slow = replace(sgd.hypers["lr"], default=1e-3, search=Range(1e-3, 2e-3, "log"))
    crippled = replace(twin("sgd", "crippled"), hypers={**sgd.hypers, "lr": slow})
    result = compare(load("moons"), [get("adam"), twin("adam", "other"), crippled], trials=8, seeds=5, progress=False)
    assert result.rules[-1].name == "crippled"
    assert {rule.name for rule in result.rules[:2]} == {"adam", "other"}
    twins, behind = result.differences
    assert not twins.shown
    assert behind.shown
    assert behind.second == "crippled"
