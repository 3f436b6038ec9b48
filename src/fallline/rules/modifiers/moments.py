"""What is done to a rule's moments."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ...errors import RuleError
from ..composition import Modifier, fitted
from ..ops import maximum
from ..rule import Rule
from ..trace import replay, trace

_SECOND_MOMENTS = ("v", "s")
"""What rules call their second moment."""


def _running_maximum(rule: Rule) -> Rule:
    """The rule with every use of its new second moment replaced by that moment's running maximum."""
    of = next((name for name in _SECOND_MOMENTS if name in rule.states and name not in rule.shapes), None)
    if of is None:
        raise RuleError(f"amsgrad({rule.name}): the rule has no state 'v' whose maximum could be kept.")
    modified = fitted(amsgrad, rule, [f"{of}_max"])
    where = 1 + rule.states.index(of)
    split = len(rule.states)

    def function(p, g, *values, **hypers):
        graph, largest = trace(rule), values[split]
        inputs = (p, g, *values[:split], *values[split + 1 :])
        kept = {}

        def keep(v):
            kept["v"] = v
            kept["max"] = maximum(largest, v)
            return kept["max"]

        out = list(replay(graph, inputs, hypers, {graph.outputs[where]: keep}))
        out[where] = kept["v"]
        return (*out[: 1 + split], kept["max"], *out[1 + split :])

    rest = rule.otherwise and amsgrad(rule.otherwise)
    return replace(modified, function=function, states=(*rule.states, f"{of}_max"), otherwise=rest)


@partial(
    Modifier,
    apply=_running_maximum,
    hypers={},
    paper="Reddi et al. 2018, arXiv:1904.09237, Algorithm 2",
    stage="moments",
)
def amsgrad(v, v_max):
    """The rule divides by the largest second moment so far, taken before bias correction, as in PyTorch."""
    return maximum(v_max, v)
