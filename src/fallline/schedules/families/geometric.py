"""Cycles that begin at their top, from which fast geometric ensembles are taken."""

from __future__ import annotations

from ..schedule import Share, Updates, schedule


@schedule(paper="Garipov et al. 2018, arXiv:1802.10026, section 4 (fast geometric ensembling)")
def fast_geometric(at: float, steps: float, cycle: Updates, *, high: Share = 0.5, low: Share = 0.1) -> float:
    """Triangles upside down: from `high` to `low` in the middle of each `cycle`, and up again.

    In the paper's symbols `high` is alpha 1 and `low` is alpha 2, each over the rate that the user gave, and `cycle` is
    c, an even number of updates; the update number c/2 of a cycle is the one at `low`.
    """
    t = (at % cycle + 1) / cycle
    return (1 - 2 * t) * high + 2 * t * low if t <= 0.5 else (2 - 2 * t) * low + (2 * t - 1) * high
