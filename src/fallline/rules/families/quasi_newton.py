"""A curvature of each coordinate, estimated from how gradients change."""

from __future__ import annotations

from typing import Annotated

from ..hyper import Beta1, Epsilon, at_least, log
from ..ops import maximum
from ..rule import rule

ApolloRate = Annotated[float, at_least(0), log(1e-2, 10)]


@rule(paper="Ma 2020, arXiv:2009.13586, Algorithm 1, with a convexity of 1")
def apollo(p, g, m, b, d, *, t, lr: ApolloRate = 1.0, beta: Beta1 = 0.9, eps: Epsilon = 1e-4):
    """Divide the average gradient by a diagonal Hessian that obeys the weak secant equation."""
    m_next = m + (1 - beta) / (1 - beta**t) * (g - m)
    s = d**2
    norm = (s**2).sum() ** 0.25 + eps
    alpha = ((d * (m_next - m)).sum() + (b * s).sum()) / norm**4
    b = b - alpha * s
    d = m_next / maximum(b.abs(), 1.0)
    return p - lr * d, m_next, b, d
