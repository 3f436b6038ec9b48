"""The optimizer over a rule: PyTorch's contract on the outside, one kernel call a step on the inside."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial, wraps
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..errors import InputError, unknown
from ..kernels.stepper import Stepper
from ..kernels.text import fresh
from ..rules import ascend
from ..rules.rule import Rule
from ..rules.trace import together, trace

Params = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]

_IMPLEMENTATION = {"foreach", "fused", "capturable", "differentiable"}
"""Arguments with which `torch.optim` chooses an implementation. Here there is one: they change nothing."""


def _light(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of PyTorch's optimizer without its guard against PyTorch's compiler.

    The guard imports the compiler, which takes a second; while that is not loaded there is nothing to guard against.
    """
    bare = getattr(method, "__wrapped__", method)

    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        return (method if "torch._dynamo" in sys.modules else bare)(*args, **kwargs)

    return call


_add_param_group = _light(torch.optim.Optimizer.add_param_group)


class RuleOptimizer(torch.optim.Optimizer):
    """A `torch.optim.Optimizer` that steps by a rule.

    A subclass says two things: `defaults_`, the settings of a parameter group with their defaults, and `read`, which
    gives the rule for a group and the values of that rule's hyper-parameters.
    """

    defaults_: ClassVar[Mapping[str, Any]] = {}
    state_names: ClassVar[Mapping[str, str]] = {}
    """The name that a rule's state has in `state`, where that is another."""

    def __init__(self, params: Params, *args: Any, **settings: Any) -> None:
        self._steppers: dict[Rule, Stepper] = {}
        if len(args) > len(self.defaults_):
            raise InputError(
                f"{type(self).__name__} takes at most {len(self.defaults_)} settings: {', '.join(self.defaults_)}."
            )
        by_position = dict(zip(self.defaults_, args, strict=False))
        twice = sorted(by_position.keys() & settings.keys())
        if twice:
            raise InputError(f"{type(self).__name__} was given {', '.join(twice)} twice, by position and by name.")
        super().__init__(params, {**self.defaults_, **self._settings({**by_position, **settings})})

    @classmethod
    def read(cls, group: Mapping[str, Any]) -> tuple[Rule, Mapping[str, Any]]:
        """The rule that a group is stepped by, and its hyper-parameters."""
        raise NotImplementedError

    @classmethod
    def refuse(cls, group: Mapping[str, Any]) -> None:
        """Raises `InputError` for settings that are allowed each, but not together."""

    @classmethod
    def _settings(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Settings under a group's own names, `beta1=` and `beta2=` gathered into `betas=`."""
        settings = {name: value for name, value in given.items() if name not in _IMPLEMENTATION}
        if given.get("differentiable"):
            raise InputError(f"differentiable=True is not allowed for {cls.__name__}: a step leaves no graph.")
        for name, default in cls.defaults_.items():
            value = settings.get(name, default)
            if isinstance(default, tuple) and (not isinstance(value, tuple | list) or len(value) != len(default)):
                raise InputError(
                    f"{name}={value!r} is not allowed for {cls.__name__}: {len(default)} numbers are needed."
                )
        betas = cls.defaults_.get("betas")
        if betas is not None:
            start = settings.get("betas", betas)
            single = {k: settings.pop(f"beta{k + 1}") for k in range(len(betas)) if f"beta{k + 1}" in settings}
            if single:
                settings["betas"] = tuple(single.get(k, beta) for k, beta in enumerate(start))
        # a group may carry notes of its own (`name`, `initial_lr`): there only what looks mistyped is refused
        cutoff = 0.8 if "params" in given else 0.0
        for name in settings:
            near = difflib.get_close_matches(name, cls.defaults_, n=1, cutoff=cutoff)
            if name not in cls.defaults_ and name != "params" and near:
                raise unknown(f"argument of {cls.__name__}", name, cls.defaults_)
        return settings

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters with settings of its own; raises `InputError` for a setting that is not allowed."""
        group = self._settings(param_group)
        rule, values = self.read({**self.defaults, **group})
        for name, value in values.items():
            asked = "weight_decay" if name == "l2" and name not in self.defaults_ else name
            replace(rule.hypers[name], name=asked).check(value, type(self).__name__)
        self.refuse({**self.defaults, **group})
        trace(rule)
        _add_param_group(self, group)

    zero_grad = _light(torch.optim.Optimizer.zero_grad)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._steppers = {}
        for group in self.param_groups:
            for name, default in self.defaults_.items():
                group.setdefault(name, default)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step. `closure`, if given, computes the loss and its gradients again and its value is returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        used: dict[Rule, Stepper] = {}
        for group in self.param_groups:
            whole, values = self.read(group)
            if group["maximize"]:
                whole = ascend(whole)
            for rule, params in _shared_out(whole, group):
                stepper = self._stepper(rule)
                if rule not in used:
                    used[rule] = stepper
                    stepper.begin()
                numbers = tuple([float(values[name]) for name in rule.hypers])
                stepper.add(params, self.state, numbers, partial(self._start, rule, values))
        try:
            together([step for stepper in used.values() for step in stepper.steps()])
        finally:
            for stepper in used.values():
                stepper.begin()
        return loss

    def _stepper(self, rule: Rule) -> Stepper:
        stepper = self._steppers.get(rule)
        if stepper is None:
            keys = [self.state_names.get(name, name) for name in rule.states]
            stepper = self._steppers[rule] = Stepper(rule, keys)
        return stepper

    def _start(self, rule: Rule, values: Mapping[str, Any], p: Tensor, state: dict[str, Any]) -> None:
        """Make the states that the parameter lacks: all at first, some when a group's settings change its rule.

        A checkpoint of `torch.optim` brings its numbers as tensors, and no count of steps where the rule needs none.
        """
        state["step"] = int(state.get("step", any(value is not None for value in state.values())))
        for name in rule.states:
            key = self.state_names.get(name, name)
            if state.get(key) is None:
                state[key] = fresh(rule, name, p, values)
        for name, number in rule.numbers.items():
            state[name] = float(state.get(name, number))


def _shared_out(rule: Rule, group: Mapping[str, Any]) -> Iterable[tuple[Rule, list[Tensor]]]:
    """The group's parameters by the rule that steps them: a rule for matrices names another for the rest."""
    if rule.otherwise is None:
        return [(rule, group["params"])]
    parts: dict[Rule, list[Tensor]] = {}
    for p in group["params"]:
        parts.setdefault(rule.of_shape(p.shape, group.get("elementwise", False)), []).append(p)
    return parts.items()
