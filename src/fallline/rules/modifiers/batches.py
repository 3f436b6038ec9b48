"""Steps that several gradients share."""

from __future__ import annotations

from ..hyper import Count
from ..modifier import modifier
from ..ops import when


@modifier(stage="batches")
def accumulate(step, p, g, g_sum, *state, t, micro_batches: Count = 4, **hyper):
    """The rule steps once every micro_batches gradients, with their mean; its own count is of its steps.

    A parameter that a gradient is missing for has its own count of gradients. What is around this modifier acts on
    every gradient, what is inside on the mean.
    """
    fires = t % micro_batches == 0
    g_sum_next = when((t - 1) % micro_batches == 0, g, g_sum + g)
    stepped = step(p, g_sum_next / micro_batches, *state, t=t // micro_batches, **hyper)
    p, *inner = (when(fires, new, old) for new, old in zip(stepped, (p, *state), strict=True))
    # where the rule steps, the sum may stay as it was: the next gradient begins a new one
    return p, when(fires, g_sum, g_sum_next), *inner
