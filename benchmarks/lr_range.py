"""What the learning-rate range test's suggestion is worth: the test accuracy it costs against the best rate of a grid.

`python -m benchmarks.lr_range` trains every rule on every built-in problem that needs no download, at rates across the
rule's search range, and prints how far the suggestion is from the best of them and what that costs.
"""

from __future__ import annotations

import math

import numpy as np

from fallline import lr_range
from fallline.problems import Problem, load
from fallline.rules import get
from fallline.training import Trial, train

PROBLEMS = ("digits", "moons", "breast_cancer")
RULES = ("sgd", "momentum", "adam", "adamw", "rmsprop", "lion", "adagrad")
RATES, SEEDS = 13, (11, 12, 13)


def worth(problem: Problem, rule: str) -> tuple[float, float, float, float]:
    """The suggestion, the best rate of the grid, and the mean test accuracies at both."""
    suggestion = lr_range(problem, rule, progress=False).suggestion
    assert suggestion is not None
    space = get(rule).space["lr"]
    grid = np.geomspace(space.low, space.high, RATES).tolist()
    scores = _scores(problem, rule, [suggestion.mean, *grid])
    best = max(grid, key=scores.__getitem__)
    return suggestion.mean, best, scores[suggestion.mean], scores[best]


def _scores(problem: Problem, rule: str, rates: list[float]) -> dict[float, float]:
    trials = [Trial(get(rule), {"lr": rate}, seed, "tuned") for rate in rates for seed in SEEDS]
    found: dict[float, list[float]] = {rate: [] for rate in rates}
    for ended in train(problem, trials):
        for index, outcome in ended:
            assert outcome.test_metric is not None
            found[trials[index].settings["lr"]].append(outcome.test_metric)
    return {rate: float(np.mean(values)) for rate, values in found.items()}


def main() -> None:
    """Print a line for every pair of problem and rule, and the summary."""
    costs, decades = [], []
    for name in PROBLEMS:
        problem = load(name)
        for rule in RULES:
            suggested, best, at_suggested, at_best = worth(problem, rule)
            costs.append(100 * (at_best - at_suggested))
            decades.append(math.log10(suggested / best))
            print(
                f"{name:14} {rule:9} suggested {suggested:8.2g} ({100 * at_suggested:5.1f} %), "
                f"best of {RATES} {best:8.2g} ({100 * at_best:5.1f} %)",
                flush=True,
            )
    print(
        f"\n{len(costs)} pairs: {np.mean(costs):.1f} points of test accuracy lost, median {np.median(costs):.1f}, "
        f"at most {max(costs):.1f};\nthe suggestion is {np.mean(decades):+.2f} decades from the best rate on "
        f"average, with a standard deviation of {np.std(decades):.2f}."
    )


if __name__ == "__main__":
    main()
