"""Plain tensors stepped in a parameter's place, where that is spread over processes or its gradient is sparse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..kernels.stepper import Apart, Stepper
from ..kernels.storage import entries
from ..kernels.text import Item
from ..rules.trace import Walk, side_by_side


def step(stepper: Stepper, stand_ins: Sequence[tuple[Apart, Item]]) -> Walk:
    """Step by the stepper's rule what stands in for parameters; the numbers that these carry are brought up to date.

    The tensors of a stand-in are plain ones, and are changed in place.
    """
    places = {id(mine.tensors[0]): mine.place for _, mine in stand_ins}
    once = Stepper(stepper.rule, stepper.keys, lambda p: places[id(p)])
    states: dict[Tensor, dict[str, Any]] = {}
    for item, mine in stand_ins:
        p: Any = mine.tensors[0]
        p.grad = mine.gradient
        states[p] = dict(zip(stepper.carried, mine.carried, strict=True), step=item.t - 1)
        for key, held in zip(stepper.keys, mine.tensors[1:], strict=True):
            states[p].update(entries(key, held))
        once.add([p], states, item.numbers, _is_complete)
    yield from side_by_side(once.steps())
    for (item, _), state in zip(stand_ins, states.values(), strict=True):
        item.state.update((name, state[name]) for name in stepper.carried)


def _is_complete(p: Tensor, state: dict[str, Any]) -> None:
    """A stand-in comes with all its states."""
