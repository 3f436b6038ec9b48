"""Schedules that look at the validation loss."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..schedule import Count, Factor, Share, schedule


@schedule(paper="He et al. 2015, arXiv:1512.03385, section 3.4; as ReduceLROnPlateau in PyTorch", watches=True)
def plateau(
    at: float,
    steps: float,
    losses: Sequence[float],
    *,
    factor: Share = 0.1,
    patience: Count = 10,
    threshold: Share = 1e-4,
    cooldown: Count = 0,
    end: Factor = 0.0,
) -> float:
    """Times `factor` each time the validation loss has not fallen, by a share `threshold`, for over `patience` epochs.

    After each fall it waits for `cooldown` epochs; it never goes below `end`.
    """
    value, best, bad, waiting = 1.0, math.inf, 0, 0
    for loss in losses:
        if loss < best * (1 - threshold):
            best, bad = loss, 0
        else:
            bad += 1
        if waiting > 0:
            waiting, bad = waiting - 1, 0
        if bad > patience:
            value, waiting, bad = max(value * factor, end), int(cooldown), 0
    return value
