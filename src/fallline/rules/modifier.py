"""From a modifier's text, a function around a rule's step, to the modifier."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, overload

from .composition import Modifier, fitted
from .hyper import read_hyper
from .rule import Rule, _annotations, _shapes, _states, _values


@overload
def modifier(function: Callable[..., Any], /) -> Modifier: ...
@overload
def modifier(
    *,
    paper: str = "",
    stage: str = "clip",
    setting: str | None = None,
    otherwise: Callable[..., Any] | None = None,
    evaluation: Callable[..., Any] | None = None,
) -> Callable[[Callable[..., Any]], Modifier]: ...
def modifier(function: Callable[..., Any] | None = None, /, **said: Any) -> Any:
    """Make a function a modifier of rules.

    The function takes `step` (the inner rule), `p`, `g`, its own states (tensors, then carried numbers) and `*state`,
    then by keyword `t` and the inner rule's hyper-parameters, where it reads them (no default), its own (with
    defaults), and `**hyper`. It calls `step(p, g, *state, **hyper)`, which gives a tuple, and returns the new `p`, its
    own new states and the inner rule's.

    - `paper`, `stage` (one of `STAGES`), `setting`: told at `Modifier`.
    - `otherwise`: another such function; the modifier is then one for matrices, which are flat (first dimension, all
      others) and whose rows it may look at, and the other text stands for all that has fewer than two dimensions.
    - `evaluation` gives the weights to evaluate at, as told at `Rule`.

    Raises `RuleError` for an unknown stage, `InputError` for a name that a built-in modifier has.
    """
    return _modifier(function) if function is not None else lambda function: _modifier(function, **said)


def _modifier(
    text: Callable[..., Any],
    *,
    otherwise: Callable[..., Any] | None = None,
    evaluation: Callable[..., Any] | None = None,
    **said: Any,
) -> Modifier:
    own = _Own(text)

    def apply(rule: Rule) -> Rule:
        modified = replace(
            fitted(made, rule, own.states + tuple(own.numbers), own.reads),
            function=own.around(text, rule),
            states=rule.states + own.states,
            numbers={**rule.numbers, **own.numbers},
            starts={**rule.starts, **own.starts},
            shapes={**rule.shapes, **own.shapes},
            exact=rule.exact | own.exact,
            never_negative=rule.never_negative | own.never_negative,
            evaluation=evaluation or rule.evaluation,
        )
        rest = None if rule.otherwise is None else made(rule.otherwise)
        if otherwise is not None and rule.otherwise is None:
            rest = replace(modified, function=own.around(otherwise, rule), parts=(*rule.parts, otherwise))
            return replace(modified, otherwise=rest, flat=True, by_units=True)
        return replace(modified, otherwise=rest)

    made = Modifier(text, apply, own.hypers, **said)
    return made


class _Own:
    """What a modifier's text says of states and hyper-parameters of its own, and of those that it reads."""

    def __init__(self, text: Callable[..., Any]) -> None:
        parameters = list(inspect.signature(text).parameters.values())
        positional = [p for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD][3:]
        keywords = [p for p in parameters if p.kind == p.KEYWORD_ONLY and p.name != "t"]
        notes = _annotations(text)
        self.states, self.numbers, self.starts = _states(positional, notes)
        self.shapes = _shapes(positional, notes)
        self.exact, self.never_negative = _values(positional, notes)
        given = [p for p in keywords if p.default is not p.empty]
        self.hypers = {p.name: read_hyper(p.name, p.default, notes.get(p.name, ())) for p in given}
        self.reads = [p.name for p in keywords if p.default is p.empty]

    def around(self, text: Callable[..., Any], rule: Rule) -> Callable[..., Any]:
        """The text around a rule's function, whose values are its tensors, own ones, its numbers, own ones."""
        a = len(rule.states)
        b = a + len(self.states)
        c = b + len(rule.numbers)
        tensors, own = len(self.states), len(self.states) + len(self.numbers)

        def step(*args: Any, **kwargs: Any) -> Sequence[Any]:
            return _tuple(rule.function(*args, **kwargs))

        def composed(p: Any, g: Any, *values: Any, **hypers: Any) -> Any:
            mine, state = values[a:b] + values[c:], values[:a] + values[b:c]
            p, *out = _tuple(text(step, p, g, *mine, *state, **hypers))
            new_mine, new = out[:own], out[own:]
            new = [p, *new[:a], *new_mine[:tensors], *new[a:], *new_mine[tensors:]]
            return tuple(new) if len(new) > 1 else p

        return composed


def _tuple(out: Any) -> Sequence[Any]:
    return out if isinstance(out, tuple | list) else (out,)
