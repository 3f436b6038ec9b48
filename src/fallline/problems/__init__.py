"""Problems: a model, its data, a loss and a metric together, checked once, so that any rule can try them.

A `Problem` that exists can be trained: what does not fit (labels out of range, a model that fails on its
batch, ...) is said when it is made. It has four ways in:

- your own, from tensors, arrays or Datasets: `Problem(Net, train=(x, y), metric="accuracy", epochs=15)`;
- your own, in a file or a module: `load("my_model.py:problem")`, `load("my_package.problems:segmentation")`;
- your own data, to which a network is given: `load("table.csv", target="price")` (`tables`), `load("pictures/")`
  (`pictures`), `load("hf:NAME")` (`hub`); `problem.notes` say what was made of them;
- built in: `load("digits")`; `names()` lists them.

A problem may have hyper-parameters of its own, searched beside those of the rules:
`Problem(model, ..., space={"width": whole(16, 256, log=True)})`; see `space.py`. Other keyword arguments of its model,
augmentation and loss are set without being searched: `load("fashion_mnist_mlp").with_settings({"dropout": 0.5})`.

`problem.build(seed)` is a fresh model, `problem.train.batches(...)` its data; `problem.scheduled("cosine")`,
`problem.augmented_by("flip > crop(4)")` and others (`variants.py`) are the same problem otherwise trained. A new
built-in problem is one decorated function in `builtin/`; a new metric is a line in `metric.py`.
"""

from __future__ import annotations

from ..rules.hyper import linear, log
from .builtin import names, summary
from .data import Arrays, Split, Stream
from .load import load
from .metric import Metric
from .problem import Problem
from .seeds import derive, generator, seeded
from .space import Setting, choice, when, whole

__all__ = [
    "Arrays",
    "Metric",
    "Problem",
    "Setting",
    "Split",
    "Stream",
    "choice",
    "derive",
    "generator",
    "linear",
    "load",
    "log",
    "names",
    "seeded",
    "summary",
    "when",
    "whole",
]
