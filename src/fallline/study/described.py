"""What the record keeps of a rule, so that a result can be read where the code that defined the rule is not."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import RecordError
from ..kernels import cost, equation
from ..rules import Hyper, Interval, Range, Rule
from ..rules.rule import find, source
from .plan import digest


def fingerprint(rule: Rule) -> str:
    """A digest of what the rule computes: its text and states, whatever its name and defaults."""
    said = [rule.source, list(rule.states), dict(rule.numbers), [_code(part) for part in rule.parts]]
    further = {
        "otherwise": rule.otherwise and fingerprint(rule.otherwise),
        "climb": rule.climb and fingerprint(rule.climb),
        "evaluation": rule.evaluation and [source(rule.evaluation), _code(rule.evaluation)],
        "largest": rule.largest,
    }
    given = {name: value for name, value in further.items() if value is not None}
    return digest([*said, given] if given else said)


def _code(part: Any) -> str:
    """What tells functions apart whose text is in no file, such as those defined at a prompt; else nothing."""
    try:
        inspect.getsource(part)
    except (OSError, TypeError):
        code = getattr(part, "__code__", None)
        return "" if code is None else f"{code.co_code.hex()} {code.co_consts} {code.co_names}"
    return ""


def describe(rule: Rule) -> dict[str, Any]:
    """What the record keeps of a rule, so that a result can be read where the rule's code is not."""
    sheet = cost(rule)
    return {
        "name": rule.name,
        "fingerprint": fingerprint(rule),
        "paper": rule.paper,
        "summary": rule.summary,
        "states": list(rule.states),
        "numbers": dict(rule.numbers),
        "equation": list(equation(rule)),
        "bytes_per_parameter": sheet.bytes_per_parameter,
        "state_arrays": sheet.states,
        "hypers": [_describe_hyper(hyper) for hyper in rule.hypers.values()],
    }


def restore(described: Mapping[str, Any]) -> Rule:
    """The rule that was described: the one known by that name if its text is the same, else one that cannot step."""
    name = described["name"]
    known = find(name)
    if known is not None and _same(known, described):
        return known
    return Rule(
        name=name,
        function=_absent(name),
        paper=described["paper"],
        states=tuple(described["states"]),
        numbers=described["numbers"],
        hypers={hyper["name"]: _restore_hyper(hyper) for hyper in described["hypers"]},
        summary=described["summary"],
    )


def _same(rule: Rule, described: Mapping[str, Any]) -> bool:
    hypers = [_describe_hyper(hyper) for hyper in rule.hypers.values()]
    return bool(fingerprint(rule) == described["fingerprint"] and hypers == described["hypers"])


def _describe_hyper(hyper: Hyper) -> dict[str, Any]:
    allowed, search = hyper.allowed, hyper.search
    return {
        "name": hyper.name,
        "default": hyper.default,
        "allowed": [allowed.low, allowed.high, allowed.closed, *([True] if allowed.whole else [])],
        "search": None if search is None else [search.low, search.high, search.scale],
    }


def _restore_hyper(described: Mapping[str, Any]) -> Hyper:
    search = described["search"]
    allowed = Interval(*described["allowed"])
    return Hyper(described["name"], described["default"], allowed, None if search is None else Range(*search))


def _absent(name: str) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        raise RecordError(f"the rule {name!r} was read from a record; load the file that defines it to use it.")

    return function
