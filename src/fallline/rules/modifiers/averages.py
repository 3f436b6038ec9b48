"""Where the weights go from what a rule made of them: slow weights, averages, extrapolation."""

from __future__ import annotations

from typing import Annotated, Any

from ..hyper import Count, Momentum, Switch, between, linear, one_minus_log
from ..modifier import modifier
from ..ops import when, where
from ..rule import initial

Weights = Annotated[Any, initial("p")]
Decay = Annotated[float, between(0, 1, closed=False), one_minus_log(0.9, 0.9999)]
SlowRate = Annotated[float, between(0, 1), linear(0.2, 0.8)]


def _slow(p, slow):
    return slow


@modifier(paper="Zhang et al. 2019, arXiv:1907.08610, Algorithm 1", stage="path", evaluation=_slow)
def lookahead(
    step, p, g, slow: Weights, *state, t, lookahead_steps: Count = 5, lookahead_rate: SlowRate = 0.5, **hyper
):
    """Every lookahead_steps steps slow weights go a part of the way to the fast ones, which start again from there.

    The model is evaluated at the slow weights.
    """
    fast, *state = step(p, g, *state, t=t, **hyper)
    synchronize = t % lookahead_steps == 0
    slow = when(synchronize, slow + lookahead_rate * (fast - slow), slow)
    return when(synchronize, slow, fast), slow, *state


@modifier(paper="Nesterov 1983; as in Sutskever et al. 2013, equations 3 and 4", stage="path")
def nesterov(step, p, g, iterate: Weights, *state, nesterov_momentum: Momentum = 0.9, **hyper):
    """The rule steps from a point ahead: where its last two iterates lead to. The weights are that point."""
    new, *state = step(p, g, *state, **hyper)
    return new + nesterov_momentum * (new - iterate), new, *state


def _average(p, average):
    return average


@modifier(paper="Kingma & Ba 2015, arXiv:1412.6980, section 7.2", stage="average", evaluation=_average)
def ema(step, p, g, average: Weights, *state, t, ema_decay: Decay = 0.999, ema_debias: Switch = 0, **hyper):
    """The model is evaluated at an exponential moving average of the weights, which starts at those of the first step.

    That start weighs as much as all before it would. With ema_debias=1 every step has the weight that it would have in
    an average without beginning, and the average follows fast at first.
    """
    p, *state = step(p, g, *state, t=t, **hyper)
    weight = where(ema_debias > 0, (1 - ema_decay) / (1 - ema_decay**t), where(t == 1, 1.0, 1 - ema_decay))
    average = (1 - weight) * average + weight * p
    return p, average, *state
