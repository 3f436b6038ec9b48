"""A class of another library beside a rule: what it is called, and with which settings it is the rule."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass(frozen=True)
class Peer:
    """A class of another library by its path, with the settings that make it the rule, and the rule's own."""

    path: str
    theirs: Mapping[str, Any] = field(default_factory=dict)
    ours: Mapping[str, Any] = field(default_factory=dict)
    tolerance: float | None = 1e-12
    note: str = ""
    dimensions: int = 0
    """The fewest dimensions of the tensors that the class treats as the rule does."""
    most_dimensions: int = 9
    of_model: bool = False
    """Whether the class takes a model in place of parameters."""
    groups: Callable[[Sequence[torch.nn.Parameter]], list[dict[str, Any]]] | None = None
    """The parameter groups that the class has to be given."""
    prepare: Callable[[Any], None] = lambda optimizer: None
    """What is done to the class's optimizer before its first step."""

    def __str__(self) -> str:
        settings = [f"{name}={getattr(value, '__name__', value)}" for name, value in self.theirs.items()]
        return f"{self.path}({', '.join(settings)})"

    @property
    def cls(self) -> type[torch.optim.Optimizer]:
        """The class, imported when it is asked for."""
        module, _, name = self.path.rpartition(".")
        found: type[torch.optim.Optimizer] = getattr(importlib.import_module(module), name)
        return found

    def make(self, params: Sequence[torch.nn.Parameter], **more: Any) -> torch.optim.Optimizer:
        """An optimizer of that class over the parameters, its settings the row's and those given."""
        given: Any = torch.nn.ParameterList(params) if self.of_model else params
        if self.groups is not None:
            given = [{**group, **{k: v for k, v in more.items() if k in group}} for group in self.groups(params)]
        optimizer = self.cls(given, **{**self.theirs, **more})
        self.prepare(optimizer)
        return optimizer

    def paths(self) -> dict[str, dict[str, Any]]:
        """The class's ways to run by name, each with the setting that chooses it, to time all of them."""
        settings = inspect.signature(self.cls).parameters
        if "foreach" not in settings:
            return {"loop": {}}
        on_gpu = {"triton": {"triton": True}} if "triton" in settings and torch.cuda.is_available() else {}
        return {"foreach": {"foreach": True}, "loop": {"foreach": False}, **on_gpu}
