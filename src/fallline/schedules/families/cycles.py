"""Up and down again: triangles, and the one cycle."""

from __future__ import annotations

import math

from ..schedule import Absolute, AtLeastOne, Positive, Share, Updates, schedule

_TRIANGLES = "Smith 2017, arXiv:1506.01186, section 3"


@schedule(paper=_TRIANGLES)
def triangular(at: float, steps: float, half: Updates, *, low: Share = 0.1) -> float:
    """From `low` up to 1 in `half` a cycle, down again in the other half, and so on."""
    return low + (1 - low) * _height(at, half)


@schedule(paper=_TRIANGLES)
def triangular2(at: float, steps: float, half: Updates, *, low: Share = 0.1) -> float:
    """Triangles above `low`, each half as high as the last."""
    return float(low + (1 - low) * _height(at, half) / 2 ** (at // (2 * half)))


@schedule(paper=_TRIANGLES, lengths={"every": "1 epoch"})
def exp_range(
    at: float, steps: float, half: Updates, every: Updates, *, low: Share = 0.1, factor: Positive = 0.9
) -> float:
    """Triangles above `low`, their height times `factor` over every so much training, evenly."""
    return float(low + (1 - low) * _height(at, half) * factor ** (at / every))


@schedule(
    paper="Smith & Topin 2017, arXiv:1708.07120; momentum as in Smith 2018, arXiv:1803.09820",
    sets=("lr", "momentum"),
    lengths={"peak": "30%"},
)
def one_cycle(
    at: float,
    steps: float,
    peak: Updates,
    *,
    div: AtLeastOne = 25.0,
    final_div: AtLeastOne = 1e4,
    low: Share = 0.85,
    high: Share = 0.95,
) -> tuple[float, float]:
    """One cycle: lr up from 1/`div` until `peak`, then far down, by cosines; momentum from `high` to `low` and back.

    As PyTorch's: it ends at 1/(`div` `final_div`), and momentum is `high` and `low` whatever it was given as.
    """
    top, last = peak - 1, steps - 1
    if at <= top or last <= top:
        share = min(1.0, at / top) if top > 0 else 1.0
        return _between(1 / div, 1.0, share), Absolute(_between(high, low, share))
    share = min(1.0, (at - top) / (last - top))
    return _between(1.0, 1 / (div * final_div), share), Absolute(_between(low, high, share))


def _height(at: float, half: float) -> float:
    """Of a triangle between 0 and 1."""
    x = at % (2 * half) / half
    return x if x <= 1 else 2 - x


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
