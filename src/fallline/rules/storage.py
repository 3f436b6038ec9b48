"""How a rule's arrays are kept between steps, where that is not in the parameter's type, rounded to nearest.

A step is computed in float32 whatever the storage; only what it leaves behind is rounded. Every such rounding is
stochastic: to one of the two neighbours, with the probabilities that make the mean right. Rounding to nearest would
swallow what is smaller than half a place: an average with `beta2=0.999` changes by a thousandth a step, a last place of
bfloat16 is four, and one of eight bits sixty or more.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from enum import StrEnum

from .bounds import never_negative
from .rule import Rule
from .trace import trace

ROUNDING_SEED = "rounding_seed"
"""The hyper-parameter, where a rule has it, on which random rounding depends."""


class Storage(StrEnum):
    """What stands in memory for an array."""

    CODES = "8bit"
    """A sign and seven bits an element, a power of two for every block of elements."""
    CODES_OF_SIZES = "8bit, never negative"
    """Eight bits an element without a sign, a power of two for every block. Nothing but zero is rounded to zero."""
    BFLOAT16 = "bfloat16"
    """The upper half of a float32."""
    STOCHASTIC = "stochastic"
    """The parameter's type; rounded at random where that is bfloat16."""

    @property
    def coded(self) -> bool:
        """Whether it is eight bits an element, and a scale for every block."""
        return self in (Storage.CODES, Storage.CODES_OF_SIZES)


def codes(rule: Rule, state: str) -> Storage:
    """The eight-bit storage for a state: the rule's, or that which its text allows."""
    said = rule.storage.get(state)
    if said is not None and said.coded:
        return said
    return Storage.CODES_OF_SIZES if state in never_negative(rule) else Storage.CODES


def storable(rule: Rule) -> Iterator[str]:
    """The states that may be kept otherwise: one value an element, made of gradients, and made anew by the rule.

    Weights are not: neither those that a model is evaluated at nor those that the rule starts from or steps between.
    """
    graph = trace(rule)
    evaluated = set() if rule.evaluation is None else set(inspect.signature(rule.evaluation).parameters)
    for name, new in zip(rule.states, graph.outputs[1:], strict=False):
        weights = rule.starts.get(name) in ("p", "eye") or name in evaluated or name in rule.exact
        if not weights and name not in rule.shapes and name not in rule.storage and new is not graph.inputs[name]:
            yield name
