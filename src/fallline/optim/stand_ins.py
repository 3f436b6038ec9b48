"""Plain tensors stepped in a parameter's place, where that is spread over processes or its gradient is sparse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor

from ..kernels.stepper import Apart, Stepper
from ..rules.trace import Walk, side_by_side


class StandIn(NamedTuple):
    """The tensors that stand in for a parameter and its states, and for its gradient; they are changed in place."""

    item: Apart
    tensors: Sequence[Tensor]
    gradient: Tensor


def step(stepper: Stepper, stand_ins: Sequence[StandIn]) -> Walk:
    """Step by the stepper's rule what stands in for parameters; the numbers that these carry are brought up to date."""
    places = {id(each.tensors[0]): stepper.place(each.item.parameter) for each in stand_ins}
    once = Stepper(stepper.rule, stepper.keys, lambda p: places[id(p)])
    states: dict[Tensor, dict[str, Any]] = {}
    for item, (p, *held), gradient in stand_ins:
        p.grad = gradient
        state = states[p] = {name: item.state[name] for name in stepper.carried}
        state.update(zip(stepper.keys, held, strict=True), step=item.t - 1)
        once.add([p], states, item.numbers, _is_complete)
    yield from side_by_side(once.steps())
    for (item, _, _), state in zip(stand_ins, states.values(), strict=True):
        item.state.update((name, state[name]) for name in stepper.carried)


def _is_complete(p: Tensor, state: dict[str, Any]) -> None:
    """A stand-in comes with all its states."""
