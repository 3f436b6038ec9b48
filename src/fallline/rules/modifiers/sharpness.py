"""Sharpness-aware minimization: the gradient is taken where the loss is highest nearby.

Each text is the climb to that point, which keeps where it started as `origin`. The optimizer climbs, has the closure
compute the gradient again, goes back and lets the rule step. Such a rule is stepped with a closure only, and costs two
gradients a step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from ...errors import RuleError
from ..composition import Modifier, fitted
from ..hyper import Fixed, at_least, log
from ..ops import sqrt, total
from ..rule import Rule, _read

Radius = Annotated[float, at_least(0), log(1e-2, 1)]


def climbing(text: Callable[..., Any], *, paper: str) -> Modifier:
    """A modifier whose rules take the gradient at the point to which the text goes."""
    climb = _read(text, paper, text.__name__, "")

    def apply(rule: Rule) -> Rule:
        def function(p: Any, g: Any, *values: Any, **hypers: Any) -> Any:
            return rule.function(p, g, *values, **{name: v for name, v in hypers.items() if name not in climb.hypers})

        modified = fitted(made, rule)
        if rule.climb is not None:
            raise RuleError(f"{modified.name}: the rule already has the modifier {rule.climb.name}.")
        rest = None if rule.otherwise is None else made(rule.otherwise)
        return replace(modified, function=function, otherwise=rest, climb=climb)

    made = Modifier(text, apply, climb.hypers, paper=paper, stage="gradient")
    return made


@partial(climbing, paper="Foret et al. 2021, arXiv:2010.01412, Algorithm 1")
def sam(p, g, origin, *, t, sam_rho: Radius = 0.05):
    """The gradient is taken a distance sam_rho uphill, along the gradient."""
    norm = sqrt(total(g**2))
    return p + sam_rho / (norm + 1e-12) * g, p


@partial(climbing, paper="Kwon et al. 2021, arXiv:2102.11600, Algorithm 1")
def asam(p, g, origin, *, t, asam_rho: Radius = 0.5, asam_eta: Fixed = 0.01):
    """The gradient is taken a distance asam_rho uphill, measured in units of each weight's own size."""
    size = p.abs() + asam_eta
    norm = sqrt(total((size * g) ** 2))
    return p + asam_rho / (norm + 1e-12) * size**2 * g, p
