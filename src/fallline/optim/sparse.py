"""Sparse gradients: the rows that a gradient names are stepped as a tensor of their own, all others keep their states.

The gradients of `nn.Embedding(sparse=True)` name the rows that a batch has looked up. Those rows of the parameter and
of its states are gathered, stepped by the same rule, and put back: decay of weights and of moments reaches them alone
("lazy"). The step is counted for the parameter, as in `torch.optim.SparseAdam`.
"""

from __future__ import annotations

import torch

from ..errors import InputError
from ..kernels import storage
from ..kernels.reach import Reach, reach
from ..kernels.stepper import Apart, Stepper
from ..kernels.text import Item
from ..rules.rule import Rule
from ..rules.trace import Walk, trace
from .stand_ins import step


def lazily(stepper: Stepper, item: Apart) -> Walk:
    """Step the rows that the gradient names. Raises `InputError` for a rule that must see the others too."""
    _refuse(stepper.rule)
    return _rows(stepper, item)


def _rows(stepper: Stepper, item: Apart) -> Walk:
    for name, key in zip(stepper.rule.states, stepper.keys, strict=True):
        storage.keep(stepper.rule, name, key, item.state, item.parameter)  # in eight bits, rows share their scales
    gradient = item.gradient.detach().coalesce()
    named = tuple(gradient.indices())
    whole = [item.parameter.detach(), *(item.state[key] for key in stepper.keys)]
    with torch.no_grad():
        rows = [tensor[named] for tensor in whole]
    carried = [item.state[name] for name in stepper.carried]
    mine = Item(rows, gradient.values(), (item.t, *item.numbers), carried, stepper.place(item.parameter))
    yield from step(stepper, [(item, mine)])
    with torch.no_grad():
        for tensor, stepped in zip(whole, rows, strict=True):
            tensor[named] = stepped


def _refuse(rule: Rule) -> None:
    """Raises `InputError` where rows cannot be stepped by themselves."""
    furthest, operation = reach(rule)
    if trace(rule).rounds:
        furthest, operation = Reach.SCALARS, "total"
    if furthest > Reach.ELEMENT:
        has_another = rule.of_shape((2, 2), elementwise=True) is not rule
        instead = "put the parameter in a group with elementwise=True" if has_another else "use an element-wise rule"
        raise InputError(
            f"{rule.name} was given a sparse gradient, but needs more of the parameter than the rows it names "
            f"(for `{operation}`); {instead}, or make the gradient dense."
        )
