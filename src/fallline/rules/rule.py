"""What a rule is: its text, read once into names, defaults and search ranges."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, overload

from ..errors import FalllineError, InputError, RuleError, unknown
from .hyper import Hyper, Interval, Range, read_hyper

if TYPE_CHECKING:
    from .composition import Modifier
    from .storage import Storage


@dataclass(frozen=True)
class initial:
    """Annotation of a state tensor that starts elsewhere than at zero.

    At a number, at a hyper-parameter's value (its name), at the parameter itself (`"p"`), or, for a square matrix, at
    the identity (`"eye"`).
    """

    value: float | str


class shaped:
    """Annotation of a state tensor of another shape than the parameter's: its last dimensions.

    `shaped("rows", 1)` is one number a row; `shaped("columns", "columns")` a square matrix; `shaped("rank", "larger")`
    has a hyper-parameter's value for its height, or the smaller side if that is less. `"smaller"` and `"larger"` are
    the lesser and the greater of the two sides. Dimensions before the last two stay as the parameter has them.

    Of a square matrix of a side longer than `limit` (a number, or a hyper-parameter's name) only the diagonal is kept,
    as a column: `shaped("rows", "rows", limit=2048)` takes `rows x 1` then. `rules.matrices` reads both.
    """

    def __init__(self, *sides: int | str, limit: int | str | None = None) -> None:
        self.sides = sides
        self.limit = limit

    def __str__(self) -> str:
        return " x ".join(map(str, self.sides))

    def shape(self, of: Sequence[int], values: Mapping[str, float]) -> tuple[int, ...]:
        """The state's shape for a parameter of shape `of`, with the hyper-parameters' values."""
        rows, columns = of[-2:]
        known = {"rows": rows, "columns": columns, "smaller": min(rows, columns), "larger": max(rows, columns)}
        sides = [
            s if isinstance(s, int) else known[s] if s in known else min(int(values[s]), *of[-2:]) for s in self.sides
        ]
        limit = values[self.limit] if isinstance(self.limit, str) else self.limit
        if limit is not None and sides[-1] > limit:
            sides[-1] = 1
        return (*of[:-2], *sides)


class exact:
    """Annotation of a state tensor that is always kept in the parameter's type: weights, or a sum that makes them.

    States that start at the parameter, or have a shape of their own, are kept so without it.
    """


@dataclass(frozen=True)
class carried:
    """Annotation of a state that is one number, not a tensor, carried from step to step (a product of rates, say)."""

    start: float


@dataclass(frozen=True, eq=False)
class Rule:
    """An update rule: `function(p, g, *states, t=step, **hypers) -> (p, *states)`, on tensors of any shape.

    Calling a rule runs its text as it stands, which is the reference for every kernel. `t` counts from 1.

    A rule with an `otherwise` is a rule for matrices: a parameter of fewer than two dimensions, or with a side longer
    than `largest`, is stepped by the other. Where it is `flat`, its text sees a tensor of more than two dimensions as
    the matrix of its first dimension by all others. `evaluation` gives the weights to evaluate a model at, where these
    are not the ones that are trained (an average): `evaluation(p, ...)`, its further arguments states and
    hyper-parameters by name. `climb` is stepped first, for a gradient that the closure then computes at that point; the
    rule's own step is taken from where it was.

    `storage` says of `p` and of states how they are kept (`rules.storage`) where that is not the parameter's type,
    rounded to nearest. States that are `exact` may not be kept otherwise; those `never_negative` are said to be so,
    where the text does not show it.

    A modified rule has its `modifier`, and as `inner` the rule that was modified. It is a rule for matrices `by_units`
    where that is for the modifier's sake alone, which looks at rows: of any parameter of two dimensions, those of
    groups with `elementwise=True` too, which other rules for matrices leave to their `otherwise`.
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
    shapes: Mapping[str, shaped] = field(default_factory=dict)
    otherwise: Rule | None = None
    flat: bool = False
    largest: int | None = None
    evaluation: Callable[..., Any] | None = None
    climb: Rule | None = None
    modifier: Modifier | None = None
    inner: Rule | None = None
    by_units: bool = False
    storage: Mapping[str, Storage] = field(default_factory=dict)
    exact: frozenset[str] = frozenset()
    never_negative: frozenset[str] = frozenset()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **{**self.defaults, **kwargs})

    def __repr__(self) -> str:
        return f"Rule({self.name!r})"

    def __reduce__(self) -> Any:
        if find(self.name) is not self:
            raise TypeError(f"{self!r} is not known by its name and cannot be pickled.")
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
        return "\n".join(source(part) for part in self.parts)

    def of_shape(self, shape: Sequence[int], elementwise: bool = False) -> Rule:
        """The rule that steps a parameter of that shape: this one, or what it names for all that is no matrix."""
        if self.otherwise is None:
            return self
        too_long = self.largest is not None and max(self.view(shape), default=0) > self.largest
        if len(shape) < 2 or too_long or (elementwise and not self.by_units):
            return self.otherwise.of_shape(shape, elementwise)
        return self

    def view(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape in which the rule's text sees a parameter of that shape."""
        return (shape[0], math.prod(shape[1:])) if self.flat and len(shape) > 2 else tuple(shape)

    def evaluated(self, p: Any, states: Mapping[str, Any], values: Mapping[str, float]) -> Any:
        """The weights to evaluate a model at."""
        if self.evaluation is None:
            return p
        named = {**self.defaults, **values, **states}
        wanted = list(inspect.signature(self.evaluation).parameters)[1:]
        return self.evaluation(p, **{name: named[name] for name in wanted})

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
    """The rule of that name, or of modifiers around one (`ema(clip_norm(adamw))`); a rule is returned as it is.

    Raises `InputError`, with the nearest names, for none.
    """
    if isinstance(name, Rule):
        return name
    if name in REGISTRY:
        return REGISTRY[name]
    from .naming import no_rule, read  # they know modifiers, which are made of rules

    if "(" in name or ")" in name:
        return read(name)
    raise no_rule(name)


def find(name: str) -> Rule | None:
    """The rule of that name, or None."""
    try:
        return get(name)
    except FalllineError:
        return None


def register(rule: Rule) -> Rule:
    """Make a rule known by its name; a user's rule may be defined again, a built-in one may not be replaced."""
    if not is_built_in(rule):
        for known in filter(is_built_in, REGISTRY.values()):
            if rule.name == known.name or rule.title == known.title:
                raise InputError(f"the name {rule.name!r} is taken by a built-in rule; give yours another name.")
    REGISTRY[rule.name] = rule
    return rule


_BUILT_IN: set[str] = set()


def seal() -> None:
    """Let all rules known now count as built in."""
    _BUILT_IN.update(REGISTRY)


def is_built_in(rule: Rule) -> bool:
    """Whether the rule comes with Fallline."""
    return rule.name in _BUILT_IN and REGISTRY.get(rule.name) is rule


@overload
def rule(function: Callable[..., Any], /) -> Rule: ...
@overload
def rule(
    *,
    paper: str = "",
    name: str | None = None,
    title: str = "",
    otherwise: Rule | None = None,
    flat: bool = False,
    largest: int | None = None,
    evaluation: Callable[..., Any] | None = None,
) -> Callable[[Callable[..., Any]], Rule]: ...
def rule(
    function: Callable[..., Any] | None = None,
    /,
    *,
    paper: str = "",
    name: str | None = None,
    title: str = "",
    otherwise: Rule | None = None,
    flat: bool = False,
    largest: int | None = None,
    evaluation: Callable[..., Any] | None = None,
) -> Any:
    """Make a function an update rule.

    The function takes the parameter `p`, its gradient `g` and the state tensors by position; `t` (the step, from 1) and
    the hyper-parameters, each with a default, by keyword. It returns the new `p` and the new states, in that order.
    `otherwise`, `flat`, `largest` and `evaluation` are told at `Rule`. A rule for matrices has the hyper-parameters of
    its `otherwise` too; where both have one, its own default holds. A rule whose name starts with an underscore is a
    part of others, and is not registered.
    Raises `RuleError` when the signature is another one.
    """

    def decorate(function: Callable[..., Any]) -> Rule:
        called = name or str(getattr(function, "__name__", type(function).__name__))
        read = _read(function, paper, called, title)
        if otherwise is not None:
            read = _for_matrices(read, otherwise, flat, largest)
        read = replace(read, evaluation=evaluation)
        return read if called.startswith("_") else register(read)

    return decorate if function is None else decorate(function)


def _for_matrices(rule: Rule, otherwise: Rule, flat: bool, largest: int | None) -> Rule:
    own = tuple(rule.hypers)

    def function(p: Any, g: Any, *states: Any, t: Any, **hypers: Any) -> Any:
        return rule.function(p, g, *states, t=t, **{name: hypers[name] for name in own})

    hypers = {**rule.hypers, **otherwise.hypers, **rule.hypers}  # in its own order, and with its own defaults
    return replace(rule, function=function, hypers=hypers, otherwise=otherwise, flat=flat, largest=largest)


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
        if isinstance(start, str) and start not in (*hypers, "p", "eye"):
            raise RuleError(
                f"state {state!r} of rule {name!r} starts at {start!r}, which is none of its hyper-parameters."
            )
    shapes = _shapes(positional[2:], notes)
    read = Rule(name, function, paper, states, numbers, hypers, starts, _summary(function), title, (function,), shapes)
    kept_whole, positive = _values(positional[2:], notes)
    return replace(read, exact=kept_whole, never_negative=positive)


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


def _values(
    parameters: list[inspect.Parameter], notes: Mapping[str, tuple[Any, ...]]
) -> tuple[frozenset[str], frozenset[str]]:
    """The states that must not be rounded, and those that are said to be never negative."""
    marks = {p.name: notes.get(p.name, ()) for p in parameters}
    positive = (name for name, said in marks.items() if any(isinstance(m, Interval) and m.low >= 0 for m in said))
    return frozenset(name for name, said in marks.items() if exact in said), frozenset(positive)


def _shapes(parameters: list[inspect.Parameter], notes: Mapping[str, tuple[Any, ...]]) -> dict[str, shaped]:
    marks = {p.name: [m for m in notes.get(p.name, ()) if isinstance(m, shaped)] for p in parameters}
    return {name: found[0] for name, found in marks.items() if found}


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
def source(part: Callable[..., Any]) -> str:
    """The text of a function, as far as it is in a file."""
    try:
        return inspect.getsource(part)
    except (OSError, TypeError):
        return f"# the text of {getattr(part, '__name__', part)} is not in a file\n"


def files_of_text(rule: Rule) -> frozenset[str]:
    """The files with the rule's own text (and not PyTorch's or Fallline's machinery)."""
    return frozenset(part.__code__.co_filename for part in rule.parts if hasattr(part, "__code__"))
