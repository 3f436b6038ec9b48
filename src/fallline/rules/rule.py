"""What a rule is: its text, read once into names, defaults and search ranges."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, overload

from ..errors import InputError, RuleError, unknown
from .hyper import Hyper, Range, read_hyper


@dataclass(frozen=True)
class initial:
    """Annotation of a state tensor that starts elsewhere than at zero: at a number, or at a hyper-parameter's value."""

    value: float | str


@dataclass(frozen=True)
class carried:
    """Annotation of a state that is one number, not a tensor, carried from step to step (a product of rates, say)."""

    start: float


@dataclass(frozen=True, eq=False)
class Rule:
    """An update rule: `function(p, g, *states, t=step, **hypers) -> (p, *states)`, on tensors of any shape.

    Calling a rule runs its text as it stands, which is the reference for every kernel. `t` counts from 1.
    """

    name: str
    function: Callable[..., Any]
    paper: str = ""
    states: tuple[str, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)
    hypers: Mapping[str, Hyper] = field(default_factory=dict)
    starts: Mapping[str, float | str] = field(default_factory=dict)
    summary: str = ""
    given_title: str = ""
    parts: tuple[Callable[..., Any], ...] = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **{**self.defaults, **kwargs})

    def __repr__(self) -> str:
        return f"Rule({self.name!r})"

    def __reduce__(self) -> Any:
        if REGISTRY.get(self.name) is not self:
            raise TypeError(f"{self!r} is not registered under its name and cannot be pickled.")
        return get, (self.name,)

    def __deepcopy__(self, memo: Any) -> Rule:
        return self

    @property
    def title(self) -> str:
        """The rule's name as the field writes it (`AdamW`), which is also its class's name."""
        return self.given_title or "".join(word[:1].upper() + word[1:] for word in re.split(r"\W+|_", self.name))

    @property
    def defaults(self) -> dict[str, float]:
        """Every hyper-parameter's default."""
        return {name: hyper.default for name, hyper in self.hypers.items()}

    @property
    def space(self) -> dict[str, Range]:
        """The hyper-parameters that a search varies, with their ranges."""
        return {name: hyper.search for name, hyper in self.hypers.items() if hyper.search is not None}

    @cached_property
    def source(self) -> str:
        """The text of the rule and of the modifiers around it, the innermost first."""
        return "\n".join(_source(part) for part in self.parts)

    def check(self, settings: Mapping[str, Any]) -> dict[str, float]:
        """The settings as floats. Raises `InputError` for a name the rule lacks or a value it does not allow."""
        for name in settings:
            if name not in self.hypers:
                raise unknown(f"hyper-parameter of {self.name}", name, self.hypers)
        return {name: self.hypers[name].check(value, self.name) for name, value in settings.items()}


REGISTRY: dict[str, Rule] = {}


def names() -> list[str]:
    """The names of all rules, built in and the user's own."""
    return sorted(REGISTRY)


def get(name: str | Rule) -> Rule:
    """The rule of that name; a rule is returned as it is. Raises `InputError`, with the nearest names, for none."""
    if isinstance(name, Rule):
        return name
    if name not in REGISTRY:
        raise unknown("rule", name, REGISTRY)
    return REGISTRY[name]


def register(rule: Rule) -> Rule:
    """Make a rule known by its name; a user's rule may be defined again, a built-in one may not be replaced."""
    if not is_built_in(rule):
        for known in filter(is_built_in, REGISTRY.values()):
            if rule.name == known.name or rule.title == known.title:
                raise InputError(f"the name {rule.name!r} is taken by a built-in rule; give yours another name.")
    REGISTRY[rule.name] = rule
    return rule


def is_built_in(rule: Rule) -> bool:
    """Whether the rule comes with Fallline."""
    return _home(rule).startswith("fallline.")


def _home(rule: Rule) -> str:
    return f"{rule.parts[0].__module__}." if rule.parts else ""


@overload
def rule(function: Callable[..., Any], /) -> Rule: ...
@overload
def rule(*, paper: str = "", name: str | None = None, title: str = "") -> Callable[[Callable[..., Any]], Rule]: ...
def rule(
    function: Callable[..., Any] | None = None,
    /,
    *,
    paper: str = "",
    name: str | None = None,
    title: str = "",
) -> Any:
    """Make a function an update rule.

    The function takes the parameter `p`, its gradient `g` and the state tensors by position; `t` (the step, from 1) and
    the hyper-parameters, each with a default, by keyword. It returns the new `p` and the new states, in that order.
    Raises `RuleError` when the signature is another one.
    """

    def decorate(function: Callable[..., Any]) -> Rule:
        called = name or str(getattr(function, "__name__", type(function).__name__))
        return register(_read(function, paper, called, title))

    return decorate if function is None else decorate(function)


def _read(function: Callable[..., Any], paper: str, name: str, title: str) -> Rule:
    if not hasattr(function, "__code__"):
        raise RuleError(f"rule {name!r} must be a plain function; it is a {type(function).__name__}.")
    positional, keywords = _parameters(function, name)
    if [p.name for p in positional[:2]] != ["p", "g"]:
        raise RuleError(f"rule {name!r} must take the parameter `p` and its gradient `g` first, then its states.")
    _refuse_names(name, positional[2:], keywords)
    notes = _annotations(function)
    hypers = {}
    for parameter in keywords:
        if parameter.name == "t":
            continue
        if not isinstance(parameter.default, int | float):
            raise RuleError(f"hyper-parameter {parameter.name!r} of rule {name!r} needs a number as its default.")
        hypers[parameter.name] = read_hyper(parameter.name, parameter.default, notes.get(parameter.name, ()))
    states, numbers, starts = _states(positional[2:], notes)
    for state, start in starts.items():
        if isinstance(start, str) and start not in hypers:
            raise RuleError(
                f"state {state!r} of rule {name!r} starts at {start!r}, which is none of its hyper-parameters."
            )
    return Rule(name, function, paper, states, numbers, hypers, starts, _summary(function), title, (function,))


_RESERVED = {"step", "params", "betas", "maximize", "foreach", "fused", "capturable", "differentiable"}


def _refuse_names(name: str, states: list[inspect.Parameter], keywords: list[inspect.Parameter]) -> None:
    for parameter in states:
        if parameter.default is not parameter.empty or parameter.name in ("t", "lr"):
            raise RuleError(f"rule {name!r}: write `*,` before {parameter.name!r}; only states come by position.")
    for parameter in (*states, *keywords):
        if parameter.name in _RESERVED:
            raise RuleError(f"rule {name!r} cannot use the name {parameter.name!r}, which optimizers use themselves.")
    if "t" not in [parameter.name for parameter in keywords]:
        raise RuleError(f"rule {name!r} must take `t`, the step counted from 1, by keyword: `(p, g, *, t, lr=0.1)`.")


def _states(
    parameters: list[inspect.Parameter], notes: Mapping[str, tuple[Any, ...]]
) -> tuple[tuple[str, ...], dict[str, float], dict[str, float | str]]:
    """State tensors, state numbers with their start, and the tensors that start elsewhere than at zero."""
    states, numbers, starts = [], {}, {}
    for parameter in parameters:
        marks = notes.get(parameter.name, ())
        number = next((m.start for m in marks if isinstance(m, carried)), None)
        if number is not None:
            numbers[parameter.name] = number
            continue
        states.append(parameter.name)
        start = next((m for m in marks if isinstance(m, initial)), None)
        if start is not None:
            starts[parameter.name] = start.value
    return tuple(states), numbers, starts


def _parameters(function: Callable[..., Any], name: str) -> tuple[list[inspect.Parameter], list[inspect.Parameter]]:
    positional: list[inspect.Parameter] = []
    keywords: list[inspect.Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise RuleError(f"rule {name!r} must name every argument; it has *{parameter.name}.")
        (keywords if parameter.kind == parameter.KEYWORD_ONLY else positional).append(parameter)
    return positional, keywords


def _annotations(function: Callable[..., Any]) -> dict[str, tuple[Any, ...]]:
    """What `Annotated` says of each parameter; one that only a type checker can read says nothing."""
    known = {**function.__globals__, **inspect.getclosurevars(function).nonlocals}
    notes = {}
    for name, hint in inspect.get_annotations(function).items():
        if isinstance(hint, str):
            try:
                hint = eval(hint, known)
            except Exception as error:
                if "Annotated" in hint:
                    raise RuleError(f"the annotation {hint!r} of {name!r} cannot be read: {error}.") from None
                continue
        if hasattr(hint, "__metadata__"):
            notes[name] = tuple(hint.__metadata__)
    return notes


def _summary(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or "").strip().partition("\n")[0]


@lru_cache(maxsize=None)
def _source(part: Callable[..., Any]) -> str:
    try:
        return inspect.getsource(part)
    except (OSError, TypeError):
        return f"# the text of {getattr(part, '__name__', part)} is not in a file\n"


def is_rule_text(code: types.CodeType, rule: Rule) -> bool:
    """Whether that code is the rule's own text (and not PyTorch's or Fallline's machinery)."""
    return any(code.co_filename == part.__code__.co_filename for part in rule.parts if hasattr(part, "__code__"))
