"""Plain gradient descent against Adam, in a softmax classifier and in one with a hidden layer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from fallline import Problem, models
from fallline.study.result import TrialRecord

from ..claim import Source, claim
from ..finding import Finding, above, percent, points
from ..lab import Lab, examples

RULES, KINDS = ("sgd", "adam"), ("default", "tuned")
BEFORE, AFTER = 91, 96
"""The notes' accuracies in percent."""


@claim(
    number=5,
    title="Adam in place of plain gradient descent lifts MNIST accuracy from about 91 % to about 96 %",
    paper="EMCS lecture notes",
    figures="about 91 % by gradient descent, about 96 % by Adam",
    source=Source.MEMORY,
    smoke={"pictures": 256, "held_out": 500, "trials": 1, "seeds": 2},
)
def softmax_adam(
    lab: Lab, pictures: int = 12_800, held_out: int = 10_000, trials: int = 8, seeds: int = 5
) -> list[Finding]:
    """Fashion-MNIST, a harder twin of MNIST, 12,800 training pictures, 5 epochs, batches of 128: a softmax classifier
    (784-10) and the same with a hidden layer (784-128-10, ReLU). Both rules at their defaults (lr 0.001 for both), and
    at the best of 8 random settings each, chosen on validation data; test accuracy over fresh seeds. Of each network
    two things are claimed: that it gains more than 5 points by Adam, and that it comes above 96 %."""
    whole = lab.problem("fashion_mnist")
    train, valid, test = (
        examples(whole.train, pictures),
        examples(whole.valid, held_out),
        examples(whole.test, held_out),
    )
    found = []
    for name, widths in {"softmax": (784, 10), "hidden layer": (784, 128, 10)}.items():
        model = partial(models.mlp, *widths)
        problem = Problem(model, train, valid, test, batch_size=128, epochs=5, name=f"fashion-mnist, {name}")
        part, step = name.replace(" ", "_"), 1 / len(problem.test)
        network = f"{name} ({'-'.join(map(str, widths))})"
        scores = lab.part(f"{part}_scores", partial(_scores, lab, part, problem, trials, seeds))
        for kind in KINDS:
            sgd, adam = (scores[rule][kind] for rule in RULES)
            found += [
                percent(f"{network}, {kind}: test accuracy by gradient descent", sgd, step=step),
                percent(f"{network}, {kind}: test accuracy by Adam", adam, above(AFTER), step),
                points(f"{network}, {kind}: Adam minus gradient descent", adam, sgd, above(AFTER - BEFORE), step),
            ]
    return found


def _scores(lab: Lab, name: str, problem: Problem, trials: int, seeds: int) -> dict[str, dict[str, list[float]]]:
    """Test accuracies by rule and kind, in the order of seeds."""
    result = lab.compare(name, problem, RULES, trials, seeds)
    return {rule.name: {kind: _accuracies(getattr(rule, kind)) for kind in KINDS} for rule in result.rules}


def _accuracies(trials: Sequence[TrialRecord]) -> list[float]:
    by_seed = {trial.seed: trial.test_metric for trial in trials if trial.test_metric is not None}
    return [by_seed[seed] for seed in sorted(by_seed)]
