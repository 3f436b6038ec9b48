"""What is done to a rule's moments."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ...errors import RuleError
from ..bounds import never_negative
from ..composition import Modifier, fitted
from ..ops import maximum
from ..rule import Rule
from ..trace import replay, trace

_SECOND_MOMENTS = ("v", "s", "n", "nu")
"""What rules call their second moment; some call a velocity or a sum of gradients so too."""


def _second_moment(rule: Rule) -> str | None:
    """The state that is a second moment: an array in the parameter's shape, never negative, that the step uses."""
    graph = trace(rule)
    used = {node for each in graph.nodes for node in each.all_input_nodes}
    for name in _SECOND_MOMENTS:
        fits = name in never_negative(rule) and name not in rule.shapes
        if fits and graph.outputs[1 + rule.states.index(name)] in used:
            return name
    return None


def _running_maximum(rule: Rule) -> Rule:
    """The rule with every use of its new second moment replaced by that moment's running maximum."""
    of = _second_moment(rule)
    if of is None:
        raise RuleError(
            f"amsgrad({rule.name}): the rule has no second moment to take the maximum of. Needed is a state "
            f"{', '.join(_SECOND_MOMENTS[:-1])} or {_SECOND_MOMENTS[-1]} in the parameter's shape that is never "
            "negative, whose new value the step is made with."
        )
    largest = f"{of}_max"
    modified = fitted(amsgrad, rule, [largest])
    where = 1 + rule.states.index(of)
    split = len(rule.states)

    def function(p, g, *values, **hypers):
        graph, before = trace(rule), values[split]
        inputs = (p, g, *values[:split], *values[split + 1 :])
        kept = {}

        def keep(v):
            kept["v"] = v
            kept["max"] = maximum(before, v)
            return kept["max"]

        out = list(replay(graph, inputs, hypers, {graph.outputs[where]: keep}))
        out[where] = kept["v"]
        return (*out[: 1 + split], kept["max"], *out[1 + split :])

    rest = rule.otherwise and amsgrad(rule.otherwise)
    # what would not survive rounding of the moment would not survive that of its maximum
    exact = rule.exact | {largest} if of in rule.exact else rule.exact
    return replace(modified, function=function, states=(*rule.states, largest), exact=exact, otherwise=rest)


@partial(
    Modifier,
    apply=_running_maximum,
    hypers={},
    paper="Reddi et al. 2018, arXiv:1904.09237, Algorithm 2",
    stage="moments",
)
def amsgrad(v, v_max):
    """The rule divides by the largest second moment so far, taken before bias correction, as in PyTorch.

    A rule's second moment is its state `v`, `s`, `n` or `nu` of the parameter's shape, where its text, or an annotation
    `at_least(0)`, says that it is never negative.
    """
    return maximum(v_max, v)
