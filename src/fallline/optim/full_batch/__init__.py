"""Methods for whole data sets: each `step(closure)` calls the closure as often as it needs, over one flat vector.

    opt = fallline.optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")       # as torch.optim.LBFGS
    opt = fallline.optim.LBFGS(model.parameters(), history_size=10, stochastic=True)    # a closure a mini-batch
    opt = fallline.optim.Newton(model.parameters())                                     # small models

A quasi-Newton method is a memory of curvature (`memory.py`, `dense.py`) under one iteration (`quasi_newton.py`), with a
line search (`line_search.py`) that knows nothing of tensors; `batches.py` makes it safe on mini-batches. Newton's
method is a quadratic model (`trust_region.py`) of exact derivatives (`derivatives.py`).
"""

from __future__ import annotations

from .base import FullBatch
from .bfgs import BFGS
from .lbfgs import LBFGS
from .newton import Newton

METHODS: dict[str, type[FullBatch]] = {cls.__name__: cls for cls in (BFGS, LBFGS, Newton)}
"""The classes that `fallline.optim` has by name beside those of the rules."""

__all__ = ["BFGS", "LBFGS", "METHODS", "FullBatch", "Newton"]
