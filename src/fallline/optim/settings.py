"""What an optimizer is given, read and checked before any work: its settings, and its parameters."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from ..errors import InputError, unknown
from ..kernels.reach import Reach, reach
from ..rules.rule import Rule
from ..rules.trace import trace
from . import modified

if TYPE_CHECKING:
    from .base import RuleOptimizer

_IMPLEMENTATION = {"foreach", "fused", "capturable", "differentiable"}
"""Arguments with which `torch.optim` chooses an implementation. Here there is one: they change nothing."""


def by_name(cls: type[RuleOptimizer], args: Sequence[Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """All settings by name. Raises `InputError` for too many by position, or one that is given twice."""
    if len(args) > len(cls.defaults_):
        raise InputError(f"{cls.__name__} takes at most {len(cls.defaults_)} settings: {', '.join(cls.defaults_)}.")
    by_position = dict(zip(cls.defaults_, args, strict=False))
    twice = sorted(by_position.keys() & settings.keys())
    if twice:
        raise InputError(f"{cls.__name__} was given {', '.join(twice)} twice, by position and by name.")
    return {**by_position, **settings}


def of_group(cls: type[RuleOptimizer], given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings under a group's own names, `beta1=` and `beta2=` gathered into `betas=`.

    Raises `InputError` for a name that the class does not know, or another number of values than it needs.
    """
    settings = {name: value for name, value in given.items() if name not in _IMPLEMENTATION}
    if given.get("differentiable"):
        raise InputError(f"differentiable=True is not allowed for {cls.__name__}: a step leaves no graph.")
    for name, default in cls.defaults_.items():
        value = settings.get(name, default)
        if isinstance(default, tuple) and (not isinstance(value, tuple | list) or len(value) != len(default)):
            raise InputError(f"{name}={value!r} is not allowed for {cls.__name__}: {len(default)} numbers are needed.")
    betas = cls.defaults_.get("betas")
    if betas is not None:
        start = settings.get("betas", betas)
        single = {k: settings.pop(f"beta{k + 1}") for k in range(len(betas)) if f"beta{k + 1}" in settings}
        if single:
            settings["betas"] = tuple(single.get(k, beta) for k, beta in enumerate(start))
    modified.refuse_hypers(settings, cls.defaults_, cls.__name__)
    # a group may carry notes of its own (`name`, `initial_lr`): there only what looks mistyped is refused
    cutoff = 0.8 if "params" in given else 0.0
    known = names(cls)
    for name in [name for name in settings if name not in (*known, "params")]:
        if difflib.get_close_matches(name, known, n=1, cutoff=cutoff):
            raise unknown(f"argument of {cls.__name__}", name, known)
    return settings


def names(cls: type[RuleOptimizer]) -> list[str]:
    """All settings of a class: its own and those of modifiers."""
    return [*cls.defaults_, *modified.settings(cls.defaults_)]


def check(optimizer: RuleOptimizer, group: Mapping[str, Any]) -> Rule:
    """The rule of a group. Raises `InputError` for a value that is not allowed, alone or with others."""
    cls = type(optimizer)
    rule, values = optimizer.rule_of(group)
    for name, value in values.items():
        asked = modified.asked(name, group, cls.defaults_)
        asked = "weight_decay" if asked == "l2" and "l2" not in group else asked
        replace(rule.hypers[name], name=asked).check(value, cls.__name__)
    modified.refuse_alone(group, cls.defaults_, cls.__name__)
    optimizer.refuse(group)
    trace(rule)
    return rule


def check_parameters(optimizer: RuleOptimizer, whole: Rule, group: Mapping[str, Any]) -> None:
    """Raises `InputError` for sparse parameters, and for complex ones that the rule cannot step as pairs."""
    cls = type(optimizer).__name__
    for p in group["params"]:
        if p.layout is not torch.strided:
            raise InputError(f"{cls} takes no parameters in {p.layout}; their gradients may be sparse.")
        if p.is_complex():
            rule = whole.of_shape(p.shape, group.get("elementwise", False))
            furthest, operation = reach(rule)
            if furthest >= Reach.SIDES:
                raise InputError(f"{cls} takes no complex matrices: {rule.name} is of real ones (`{operation}`).")
