"""What is done to a rule's moments."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from ...errors import RuleError
from ..modifier import named
from ..ops import maximum
from ..rule import Rule
from ..trace import replay, trace


@lru_cache(maxsize=None)
def _running_maximum(rule: Rule, of: str) -> Rule:
    """The rule with every use of its new state `of` replaced by that state's running maximum."""
    if of not in rule.states:
        raise RuleError(f"amsgrad({rule.name}): the rule has no state {of!r} whose maximum could be kept.")
    graph = trace(rule)
    where = 1 + rule.states.index(of)
    moment = graph.outputs[where]
    split = len(rule.states)

    def amsgrad(p, g, *values, **hypers):
        largest = values[split]
        inputs = (p, g, *values[:split], *values[split + 1 :])
        kept = {}

        def keep(v):
            kept["v"] = v
            kept["max"] = maximum(largest, v)
            return kept["max"]

        out = list(replay(graph, inputs, hypers, {moment: keep}))
        out[where] = kept["v"]
        return (*out[: 1 + split], kept["max"], *out[1 + split :])

    return replace(
        rule,
        name=f"amsgrad({rule.name})",
        function=amsgrad,
        states=(*rule.states, f"{of}_max"),
        given_title="",
        parts=(*rule.parts, _running_maximum.__wrapped__),
    )


def amsgrad(
    rule: Rule, *, of: str = "v", name: str | None = None, paper: str = "", summary: str = "", title: str = ""
) -> Rule:
    """Divide by the running maximum of the second moment (Reddi et al. 2018, arXiv:1904.09237, Algorithm 2).

    `of` names the state whose maximum is kept. As in PyTorch, the maximum is taken before bias correction.
    """
    modified = _running_maximum(rule, of)
    return modified if name is None else named(modified, name, paper=paper, summary=summary, title=title)
