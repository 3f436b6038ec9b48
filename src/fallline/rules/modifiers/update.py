"""What is made of a rule's own step."""

from __future__ import annotations

from ..modifier import modifier
from ..ops import maximum


@modifier(
    paper="Liang et al. 2024, arXiv:2411.16085, Algorithm 1, scaled by the mean of the mask as in the authors' code",
    stage="step",
)
def cautious(step, p, g, *state, **hyper):
    """Only what goes against the gradient is stepped, and that longer: by how few elements are left."""
    new, *state = step(p, g, *state, **hyper)
    u = new - p
    mask = maximum(-u.sign() * g.sign(), 0.0)
    return p + u * mask / maximum(mask.mean(), 1e-3), *state
