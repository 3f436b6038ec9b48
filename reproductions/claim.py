"""What a claim is, and how the files of `claims/` are found."""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from fallline.errors import unknown

from .finding import Finding

Measure = Callable[..., Sequence[Finding]]


class Source(StrEnum):
    """Where the paper's figures were taken from."""

    PAPER = "read in the paper"
    ABSTRACT = "read in its abstract"
    MEMORY = "from memory"
    NONE = "no figure"


@dataclass(frozen=True)
class Claim:
    """What a paper says, and `measure(lab, **settings)`, which measures it here.

    `figures` are the paper's own. `smoke` are settings at which `measure` ends in seconds and means nothing.
    """

    number: int
    title: str
    paper: str
    figures: str
    source: Source
    measure: Measure
    smoke: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return self.measure.__name__

    @property
    def protocol(self) -> str:
        """How it is measured, in a few sentences."""
        return " ".join((inspect.getdoc(self.measure) or "").split())

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that a real measurement is made at."""
        parameters = inspect.signature(self.measure).parameters.values()
        return {p.name: p.default for p in parameters if p.default is not p.empty}

    @cached_property
    def code(self) -> str:
        """What its file does, whatever is said about it."""
        tree = ast.parse(inspect.getsource(inspect.getmodule(self.measure) or self.measure))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
                del node.body[0]
            if isinstance(node, ast.FunctionDef) and node.name == self.name:
                node.decorator_list.clear()
        return ast.dump(tree)

    def version(self, settings: Mapping[str, Any]) -> str:
        """A digest of what it does at these settings: what was measured under another one is out of date."""
        return hashlib.blake2b(f"{self.code}\n{sorted(settings.items())}".encode(), digest_size=8).hexdigest()


_CLAIMS: dict[str, Claim] = {}


def claim(
    *, number: int, title: str, paper: str, figures: str, source: Source, smoke: Mapping[str, Any]
) -> Callable[[Measure], Measure]:
    """Make a function a claim; its docstring says how it measures, its keyword arguments are the settings."""

    def decorate(measure: Measure) -> Measure:
        made = Claim(number, title, paper, figures, source, measure, smoke)
        _CLAIMS[made.name] = made
        return measure

    return decorate


def claims() -> list[Claim]:
    """All claims, by number."""
    package = importlib.import_module(f"{__package__}.claims")
    for file in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{file.name}")
    return sorted(_CLAIMS.values(), key=lambda each: (each.number, each.name))


def chosen(names: Sequence[str]) -> list[Claim]:
    """The claims of these names, all where there are none. Raises `InputError`, with the nearest names."""
    known = {each.name: each for each in claims()}
    for name in names:
        if name not in known:
            raise unknown("claim", name, known)
    return [each for name, each in known.items() if not names or name in names]
