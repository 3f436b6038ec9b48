"""Loading a checkpoint: what PyTorch's own loading does, and what it leaves to chance.

A checkpoint of another rule or another model is refused, settings that it does not mention keep their values, and a
state has the type that its rule gives it. One that the rule keeps in fewer bits, or spread over processes, is made so
from the checkpoint's tensor, one after another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ..errors import InputError
from ..kernels import spread, storage
from ..kernels.text import fresh
from ..rules.rule import Rule
from . import guard, settings

if TYPE_CHECKING:
    from .base import RuleOptimizer

Checkpoint = Mapping[str, Any]


class _Given(NamedTuple):
    """A state that a checkpoint has, and how the optimizer keeps it."""

    parameter: Tensor
    index: Any
    """The parameter's place in the checkpoint."""
    rule: Rule
    name: str
    key: str
    value: Tensor
    wanted: Tensor
    """As the rule would begin it, without memory."""

    @property
    def is_narrow(self) -> bool:
        """Whether it is kept in fewer bits than the parameter's."""
        return storage.kept_in(self.rule, self.name, self.parameter) is not self.parameter.dtype


def load(optimizer: RuleOptimizer, checkpoint: Checkpoint) -> None:
    """Load a checkpoint by PyTorch's own loading, and see to the rest.

    Raises `InputError` for one of another rule or with states of other shapes.
    """
    given: dict[str, Any] = {}
    before = [dict(group) for group in optimizer.param_groups]
    known = settings.names(type(optimizer))

    def look(_: Any, checkpoint: Checkpoint) -> dict[str, Any]:
        given.update(checkpoint)
        rest = dict(given["state"])
        for each in _states(optimizer, given):
            _check(optimizer, each)
            if each.is_narrow:  # PyTorch would make all of them as wide as their parameters first
                rest[each.index] = {key: value for key, value in rest[each.index].items() if key != each.key}
        return {**checkpoint, "state": rest}

    def finish(_: Any) -> None:
        for group, old, saved in zip(optimizer.param_groups, before, given["param_groups"], strict=True):
            group.update((name, old[name]) for name in old.keys() - saved.keys() if name in known)
        for each in _states(optimizer, given):
            _place(optimizer.state[each.parameter], each)

    # the first sees what a user's hooks have made of the checkpoint, the second runs before a user's
    hooks = [
        optimizer.register_load_state_dict_pre_hook(look),
        optimizer.register_load_state_dict_post_hook(finish, prepend=True),
    ]
    try:
        guard.load_state_dict(optimizer, checkpoint)
    finally:
        for hook in hooks:
            hook.remove()


def _place(state: dict[str, Any], given: _Given) -> None:
    """Have a parameter's state hold what the checkpoint gives, as the optimizer keeps it."""
    p, rule, name, key = given.parameter, given.rule, given.name, given.key
    if given.is_narrow:
        state[key] = given.value.to(p.device, copy=True)
    elif state[key].dtype != given.wanted.dtype:
        state[key] = given.value.to(p.device, given.wanted.dtype)
    if state[key].shape == p.shape:
        state[key] = spread.spread_as(state[key], p)
    storage.keep(rule, name, key, state, p)


def _check(optimizer: RuleOptimizer, given: _Given) -> None:
    """Raises `InputError` for a state that is none of the parameter's."""
    key, value = given.key, given.value
    if value.shape != given.wanted.shape:
        raise InputError(
            f"the checkpoint's {key} has the shape {tuple(value.shape)} for a parameter of the shape "
            f"{tuple(given.parameter.shape)}; {type(optimizer).__name__} keeps {tuple(given.wanted.shape)}. Is it of "
            "another model?"
        )
    if not (value.is_floating_point() or value.is_complex()):
        raise InputError(
            f"the checkpoint's {key} is of the type {value.dtype}; {type(optimizer).__name__} loads numbers of "
            "floating point. Is it of another program?"
        )


def _states(optimizer: RuleOptimizer, given: Checkpoint) -> Iterator[_Given]:
    """The states that the checkpoint has of the optimizer's parameters.

    Raises `InputError` for a parameter of which it has others alone.
    """
    for group, saved in zip(optimizer.param_groups, given["param_groups"], strict=False):
        whole, values = optimizer.rule_of({**group, **saved})
        for p, index in zip(group["params"], saved["params"], strict=False):
            state = given["state"].get(index, {})
            rule = whole.of_shape(p.shape, saved.get("elementwise", False))
            keys = {name: optimizer.state_names.get(name, name) for name in rule.states}
            held = {key for key, value in state.items() if isinstance(value, Tensor) and key != "step"}
            if keys and held and held.isdisjoint(keys.values()):
                raise InputError(
                    f"the checkpoint is of another rule: it holds {', '.join(sorted(held))}; "
                    f"{type(optimizer).__name__} keeps {', '.join(keys.values())}."
                )
            like = torch.empty(p.shape, dtype=p.dtype, device="meta")
            for name, key in keys.items():
                if key in held:
                    yield _Given(p, index, rule, name, key, state[key], fresh(rule, name, like, values))
