"""What is done to a gradient before a rule sees it."""

from __future__ import annotations

from ..modifier import modifier


@modifier
def ascend(step, p, g, *state, **hyper):
    """Maximize instead of minimize: the gradient with its sign turned."""
    return step(p, -g, *state, **hyper)
