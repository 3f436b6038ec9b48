"""What a modifier is, and how modifiers compose: each gives a rule of a rule, before anything is compiled.

The outermost modifier sees the gradient first and the new weights last: in `ema(clip_norm(adamw))` the gradient is
clipped, AdamW steps, and what comes out is averaged. `STAGES` says in which order modifiers are sensible; where an
optimizer is given them as settings (`AdamW(params, clip_norm=1.0, ema=0.999)`), it composes them in that order.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from ..errors import InputError, RuleError
from .hyper import Hyper
from .rule import Rule, register

STAGES = {
    "moments": "what the rule remembers of gradients",
    "step": "the rule's own step, before weights decay, which no gradient asked for",
    "decay": "weights shrink beside the rule's step",
    "signal": "what the rule takes for the gradient, penalties included: centered, or its sign",
    "penalty": "penalties of the loss: their gradients are not clipped",
    "noise": "added after clipping, which would take it for signal",
    "clip": "the gradient as the loss gave it is kept within bounds",
    "path": "where the weights go from what the rule made of them",
    "average": "an average of the weights as they end up",
    "batches": "all of the above once for several gradients",
    "states": "what is remembered of gradients takes fewer bits",
    "weights": "what weights of few bits lose by rounding",
    "gradient": "another point at which the gradient is taken",
    "loss": "what is minimized",
}
"""The stages of modifiers with their reasons, the innermost first; "clip" is that of a modifier which names none."""

MODIFIERS: dict[str, Modifier] = {}
"""All modifiers by name, built in and the user's own."""

SETTINGS: dict[str, Modifier] = {}
"""The modifiers by the optimizer setting that switches them on."""


class Modifier:
    """Takes a rule and gives a rule: `clip_norm(adamw)`.

    With a name it registers the result under it, and it may give new defaults: `adamw = decoupled(adam, name="adamw",
    weight_decay=1e-2)`. Of a rule for matrices it modifies the rule for the rest too.

    `setting` is the optimizer setting that switches it on, whose value is that of its first hyper-parameter (True,
    where it has none). Raises `RuleError` where it does not fit the rule, or is around it already.
    """

    def __init__(
        self,
        text: Callable[..., Any],
        apply: Callable[[Rule], Rule],
        hypers: Mapping[str, Hyper],
        *,
        paper: str = "",
        stage: str = "clip",
        setting: str | None = None,
    ) -> None:
        self.__name__, self.__doc__, self.__module__ = text.__name__, text.__doc__, text.__module__
        if stage not in STAGES:
            raise RuleError(f"modifier {self.__name__!r} has the stage {stage!r}; the stages are {', '.join(STAGES)}.")
        self.text, self.hypers, self.paper = text, dict(hypers), paper
        self.rank = list(STAGES).index(stage)
        self.stage, self.setting = stage, setting or self.__name__
        self.summary = (inspect.getdoc(text) or "").partition("\n")[0]
        self._apply = lru_cache(maxsize=None)(apply)
        _register(self)

    def __repr__(self) -> str:
        return f"<modifier {self.__name__}>"

    def __call__(
        self,
        rule: Rule,
        *,
        name: str | None = None,
        paper: str = "",
        summary: str = "",
        title: str = "",
        **defaults: float,
    ) -> Rule:
        """The rule, modified."""
        modified = self._apply(rule)
        if name is not None:
            return named(modified, name, paper=paper, summary=summary, title=title, **defaults)
        return with_defaults(modified, defaults)

    def is_built_in(self) -> bool:
        """Whether the modifier comes with Fallline."""
        return self.__module__.startswith("fallline.")


def chain(rule: Rule) -> Iterator[Modifier]:
    """The modifiers around a rule, the outermost first."""
    while rule.modifier is not None and rule.inner is not None:
        yield rule.modifier
        rule = rule.inner


@lru_cache(maxsize=None)
def placed(rule: Rule, modifier: Modifier) -> Rule:
    """The rule with one more modifier, inside those around it whose stage is later."""
    outer, inner = rule.modifier, rule.inner
    if outer is None or inner is None or outer.rank <= modifier.rank:
        return modifier(rule)
    return outer(placed(inner, modifier))


def fitted(modifier: Modifier, rule: Rule, states: Sequence[str] = (), reads: Sequence[str] = ()) -> Rule:
    """The rule under its new name, with the modifier's hyper-parameters, before anything else is changed.

    Raises `RuleError` where the rule is modified so already, or lacks a hyper-parameter that the modifier reads.
    """
    name = modifier.__name__
    taken = sorted({*modifier.hypers, *states} & {*rule.hypers, *rule.states, *rule.numbers})
    if modifier in chain(rule):
        taken = taken or [f"the modifier {name}"]
    if taken:
        raise RuleError(f"{name}({rule.name}): the rule already has {', '.join(taken)}.")
    lacking = [needed for needed in reads if needed not in rule.hypers]
    if lacking:
        raise RuleError(f"{name}({rule.name}): the rule has no {', '.join(lacking)}, which the modifier reads.")
    return replace(
        rule,
        name=f"{name}({rule.name})",
        hypers={**rule.hypers, **modifier.hypers},
        paper="; ".join(filter(None, [rule.paper, modifier.paper])),
        summary=" ".join(filter(None, [rule.summary, modifier.summary])),
        given_title="",
        parts=(*rule.parts, modifier.text),
        modifier=modifier,
        inner=rule,
    )


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


def with_defaults(rule: Rule, defaults: Mapping[str, float]) -> Rule:
    """A modified rule with other defaults, which its name tells. Raises `InputError` for what it does not allow."""
    changed = {n: v for n, v in rule.check(defaults).items() if v != rule.hypers[n].default}
    return _with_defaults(rule, tuple(changed.items())) if changed else rule


@lru_cache(maxsize=None)
def _with_defaults(rule: Rule, values: tuple[tuple[str, float], ...]) -> Rule:
    hypers = {**rule.hypers, **{name: replace(rule.hypers[name], default=value) for name, value in values}}
    said = ", ".join(f"{name}={_short(value)}" for name, value in values)
    return replace(rule, hypers=hypers, name=f"{rule.name.removesuffix(')')}, {said})")


def _short(value: float) -> str:
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def _register(made: Modifier) -> None:
    known = MODIFIERS.get(made.__name__) or SETTINGS.get(made.setting)
    if known is not None and known.is_built_in():
        raise InputError(f"the name {made.__name__!r} is taken by a built-in modifier; give yours another name.")
    MODIFIERS[made.__name__] = SETTINGS[made.setting] = made
