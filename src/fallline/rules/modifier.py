"""What a modifier is: a function around a rule's step that gives a rule, composed before anything is compiled."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, overload

from ..errors import RuleError
from .hyper import Hyper, read_hyper
from .rule import Rule, _annotations, _states, register

Modify = Callable[..., Rule]


@overload
def modifier(function: Callable[..., Any], /) -> Modify: ...
@overload
def modifier(*, evaluation: Callable[..., Any]) -> Callable[[Callable[..., Any]], Modify]: ...
def modifier(function: Callable[..., Any] | None = None, /, *, evaluation: Callable[..., Any] | None = None) -> Any:
    """Make a function a modifier of rules.

    The function takes `step` (the inner rule), `p`, `g`, its own state tensors and `*state`, then by keyword the inner
    rule's hyper-parameters that it reads (no default), its own (with defaults), and `**hyper`. It calls
    `step(p, g, *state, **hyper)` and returns the new `p`, its own new states and the inner rule's.

    The modifier is called as `modified = function(rule)`, or with new defaults and a name to register the result
    under: `adamw = decoupled(adam, name="adamw", weight_decay=1e-2)`. Of a rule for matrices it modifies the rule for
    the rest too. `evaluation` gives the weights to evaluate at, as told at `Rule`.
    """
    if function is None:
        return lambda function: _modifier(function, evaluation)
    return _modifier(function, evaluation)


def _modifier(function: Callable[..., Any], evaluation: Callable[..., Any] | None) -> Modify:
    notes = _annotations(function)
    own_states, _, own_starts = _states(_own_parameters(function), notes)
    own_hypers = _own_hypers(function, notes)

    @lru_cache(maxsize=None)
    def compose(rule: Rule) -> Rule:
        own = {*own_hypers, *own_states}
        taken = sorted(own & {*rule.hypers, *rule.states, *rule.numbers})
        if taken:
            raise RuleError(f"{function.__name__}({rule.name}): the rule already has {', '.join(taken)}.")
        return replace(
            rule,
            name=f"{function.__name__}({rule.name})",
            function=_composed(function, rule, len(own_states)),
            states=rule.states + own_states,
            starts={**rule.starts, **own_starts},
            hypers={**rule.hypers, **own_hypers},
            given_title="",
            parts=(*rule.parts, function),
            otherwise=rule.otherwise and compose(rule.otherwise),
            evaluation=evaluation or rule.evaluation,
        )

    def modify(
        rule: Rule,
        *,
        name: str | None = None,
        paper: str = "",
        summary: str = "",
        title: str = "",
        **defaults: float,
    ) -> Rule:
        modified = compose(rule)
        if name is None and not defaults:
            return modified
        return named(modified, name, paper=paper, summary=summary, title=title, **defaults)

    modify.__name__, modify.__doc__, modify.__module__ = (
        function.__name__,
        function.__doc__,
        function.__module__,
    )
    return modify


def named(
    rule: Rule,
    name: str | None = None,
    *,
    paper: str = "",
    summary: str = "",
    title: str = "",
    **defaults: float,
) -> Rule:
    """The rule with other defaults, and, where a name is given, registered under it. Raises for an unknown default."""
    values = rule.check(defaults)
    hypers = {n: replace(h, default=values.get(n, h.default)) for n, h in rule.hypers.items()}
    changed = replace(
        rule,
        name=name or rule.name,
        paper=paper or rule.paper,
        summary=summary or rule.summary,
        given_title=title or rule.given_title,
        hypers=hypers,
    )
    return register(changed) if name else changed


def _composed(function: Callable[..., Any], rule: Rule, own: int) -> Callable[..., Any]:
    split = len(rule.states)

    def composed(p: Any, g: Any, *values: Any, **hypers: Any) -> Any:
        mine = values[split : split + own]
        out = function(rule.function, p, g, *mine, *values[:split], *values[split + own :], **hypers)
        if not own:
            return out
        p, mine, inner = out[0], out[1 : 1 + own], out[1 + own :]
        return (p, *inner[:split], *mine, *inner[split:])

    return composed


def _own_parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters between `g` and `*state`: states of the modifier's own."""
    parameters = inspect.signature(function).parameters.values()
    return [p for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD][3:]


def _own_hypers(function: Callable[..., Any], notes: Mapping[str, tuple[Any, ...]]) -> dict[str, Hyper]:
    return {
        p.name: read_hyper(p.name, p.default, notes.get(p.name, ()))
        for p in inspect.signature(function).parameters.values()
        if p.kind == p.KEYWORD_ONLY and p.default is not p.empty
    }
