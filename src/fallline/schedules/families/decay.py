"""Factors that stay or fall: constant, in steps, geometrically, as a power of what is left, as 1/t."""

from __future__ import annotations

from ..schedule import Factor, Positive, Updates, schedule


@schedule(paper="Robbins & Monro 1951, with a fixed step")
def constant(at: float, steps: float, *, factor: Factor = 1.0) -> float:
    """The value as it was given, or a multiple of it."""
    return factor


@schedule(paper="Szegedy et al. 2015, arXiv:1409.4842, section 6", lengths={"every": "10 epochs"})
def step(at: float, steps: float, every: Updates, *, factor: Positive = 0.1) -> float:
    """Times `factor` again after every so much training."""
    return float(factor ** (at // every))


@schedule(paper="He et al. 2015, arXiv:1512.03385, section 4.2")
def multi_step(at: float, steps: float, *milestones: Updates, factor: Positive = 0.1) -> float:
    """Times `factor` again at each milestone."""
    return factor ** sum(milestone <= at for milestone in milestones)


@schedule(
    paper="Senior et al. 2013, An empirical study of learning rates in deep neural networks",
    lengths={"every": "1 epoch"},
)
def exponential(at: float, steps: float, every: Updates, *, factor: Positive = 0.95) -> float:
    """Times `factor` over so much training, evenly, step by step."""
    return float(factor ** (at / every))


@schedule(paper="Liu et al. 2015, ParseNet, arXiv:1506.04579")
def polynomial(at: float, steps: float, *, power: Positive = 2.0, end: Factor = 0.0) -> float:
    """Down to `end` as a power of the training that is left."""
    return float(end + (1 - end) * (1 - at / steps) ** power)


@schedule(paper="Robbins & Monro 1951; Bottou 2012, Stochastic Gradient Descent Tricks", lengths={"every": "1 epoch"})
def inverse_time(at: float, steps: float, every: Updates, *, decay: Positive = 1.0) -> float:
    """As 1/t: one over 1 + `decay` times the training so far, counted in `every`."""
    return 1 / (1 + decay * at / every)


@schedule(paper="Defazio et al. 2023, arXiv:2310.07831")
def linear(at: float, steps: float, *, end: Factor = 0.0, start: Factor = 1.0) -> float:
    """In a straight line from `start` to `end`, by default down to zero."""
    return start + (end - start) * at / steps
