"""Averages of weights along a training run, beside whatever optimizer takes the steps.

A kind of average says two things: which iterates it takes (`counts`), and how much of what it has so far it keeps when
it takes one more (`keep`). Exponential, Polyak's and stochastic weight averaging differ in nothing else. Storage and
arithmetic are PyTorch's (`torch.optim.swa_utils`).

In a loop of your own:

    average = averages.Average(model, "ema(0.999)")
    for step, (x, y) in enumerate(batches):
        ...                                              # forward, backward, optimizer.step()
        average.update(step, steps)
    average.recalibrate(x for x, _ in batches)           # batch norms: statistics of the averaged weights
    with average.applied():                              # the model holds the average inside
        evaluate(model)

As text: `parse("swa(start=75%, every=1%)")`, or `every=1 epoch` with `update(step, steps, epoch)`; `names()` lists the
kinds. `Problem(..., average="swa")` has every trial judged at its average, and so has `--average` of `fallline
compare`, `train` and `ensemble`. An average inside the optimizer's own kernel, which is compared like a rule, is the
modifier `ema` of `fallline.rules`. A new kind is one decorated function in `kinds.py`.
"""

from __future__ import annotations

from .average import Average
from .kinds import Kind, names, parse
from .stacked import StackedAverage

__all__ = ["Average", "Kind", "StackedAverage", "names", "parse"]
