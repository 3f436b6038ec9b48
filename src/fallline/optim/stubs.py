"""Writes `optim/__init__.pyi`, from which editors complete the classes that are made at run time.

`python -m fallline.optim.stubs` (or `make stubs`) writes the file; a test checks that it is current.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..rules.rule import REGISTRY, is_built_in
from . import class_of
from .base import RuleOptimizer

PATH = Path(__file__).with_name("__init__.pyi")

_HEAD = """\
# Made by `make stubs` from the rules; do not edit.
from torch import Tensor

from ..rules.rule import Rule
from .base import Params as Params
from .base import RuleOptimizer as RuleOptimizer

def class_of(rule: str | Rule) -> type[RuleOptimizer]: ...
def class_name(rule: str | Rule) -> str: ...
def optimizer(rule: str | Rule, params: Params, **settings: float) -> RuleOptimizer: ...
def __getattr__(name: str) -> type[RuleOptimizer]: ...  # the user's own rules
"""


def text() -> str:
    """The stub: one class a built-in rule, with its settings, their types and defaults."""
    rules = filter(is_built_in, REGISTRY.values())
    classes = (class_of(rule) for rule in sorted(rules, key=lambda rule: rule.title))
    return _HEAD + "".join(_class(cls) for cls in classes)


def _class(cls: type[RuleOptimizer]) -> str:
    settings = [f"{name}: {_type(name, value)} = {value!r}" for name, value in cls.defaults_.items()]
    betas = len(cls.defaults_.get("betas", ()))
    settings += [f"beta{k + 1}: float = ..." for k in range(betas)]
    settings += [f"{name}: bool | None = ..." for name in ("foreach", "fused", "capturable")]
    lines = "".join(f"        {setting},\n" for setting in ("self", "params: Params", *settings))
    doc = cls.__doc__ or ""
    return f'\nclass {cls.__name__}(RuleOptimizer):\n    """{doc}"""\n\n    def __init__(\n{lines}    ) -> None: ...\n'


def _type(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, tuple):
        return f"tuple[{', '.join('float' for _ in value)}]"
    return "float | Tensor" if name == "lr" else "float"


if __name__ == "__main__":
    PATH.write_text(text())
