"""Gradients kept within bounds: of an element, a unit, a tensor, or all gradients together."""

from __future__ import annotations

from typing import Annotated

from ..hyper import Epsilon, at_least, log
from ..modifier import modifier
from ..ops import maximum, minimum, sqrt, total

Bound = Annotated[float, at_least(0), log(1e-2, 10)]
Ratio = Annotated[float, at_least(0), log(1e-3, 1)]


@modifier(paper="Pascanu et al. 2013, arXiv:1211.5063, section 3.2, element by element")
def clip_value(step, p, g, *state, max_value: Bound = 1.0, **hyper):
    """Every element of the gradient is kept between -max_value and max_value."""
    return step(p, g.clamp(-max_value, max_value), *state, **hyper)


@modifier(paper="Pascanu et al. 2013, arXiv:1211.5063, Algorithm 1, for every tensor by itself")
def clip_tensor_norm(step, p, g, *state, max_tensor_norm: Bound = 1.0, **hyper):
    """The gradient of a tensor is scaled down to norm max_tensor_norm where it is longer."""
    scale = minimum(max_tensor_norm / (g.norm() + 1e-6), 1.0)
    return step(p, scale * g, *state, **hyper)


@modifier(paper="Pascanu et al. 2013, arXiv:1211.5063, Algorithm 1")
def clip_norm(step, p, g, *state, max_norm: Bound = 1.0, **hyper):
    """All gradients together are scaled down to norm max_norm where they are longer."""
    norm = sqrt(total(g**2))
    scale = minimum(max_norm / (norm + 1e-6), 1.0)
    return step(p, scale * g, *state, **hyper)


def _of_one_unit(step, p, g, *state, agc_ratio, agc_eps, **hyper):
    limit = agc_ratio * maximum(p.norm(), agc_eps)
    scale = minimum(limit / maximum(g.norm(), 1e-6), 1.0)
    return step(p, scale * g, *state, **hyper)


@modifier(paper="Brock et al. 2021, arXiv:2102.06171, equation 3", otherwise=_of_one_unit)
def agc(step, p, g, *state, agc_ratio: Ratio = 1e-2, agc_eps: Epsilon = 1e-3, **hyper):
    """A unit's gradient is scaled down where its norm is above agc_ratio times that of the unit's weights.

    A unit is a row, that is what one output is computed from; a vector is one unit. Weights with a norm below agc_eps
    count as that long, so that what starts at zero can grow.
    """
    limit = agc_ratio * maximum(p.norm(dim=-1, keepdim=True), agc_eps)
    scale = minimum(limit / maximum(g.norm(dim=-1, keepdim=True), 1e-6), 1.0)
    return step(p, scale * g, *state, **hyper)
