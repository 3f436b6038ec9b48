"""BFGS over the whole inverse Hessian."""

from __future__ import annotations

from torch import Tensor

from ..base import Params
from .base import Evaluated
from .dense import DenseMemory, check_size
from .quasi_newton import QuasiNewton
from .settings import evaluations


class BFGS(QuasiNewton):
    """BFGS (Nocedal & Wright 2006, Algorithm 6.1): a quasi-Newton method that keeps the whole inverse Hessian, n x n.

    For up to some thousand parameters. A `step(closure)` takes up to `max_iter` iterations and about `max_eval`
    evaluations of the closure (1.25 `max_iter` by default). It ends where no entry of the gradient is larger than
    `tolerance_grad`, or where the loss or all parameters change by less than `tolerance_change`. `lr` is the longest
    step that the strong Wolfe search tries first, in units of the quasi-Newton step; `line_search_fn=None` takes it as
    it is. The first matrix is the identity, and a step over which the curvature is not positive is left out of it.

    Raises `InputError` for a setting that is not allowed, for too many parameters or several parameter groups, and for
    a missing closure. Where the loss is not finite, no step is taken, with a `RuntimeWarning`.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        line_search_fn: str | None = "strong_wolfe",
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "max_iter": max_iter,
                "max_eval": evaluations("BFGS", max_iter, max_eval),
                "tolerance_grad": tolerance_grad,
                "tolerance_change": tolerance_change,
                "line_search_fn": line_search_fn,
            },
        )
        check_size("BFGS", self._params)

    def _length(self, now: Evaluated, slope: float = 0.0, earlier: float | None = None) -> float:
        """As long as the last step's decrease foretells, up to `lr` (Nocedal & Wright 2006, equation 3.60)."""
        length = super()._length(now, slope, earlier)
        if earlier is None or self.param_groups[0]["line_search_fn"] is None:
            return length
        foretold = 2.02 * (now.value - earlier) / slope
        return min(length, foretold) if foretold > 0 else length

    def _memory(self) -> DenseMemory:
        return DenseMemory.of(self._kept)
