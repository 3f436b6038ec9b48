"""Training: trials go in, outcomes come out as they end, in whatever order and however many at once.

A trial is a value (a rule, its settings, a seed), and its outcome depends on the problem and on that value
alone: initial weights, dropout and data order are drawn from the seed, so that rules can be compared seed by
seed.

    trials = [Trial(get("adam"), {"lr": lr}, seed=0, kind="search") for lr in (1e-3, 1e-2)]
    for index, outcome in train(problem, trials):
        print(trials[index].settings, outcome.state, outcome.curve[-1].valid_metric)

- watch it: `train(problem, trials, on_epoch=lambda index, point: print(index, point.epoch,
  point.valid_loss))`;
- score a model on test data too: a trial with `kind="tuned"` or `kind="default"`;
- score any model: `evaluate(model, problem, problem.test)`.

How trials are run (`loop.py`) is apart from how one is trained (`single.py`): another way to run them is
another function behind `train`.
"""

from __future__ import annotations

from .evaluate import Score, evaluate
from .loop import train
from .trial import Outcome, Point, Trial

__all__ = ["Outcome", "Point", "Score", "Trial", "evaluate", "train"]
