"""Cosines, once or again and again."""

from __future__ import annotations

import math

from ..schedule import AtLeastOne, Factor, Positive, Updates, schedule


@schedule(paper="Loshchilov & Hutter 2017, arXiv:1608.03983, equation 5, without restarts")
def cosine(at: float, steps: float, *, end: Factor = 0.0) -> float:
    """Down to `end` as half a cosine."""
    return end + (1 - end) * (1 + math.cos(math.pi * at / steps)) / 2


@schedule(paper="Loshchilov & Hutter 2017, arXiv:1608.03983, equation 5")
def restarts(
    at: float, steps: float, period: Updates, *, mult: AtLeastOne = 1.0, decay: Positive = 1.0, end: Factor = 0.0
) -> float:
    """Warm restarts: cosines of `period`, each `mult` times longer than the last and `decay` times as high."""
    number, since, length = _period(at, period, mult)
    return end + (decay**number - end) * (1 + math.cos(math.pi * since / length)) / 2


@schedule(paper="Loshchilov & Hutter 2019, arXiv:1711.05101, appendix B.1", sets=("weight_decay",))
def normalized(at: float, steps: float) -> float:
    """Weight decay that does not depend on the length of training: one over the root of its updates."""
    return float(steps**-0.5)


@schedule(
    paper="Loshchilov & Hutter 2019, arXiv:1711.05101, section 3 and appendix B (AdamWR)", sets=("lr", "weight_decay")
)
def normalized_restarts(
    at: float, steps: float, period: Updates, *, mult: AtLeastOne = 1.0, decay: Positive = 1.0, end: Factor = 0.0
) -> tuple[float, float]:
    """Warm restarts, with a weight decay normalized by each period: one over the root of the period's updates."""
    _, _, length = _period(at, period, mult)
    return restarts(at, steps, period, mult=mult, decay=decay, end=end), length**-0.5


def _period(at: float, first: float, mult: float) -> tuple[int, float, float]:
    """The number of the period, from 0, the updates since it began, and its length."""
    if mult == 1:
        number, since = divmod(at, first)
        return int(number), since, first
    number, since, length = 0, at, first
    while since >= length:
        number, since, length = number + 1, since - length, length * mult
    return number, since, length
