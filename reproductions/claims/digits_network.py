"""The digits network of the deck, trained as it says."""

from __future__ import annotations

from fallline.rules import get
from fallline.training import Trial

from ..claim import Source, claim
from ..finding import Finding, percent
from ..lab import Lab, tested


@claim(
    number=4,
    title="The digits network: 64-100-10, tanh, softmax, by plain gradient descent",
    paper="Camuto & Willetts 2019",
    figures="",
    source=Source.NONE,
    smoke={"seeds": 2},
)
def digits_network(lab: Lab, seeds: int = 20) -> list[Finding]:
    """scikit-learn's digits, test share 0.15 with random_state 37, standardized; SGD at lr 0.1, 15 epochs, batches of
    32. A further 0.15 of the training data is held out for validation. Nothing is claimed: these are its scores."""
    problem = lab.problem("digits")
    trials = [Trial(get("sgd"), {"lr": 0.1}, seed, "tuned", seed) for seed in range(seeds)]
    outcomes = lab.train("sgd", problem, trials)
    step = 1 / len(problem.valid)
    return [
        percent("test accuracy", tested(outcomes), step=1 / len(problem.test)),
        percent("validation accuracy", [o.curve[-1].valid_metric for o in outcomes], step=step),
        percent(
            "validation accuracy after one epoch",
            [o.curve[min(1, len(o.curve) - 1)].valid_metric for o in outcomes],
            step=step,
        ),
    ]
