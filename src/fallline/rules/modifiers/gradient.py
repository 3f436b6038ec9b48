"""What a rule is given for the gradient."""

from __future__ import annotations

from typing import Annotated

from ..hyper import Fixed, Seed, at_least, log
from ..modifier import modifier
from ..ops import normal

Variance = Annotated[float, at_least(0), log(1e-4, 1)]


def _as_it_is(step, p, g, *state, **hyper):
    return step(p, g, *state, **hyper)


@modifier(paper="Yong et al. 2020, arXiv:2004.01461, equation 1", stage="signal", otherwise=_as_it_is)
def centralize(step, p, g, *state, **hyper):
    """Every row of a matrix's gradient has its mean taken out; vectors are left alone."""
    return step(p, g - g.mean(-1, keepdim=True), *state, **hyper)


@modifier(paper="Bernstein et al. 2018, arXiv:1802.04434, Algorithm 1", stage="signal")
def sign(step, p, g, *state, **hyper):
    """The rule is given the gradient's sign."""
    return step(p, g.sign(), *state, **hyper)


@modifier(paper="Neelakantan et al. 2015, arXiv:1511.06807, section 3", stage="noise")
def noise(
    step,
    p,
    g,
    *state,
    t,
    noise_variance: Variance = 1e-2,
    noise_decay: Fixed = 0.55,
    noise_seed: Seed = 0,
    **hyper,
):
    """Normal noise of variance noise_variance / (1 + t)^noise_decay joins the gradient.

    What is drawn depends on the step, the parameter's place and noise_seed alone.
    """
    sigma = (noise_variance / (1 + t) ** noise_decay) ** 0.5
    return step(p, g + sigma * normal(g, t, noise_seed, "noise"), *state, t=t, **hyper)


@modifier(stage="loss", setting="maximize")
def ascend(step, p, g, *state, **hyper):
    """Maximize instead of minimize: the gradient with its sign turned."""
    return step(p, -g, *state, **hyper)
