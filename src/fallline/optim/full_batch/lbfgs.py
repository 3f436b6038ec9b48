"""L-BFGS, as `torch.optim.LBFGS`, and a mode of it for mini-batches."""

from __future__ import annotations

import math

from torch import Tensor

from ...errors import InputError
from ..base import Params
from . import flat
from .base import Closure, Evaluated
from .batches import damped, replayed
from .memory import LimitedMemory
from .quasi_newton import QuasiNewton
from .settings import evaluations

_LEAST = 1e-10
"""The product of a step and the gradient's change from which `torch.optim.LBFGS` keeps the pair."""
_DECREASE = 1e-4
"""The share of the slope by which a step on a batch must lower that batch's loss, as in the line search."""
_HALVINGS = 10


class LBFGS(QuasiNewton):
    """L-BFGS (Liu & Nocedal 1989): a quasi-Newton method that keeps `history_size` steps in place of a matrix.

    Arguments, numbers and state are those of `torch.optim.LBFGS`, and checkpoints are exchanged. A `step(closure)`
    takes up to `max_iter` iterations and about `max_eval` evaluations of the closure (1.25 `max_iter` by default). It
    ends where no entry of the gradient is larger than `tolerance_grad`, or where the loss or all parameters change by
    less than `tolerance_change`. `lr` is the length of a step in units of the quasi-Newton step, and the first that a
    search tries. `line_search_fn="strong_wolfe"` searches as `full_batch/line_search.py` tells.

    It differs from `torch.optim.LBFGS` where that fails: a step to where the loss or its gradient is not finite is
    taken back, or made shorter by the search; a search's step always meets the condition of sufficient decrease; and
    where a search finds no lower loss at all, the memory is dropped, and the next step begins with steepest descent.
    Where `tolerance_change` is below its default, so is the curvature from which a step is remembered.

    `stochastic=True` is for mini-batches: a `step(closure)` is one step on one batch, on which the closure is called
    twice or more, with the same random numbers each time. How the gradient changes over a step is measured on that one
    batch (Schraudolph et al. 2007; Berahas et al. 2016, with batches that overlap in full) and damped (Powell 1978),
    its curvature raised to the mean of what the memory holds. The step is halved while it does not lower its own
    batch's loss; losses and gradients of two batches are never compared. `max_iter`, `max_eval` and the tolerances do
    not count then, and a `history_size` of 10 to 20 is enough.

    Raises `InputError` for a setting that is not allowed, for several parameter groups, and for a missing closure.
    Where the loss is not finite, no step is taken, with a `RuntimeWarning`.
    """

    _own = frozenset({"stochastic"})

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
        stochastic: bool = False,
    ) -> None:
        if stochastic and line_search_fn is not None:
            raise InputError(
                f"line_search_fn={line_search_fn!r} is not allowed for LBFGS with stochastic=True; allowed: None."
            )
        settings = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": evaluations("LBFGS", max_iter, max_eval),
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
            "stochastic": stochastic,
        }
        super().__init__(params, settings)

    def _memory(self) -> LimitedMemory:
        group = self.param_groups[0]
        return LimitedMemory.of(self._kept, group["history_size"], min(_LEAST, group["tolerance_change"] / 10))

    def _closure(self, closure: Closure | None) -> Closure:
        closure = super()._closure(closure)
        return replayed(closure, self._params[0].device) if self.param_groups[0]["stochastic"] else closure

    def _iterate(self, closure: Closure, now: Evaluated) -> str:
        group = self.param_groups[0]
        if not group["stochastic"]:
            return super()._iterate(closure, now)
        if not float(group["lr"]) or not now.largest:
            return ""
        return self._step_on_batch(closure, now)

    def _step_on_batch(self, closure: Closure, now: Evaluated) -> str:
        """One step; returns what was not finite, if that kept it from being taken."""
        state, memory = self._kept, self._memory()
        state["n_iter"] += 1
        direction = memory.direction(now.gradient)
        slope, length = float(now.gradient.dot(direction)), self._length(now)
        if not (math.isfinite(slope) and slope < 0):
            self._forget()
            return "" if math.isfinite(slope) else f"slope is {slope}"
        there, length = self._descend(closure, now, direction, slope, length)
        if not length:
            self._forget()
            return there.trouble
        step, change = direction.mul(length), there.gradient - now.gradient
        memory.learn(step, damped(step, change, now.gradient.mul(-length), memory.curvature()))
        state.update(memory.to_state(), d=direction, t=length, prev_flat_grad=now.gradient, prev_loss=now.value)
        return ""

    def _descend(
        self, closure: Closure, now: Evaluated, direction: Tensor, slope: float, length: float
    ) -> tuple[Evaluated, float]:
        """Move along a direction, half as far until the batch's loss is lower; returns that length, or 0."""
        origin = flat.copy(self._params)
        for _ in range(_HALVINGS):
            there = self._evaluate_at(closure, origin, direction, length)
            if not there.trouble and there.value <= now.value + _DECREASE * length * slope:
                return there, length
            flat.restore(self._params, origin)
            length /= 2
        return there, 0.0
