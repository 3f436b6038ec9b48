"""Two rules as a user would write them: one that looks at each element alone, and one for matrices."""

from __future__ import annotations

from typing import Annotated, Any

from fallline.rules import initial, rule, shaped, where


@rule
def _own_drift(p, g, m, v, *, t, lr=0.01, beta1=0.9, beta2=0.99, eps=1e-6):
    """Moments, with a first step along the gradient itself."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    return p - lr * where(t > 1, m, g) / ((v / (1 - beta2**t)).sqrt() + eps), m, v


@rule(otherwise=_own_drift, flat=True)
def _own_turned(
    p, g, m, q: Annotated[Any, shaped("rows", "rows"), initial("eye")], *, t, lr=0.01, beta1=0.9, memory=0.5
):
    """A momentum that is turned by a matrix of how the rows of gradients go together."""
    m = beta1 * m + (1 - beta1) * g
    q = memory * q + (1 - memory) * g @ g.mT
    u = q @ m
    return p - lr * u / (u.norm() + 1e-6), m, q


ELEMENTS, MATRICES = _own_drift, _own_turned
