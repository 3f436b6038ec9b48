"""Writes `optim/__init__.pyi`, from which editors complete the classes that are made at run time.

`python -m fallline.optim.stubs` (or `make stubs`) writes the file; a test checks that it is current.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..rules.composition import SETTINGS
from ..rules.rule import REGISTRY, is_built_in
from . import class_of
from .base import RuleOptimizer
from .curvature import CurvatureOptimizer
from .full_batch import METHODS

PATH = Path(__file__).with_name("__init__.pyi")

_HEAD = """\
# Made by `make stubs` from the rules; do not edit.
from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

from torch import Tensor

from ..rules.rule import Rule
from . import recipes as recipes
from .backward import in_backward as in_backward
from .base import Params as Params
from .base import RuleOptimizer as RuleOptimizer
from .curvature import CurvatureOptimizer as CurvatureOptimizer
"""

_FUNCTIONS = """
def class_of(rule: str | Rule) -> type[RuleOptimizer]: ...
def call(rule: str | Rule, settings: Mapping[str, Any] = ..., params: str = ...) -> str: ...
def class_name(rule: str | Rule) -> str: ...
def optimizer(rule: str | Rule, params: Params, **settings: float) -> RuleOptimizer: ...
def __getattr__(name: str) -> type[RuleOptimizer]: ...  # the user's own rules
"""


_MODIFIERS = "Settings of modifiers, which every class takes; without one, or at 0, it is left out."


def text() -> str:
    """The stub: the full-batch methods, and one class a built-in rule, with its settings, their types and defaults."""
    rules = filter(is_built_in, REGISTRY.values())
    classes = [class_of(rule) for rule in sorted(rules, key=lambda rule: rule.title)]
    methods = "".join(f"from .full_batch import {name} as {name}\n" for name in METHODS)
    own = {name for cls in classes for name in cls.defaults_}
    shared = {name: kind for name, kind in _modifiers().items() if name not in own}
    others = {name: kind for name, kind in _modifiers().items() if name in own}
    body = "".join(f"    {name}: {kind}\n" for name, kind in shared.items())
    typed = f'\nclass Modifiers(TypedDict, total=False):\n    """{_MODIFIERS}"""\n\n{body}'
    return _HEAD + methods + _FUNCTIONS + typed + "".join(_class(cls, others) for cls in classes)


def _modifiers() -> dict[str, str]:
    """The settings that modifiers add to every class, with their types."""
    built_in = [modifier for modifier in SETTINGS.values() if modifier.is_built_in()]
    types = {}
    for modifier in sorted(built_in, key=lambda modifier: modifier.setting):
        types[modifier.setting] = "float | None" if modifier.hypers else "bool | None"
        types |= dict.fromkeys(list(modifier.hypers)[1:], "float")
    return types


def _class(cls: type[RuleOptimizer], modifiers: Mapping[str, str]) -> str:
    settings = [f"{name}: {_type(name, value)} = {value!r}" for name, value in cls.defaults_.items()]
    betas = len(cls.defaults_.get("betas", ()))
    settings += [f"beta{k + 1}: float = ..." for k in range(betas)]
    settings += [f"{name}: bool | None = ..." for name in ("foreach", "fused", "capturable")]
    settings += [f"{name}: {kind} = ..." for name, kind in modifiers.items() if name not in cls.defaults_]
    settings.append("**modifiers: Unpack[Modifiers]")
    lines = "".join(f"        {setting},\n" for setting in ("self", "params: Params", *settings))
    doc = cls.__doc__ or ""
    base = (CurvatureOptimizer if issubclass(cls, CurvatureOptimizer) else RuleOptimizer).__name__
    return f'\nclass {cls.__name__}({base}):\n    """{doc}"""\n\n    def __init__(\n{lines}    ) -> None: ...\n'


def _type(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, tuple):
        return f"tuple[{', '.join('float | None' if part is None else 'float' for part in value)}]"
    if value is None:  # a choice by name
        return "str | None"
    return "float | Tensor" if name == "lr" else "float"


if __name__ == "__main__":
    PATH.write_text(text())
