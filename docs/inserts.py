"""What the code knows within a written page: a line `<!-- made: name -->` is replaced by what a function here makes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from types import ModuleType

from fallline.optim.full_batch import METHODS
from fallline.rules import hyper, matrices, ops
from fallline.schedules import REGISTRY as SCHEDULES
from fallline.study.search.pruners import PRUNERS
from fallline.study.search.samplers import SAMPLERS

from . import annotations, words
from .composition import built_in
from .state import LARGE, bytes_of_state

INSERTS: dict[str, Callable[[], str]] = {}
_NAMED = re.compile(r"^<!-- made: (.+) -->$", re.MULTILINE)


def filled(markdown: str) -> str:
    """A page with what it asks for. Raises `KeyError` for what nothing makes."""
    return _NAMED.sub(lambda named: INSERTS[named[1]](), markdown)


def insert(function: Callable[[], str]) -> Callable[[], str]:
    """Make a function's Markdown known by the function's name."""
    INSERTS[function.__name__] = function
    return function


@insert
def samplers() -> str:
    """The samplers of a search."""
    rows = [
        (words.code(name), words.summary(sampler.propose), "yes" if sampler.adaptive else "no")
        for name, sampler in SAMPLERS.items()
    ]
    return words.table(("Sampler", "How it chooses", "Learns from what was tried"), rows)


@insert
def pruners() -> str:
    """The pruners of a search."""
    return words.table(("Pruner", "What it does"), [(words.code(n), words.summary(p)) for n, p in PRUNERS.items()])


@insert
def scales() -> str:
    """The ways in which a search range is even."""
    ways = [hyper.log, hyper.linear, hyper.one_minus_log]
    return words.table(("Range", "What it is"), [(_call(way), words.summary(way)) for way in ways])


@insert
def hyper_annotations() -> str:
    """The names of annotations that the built-in rules share."""
    return annotations.table(hyper)


@insert
def full_batch() -> str:
    """The methods for whole data sets, each with what it says of itself in a sentence."""
    rows = [(words.code(name), words.prose(_sentence(cls))) for name, cls in METHODS.items()]
    return words.table(("Class", "What it is"), rows)


@insert
def schedules() -> str:
    """The schedules, as they are written, with their sources."""
    rows = [(words.code(each.call), each.summary, each.paper) for _, each in sorted(SCHEDULES.items())]
    return words.table(("Schedule", "What it is", "Source"), rows)


@insert
def operations() -> str:
    """The functions that a rule may use beside PyTorch's."""
    return _functions(ops)


@insert
def matrix_functions() -> str:
    """The functions of matrices that a rule may use."""
    return _functions(matrices)


@insert
def by_state() -> str:
    """The rules by the state that they keep beside a large matrix."""
    found: dict[float, list[str]] = {}
    for rule in built_in():
        found.setdefault(bytes_of_state(rule), []).append(f"[{rule.title}](../rules/{rule.name}.md)")
    rows = [(f"{each:g}", ", ".join(found[each])) for each in sorted(found)]
    head = f"Beside each element of a float32 matrix of {LARGE[0]} rows and {LARGE[1]} columns:\n\n"
    return head + words.table((">Bytes of state", "Rules"), rows)


def _functions(module: ModuleType) -> str:
    """What of a module is recorded as one operation when a rule is traced."""
    named = [f for f in vars(module).values() if hasattr(f, "__wrapped__") and f.__module__ == module.__name__]
    found = [f for f in named if not inspect.isgeneratorfunction(f.__wrapped__)]  # those open a `with` block
    return words.table(("Function", "What it is"), [(_call(f), words.summary(f)) for f in found])


def _sentence(thing: object) -> str:
    """The first sentence of a docstring, which may be longer than its first line."""
    paragraph = (inspect.getdoc(thing) or "").partition("\n\n")[0]
    return re.split(r"(?<=\.) (?=[A-Z])", " ".join(paragraph.split()), maxsplit=1)[0]


def _call(function: Callable[..., object]) -> str:
    return words.code(f"{function.__name__}({', '.join(inspect.signature(function).parameters)})")
