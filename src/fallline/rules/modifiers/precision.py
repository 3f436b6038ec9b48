"""How much of what a rule remembers, and of the weights, is kept: training in little memory, or in bfloat16 alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, get_args

from ...errors import RuleError
from ..composition import Modifier, fitted
from ..hyper import Seed, read_hyper
from ..modifier import modifier
from ..ops import stored
from ..rule import Rule, exact
from ..storage import ROUNDING_SEED, Storage, codes, storable


def _keeping(text: Callable[..., Any], *, storage: Callable[[Rule, str], Storage], paper: str) -> Modifier:
    """A modifier that changes nothing but how states are kept."""

    def apply(rule: Rule) -> Rule:
        modified = fitted(made, rule)
        kept = {name: storage(rule, name) for name in storable(rule)}
        rest = rule.otherwise
        if not kept and (rest is None or not list(storable(rest))):
            raise RuleError(f"{modified.name}: the rule has no state that could be kept so; its states are exact.")
        rest = made(rest) if rest is not None and list(storable(rest)) else rest
        return replace(modified, storage={**rule.storage, **kept}, otherwise=rest)

    made = Modifier(text, apply, {}, paper=paper, stage="states")
    return made


@partial(
    _keeping,
    storage=codes,
    paper="after Dettmers et al. 2022, arXiv:2110.02861, section 2, with floating-point codes and stochastic rounding",
)
def state_8bit(step, p, g, *state, **hyper):
    """What the rule remembers of gradients is kept in 8 bits an element, and one byte for each 256 elements.

    Tensors of fewer than 4096 elements keep all of it, and so do averages of weights. Of a parameter that is spread
    over processes (FSDP2's shards, tensor parallelism) each has its shard in 8 bits, unless shards have fewer elements
    than that in the mean. `state_dict()` gives bfloat16 numbers, exactly those of the 8 bits. So they can be loaded
    into any number of shards: into as many bit by bit, into others rounded anew.
    """
    return step(p, g, *state, **hyper)


@partial(
    _keeping,
    storage=lambda rule, state: Storage.BFLOAT16,
    paper="stochastic rounding as in Gupta et al. 2015, arXiv:1502.02551, section 3.1",
)
def state_bfloat16(step, p, g, *state, **hyper):
    """What the rule remembers of gradients is kept in bfloat16, rounded at random so that no change is lost."""
    return step(p, g, *state, **hyper)


def _rounded_at_random(rule: Rule) -> Rule:
    def function(p: Any, g: Any, *values: Any, rounding_seed: Any, **hypers: Any) -> Any:
        return rule.function(p, g, *values, **hypers)

    kept = {name: Storage.STOCHASTIC for name in ("p", *rule.states) if name not in rule.storage}
    rest = rule.otherwise and stochastic_rounding(rule.otherwise)
    modified = fitted(stochastic_rounding, rule)
    return replace(modified, function=function, storage={**rule.storage, **kept}, otherwise=rest)


@partial(
    Modifier,
    apply=_rounded_at_random,
    hypers={ROUNDING_SEED: read_hyper(ROUNDING_SEED, 0.0, get_args(Seed)[1:])},
    paper="Gupta et al. 2015, arXiv:1502.02551, section 3.1; for weights Zamirai et al. 2020, arXiv:2010.06192, "
    "section 4",
    stage="weights",
)
def stochastic_rounding(step, p, g, *state, rounding_seed: Seed = 0, **hyper):
    """Weights and states in bfloat16 are rounded at random, up or down so that the mean is right.

    What is drawn depends on the step, the parameter's place, the element and rounding_seed alone.
    """
    return step(p, g, *state, **hyper)


@modifier(paper="Zamirai et al. 2020, arXiv:2010.06192, section 4", stage="weights", setting="kahan_sum")
def kahan(step, p, g, compensation: Annotated[Any, exact], *state, **hyper):
    """What a half type's weights lose by rounding is kept in a second tensor of that type, and steps start from both.

    For weights in float32 it does nothing.
    """
    whole, *state = step(p + compensation, g, *state, **hyper)
    kept = stored(whole)
    return kept, whole - kept, *state
