"""Ramps at the beginning, and schedules that are defined with one."""

from __future__ import annotations

from ..schedule import Absolute, Factor, Positive, Updates, schedule


@schedule(paper="Goyal et al. 2017, arXiv:1706.02677, section 2.2")
def warmup(at: float, steps: float, *, start: Factor = 0.0) -> float:
    """In a straight line up from `start` to 1.

    A start of 0 is 1/`steps`: an update at a rate of zero would be lost.
    """
    start = start or min(1.0, 1 / steps)
    return start + (1 - start) * at / steps


@schedule(paper="Vaswani et al. 2017, arXiv:1706.03762, equation 3")
def transformer(at: float, steps: float, d_model: Positive, warmup: Updates) -> float:
    """The transformer's own rate, whatever lr is: d_model^-0.5 min(s^-0.5, s warmup^-1.5) at step s."""
    s = at + 1
    return Absolute(d_model**-0.5 * min(s**-0.5, s * warmup**-1.5))


@schedule(paper="Vaswani et al. 2017, arXiv:1706.03762, equation 3, with a highest factor of 1")
def inverse_sqrt(at: float, steps: float, warmup: Updates) -> float:
    """Up in a straight line, then down with the inverse root of the step."""
    s = at + 1
    return float(min(s / warmup, (warmup / s) ** 0.5))


@schedule(
    paper="Hu et al. 2024, arXiv:2404.06395, section 4; Hägele et al. 2024, arXiv:2405.18392, section 3",
    lengths={"warmup": "5%", "decay": "20%"},
)
def wsd(at: float, steps: float, warmup: Updates, decay: Updates, *, power: Positive = 1.0, end: Factor = 0.0) -> float:
    """Warm-up, stable, decay: up, level, and down to `end` over the last `decay`, as 1 - x^`power` (0.5: 1 - sqrt)."""
    if at < warmup:
        return min(1.0, (at + 1) / warmup)
    fallen = max(0.0, at - (steps - decay)) / decay
    return float(end + (1 - end) * (1 - min(1.0, fallen) ** power))
