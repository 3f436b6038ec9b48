"""A full matrix of curvature: the approximation of the inverse Hessian that BFGS keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...errors import InputError
from . import flat
from .memory import products

_LARGEST = 20_000
"""Parameters: their matrix takes 3 GiB in double precision."""


@dataclass
class DenseMemory:
    """The inverse Hessian, n x n, once a step has been learnt from; the identity before."""

    inverse: Tensor | None = None

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> DenseMemory:
        """The memory that a state holds."""
        return cls(state.get("inverse_hessian"))

    def to_state(self) -> Mapping[str, Any]:
        return {"inverse_hessian": self.inverse}

    def learn(self, step: Tensor, change: Tensor) -> None:
        """Update the matrix (Nocedal & Wright 2006, equation 6.17), unless the step's curvature is not positive."""
        s, y = step, change
        found = products(s, y)
        if found is None:
            return
        if self.inverse is None:
            self.inverse = torch.eye(len(s), dtype=s.dtype, device=s.device)
        product, _ = found
        hy = self.inverse.mv(y)
        u = s * ((1 + float(y.dot(hy)) / product) / (2 * product)) - hy / product
        self.inverse.addmm_(torch.stack((s, u), 1), torch.stack((u, s)))

    def direction(self, gradient: Tensor) -> Tensor:
        """The gradient times the negative inverse Hessian."""
        return gradient.neg() if self.inverse is None else self.inverse.mv(gradient).neg_()


def check_size(method: str, params: Sequence[Tensor]) -> None:
    """Raises `InputError` for more parameters than a matrix over them has room for."""
    n = flat.size(params)
    if n > _LARGEST:
        raise InputError(
            f"{method} was given {n:,} parameters, and keeps a matrix of {n:,} x {n:,}; "
            f"at most {_LARGEST:,} parameters are allowed. LBFGS keeps no matrix."
        )
