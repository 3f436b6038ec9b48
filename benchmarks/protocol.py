"""How often a comparison is right where the truth is known: false alarms, power, coverage, by simulation.

`python -m benchmarks.protocol` prints the figures; the tests of the protocol use the same simulations. Scores are drawn
as seeds and rules make them: what a seed has in common for all rules, and what each rule makes of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import nct
from scipy.stats import t as student

from fallline.study.findings.statistics import mean_interval, shown_together, spans_zero

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]


@dataclass(frozen=True)
class Scores:
    """Scores of equally good rules: `draw(rng, (repeats, seeds, rules))`; `step` is the distance of possible ones."""

    draw: Draw
    step: float = 0.0


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return 0.9 + 0.03 * rng.standard_normal((*shape[:2], 1)) + 0.01 * rng.standard_normal(shape)


def _heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return 0.9 + 0.03 * rng.standard_normal((*shape[:2], 1)) + 0.01 * rng.standard_t(3, shape)


def _skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    common = 0.01 * rng.exponential(size=(*shape[:2], 1))
    return np.asarray(1 - common - 0.01 * rng.exponential(size=shape))


def _shares(examples: int, level: float) -> Draw:
    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        chance = np.clip(level + 0.3 * (1 - level) * rng.standard_normal((*shape[:2], 1)), 0, 1)
        return np.asarray(rng.binomial(examples, np.broadcast_to(chance, shape)) / examples)

    return draw


SCORES = {
    "normal": Scores(_normal),
    "heavy tails (t, 3 degrees)": Scores(_heavy),
    "skewed, near 1": Scores(_skewed),
    "accuracy 0.97 of 270": Scores(_shares(270, 0.97), 1 / 270),
    "accuracy 0.99 of 90": Scores(_shares(90, 0.99), 1 / 90),
    "accuracy 0.9 of 20": Scores(_shares(20, 0.9), 1 / 20),
}

MEANS: dict[str, tuple[Draw, float, float]] = {
    "normal": (lambda rng, shape: rng.standard_normal(shape), 0.0, 0.0),
    "uniform": (lambda rng, shape: rng.random(shape), 0.5, 0.0),
    "lognormal, sigma 0.5": (lambda rng, shape: rng.lognormal(0, 0.5, shape), math.exp(0.125), 0.0),
    "lognormal, sigma 1": (lambda rng, shape: rng.lognormal(0, 1, shape), math.exp(0.5), 0.0),
    "mean of 270 at 0.97": (lambda rng, shape: rng.binomial(270, 0.97, shape) / 270, 0.97, 1 / 270),
    "mean of 90 at 0.99": (lambda rng, shape: rng.binomial(90, 0.99, shape) / 90, 0.99, 1 / 90),
    "one coin at 0.7": (lambda rng, shape: rng.binomial(1, 0.7, shape).astype(float), 0.7, 1.0),
}
"""Samples with their true mean and the distance of their possible values."""


def false_alarms(scores: Scores, seeds: int, repeats: int, seed: int = 0) -> float:
    """The share of comparisons of two equal rules that show a difference."""
    drawn = scores.draw(np.random.default_rng(seed), (repeats, seeds, 2))
    return _share_shown(drawn[..., 0] - drawn[..., 1], scores.step)


def power(margin: float, seeds: int, repeats: int, seed: int = 0) -> tuple[float, float, float]:
    """A rule better by `margin` standard deviations of the paired difference: shares shown and expected, share first.

    Expected is the power of Student's paired test, from the noncentral t distribution.
    """
    differences = np.random.default_rng(seed).normal(margin, 1, (repeats, seeds))
    critical, noncentrality = float(student.ppf(0.975, seeds - 1)), margin * math.sqrt(seeds)
    expected = float(nct.sf(critical, seeds - 1, noncentrality) + nct.cdf(-critical, seeds - 1, noncentrality))
    return _share_shown(differences, 0.0), expected, float(np.mean(differences.mean(axis=1) > 0))


def coverage(name: str, n: int, repeats: int, seed: int = 0) -> float:
    """The share of intervals of `n` values of `MEANS[name]` that hold the true mean."""
    draw, mean, step = MEANS[name]
    found = (mean_interval(values, step=step) for values in draw(np.random.default_rng(seed), (repeats, n)))
    return float(np.mean([each.low - 1e-12 <= mean <= each.high + 1e-12 for each in found]))


def family_wise(
    rules: int, seeds: int, repeats: int, behind: Array | None = None, seed: int = 0
) -> tuple[float, float, float]:
    """Of comparisons of many rules: the share with any difference shown, one by one and together, and how many then.

    `behind[k]` is how far rule k is behind, in standard deviations of its score (default: all rules are equal). Then
    only differences between equal rules count as shown falsely; the last number is the mean count of true ones.
    """
    far = np.zeros(rules) if behind is None else behind
    drawn = np.random.default_rng(seed).standard_normal((repeats, seeds, rules)) - far
    alone = together = true = 0
    for scores in drawn:
        leader = int(scores.mean(axis=0).argmax())
        others = [k for k in range(rules) if k != leader]
        leads = [(scores[:, leader] - scores[:, k]).tolist() for k in others]
        equal = [far[k] == far[leader] for k in others]
        shown = shown_together(leads)
        alone += any(not spans_zero(mean_interval(lead)) for lead, same in zip(leads, equal, strict=True) if same)
        together += any(each for each, same in zip(shown, equal, strict=True) if same)
        true += sum(each for each, same in zip(shown, equal, strict=True) if not same)
    return alone / repeats, together / repeats, true / repeats


def _share_shown(differences: Array, step: float) -> float:
    return float(np.mean([not spans_zero(mean_interval(each, step=step)) for each in differences]))


def main() -> None:
    """Print every figure."""
    repeats = {2: 10_000, 3: 10_000, 5: 10_000, 10: 2_000}
    print("Two equal rules: share of comparisons that show a difference (nominal 0.05)")
    for name, scores in SCORES.items():
        row = (f"{n} seeds {false_alarms(scores, n, many):.3f}" for n, many in repeats.items())
        print(f"  {name:28}", *row, sep="   ", flush=True)
    print("\nCoverage of the 95 % interval of a mean")
    for name in MEANS:
        row = (f"{n} values {coverage(name, n, many):.3f}" for n, many in repeats.items())
        print(f"  {name:28}", *row, sep="   ", flush=True)
    print(
        "\nA rule ahead by so many standard deviations of the paired difference: shown (Student's test), ranked first"
    )
    for margin in (0.5, 1.0, 2.0, 3.0):
        cells = ((n, power(margin, n, repeats[n])) for n in (3, 5, 10))
        row = (f"{n} seeds {shown:.2f} ({expected:.2f}), {first:.2f}" for n, (shown, expected, first) in cells)
        print(f"  {margin:28}", *row, sep="   ", flush=True)
    print("\nMany equal rules: share of comparisons with any difference shown, one by one and together")
    for rules in (2, 3, 5, 9):
        cells = ((n, family_wise(rules, n, 1_000 if n < 10 else 200)) for n in (3, 5, 10))
        row = (f"{n} seeds {alone:.3f}, {together:.3f}" for n, (alone, together, _) in cells)
        print(f"  {rules:28}", *row, sep="   ", flush=True)
    print("\nThree equal rules, three 2 and three 5 standard deviations behind: false alarms together, true ones of 6")
    behind = np.repeat([0.0, 2.0, 5.0], 3)
    for n in (3, 5, 10):
        _, together, true = family_wise(9, n, 1_000 if n < 10 else 200, behind)
        print(f"  {n} seeds: {together:.3f}, {true:.1f}", flush=True)


if __name__ == "__main__":
    main()
