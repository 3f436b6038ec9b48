"""Training: trials go in, outcomes come out as they end, in whatever order and however many at once.

A trial is a value (a rule, its settings, a seed), and its outcome depends on the problem and on that value: initial
weights, dropout and data order are drawn from the seed, so that rules can be compared seed by seed.

    trials = [Trial(get("adam"), {"lr": lr}, seed=0, kind="search") for lr in (1e-3, 1e-2)]
    for ended in train(problem, trials):
        for index, outcome in ended:
            print(trials[index].settings, outcome.state, outcome.curve[-1].valid_metric)

- watch it: `train(problem, trials, on_epoch=lambda index, point: print(index, point.epoch,
  point.valid_loss))`;
- score a model on test data too: a trial with `kind="tuned"` or `kind="default"`;
- score any model: `evaluate(model, problem, problem.test)`;
- end early in a loop of your own: `EarlyStopping(patience)`, which a problem's `patience` does for trials;
- have the trained weights, or those on the way: `train(problem, trials, snapshots=Snapshots(steps, take))`.

Trials that train together are a *crew*: a `stack` of many as one program, or one `alone`. A *group* is what is begun
and checkpointed together (`group.py`): one crew, or all crews among which successive halving selects. How many make
a crew is measured (`calibrate.py`). Another way to train trials is another crew.
"""

from __future__ import annotations

from ..problems import Setting
from .calibrate import calibrate
from .evaluate import Score, evaluate
from .execution import Execution
from .group import Rungs
from .loop import train
from .snapshots import Snapshots, Weights
from .stopping import EarlyStopping, best_epoch
from .trial import Outcome, Point, Trial

__all__ = [
    "EarlyStopping",
    "Execution",
    "Outcome",
    "Point",
    "Rungs",
    "Score",
    "Setting",
    "Snapshots",
    "Trial",
    "Weights",
    "best_epoch",
    "calibrate",
    "evaluate",
    "train",
]
