"""The compiled step of a stack: the numbers of the plain one, and no trust where it would be wrong."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fallline.training.course import Course
from fallline.training.program import CannotTrace, Program, has_compiler
from fallline.training.stack import Stack

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not has_compiler(), reason="there is no C++ compiler"),
]


def stack_of(make, trial, model) -> Stack:
    trials = [trial("adam", seed=k % 2, lr=0.01) for k in range(3)]
    return Stack(make(model), [Course(k, each) for k, each in enumerate(trials)])


def network() -> nn.Module:
    return nn.Sequential(
        nn.Linear(5, 8, bias=False),
        nn.BatchNorm1d(8),
        nn.Dropout(0.3),
        nn.Tanh(),
        nn.Linear(8, 8),
        nn.ReLU(),
        nn.Linear(8, 3),
    )


def test_compiled_steps_have_the_numbers_of_plain_ones(make, trial):
    plain, compiled = stack_of(make, trial, network), stack_of(make, trial, network)
    program = Program(compiled, *compiled.batch(0, 10))
    for at in range(5):
        plain.step(10 * at, 10 * at + 10)
        losses, gradients = program(*compiled.batch(10 * at, 10 * at + 10))
        compiled._update(gradients)
        torch.testing.assert_close(plain.losses[-1], losses, rtol=1e-4, atol=1e-5)
    for name, value in plain.fixed.items():
        torch.testing.assert_close(value, compiled.fixed[name], rtol=1e-4, atol=1e-5)


def test_compiling_leaves_the_stack_as_it_was(make, trial):
    plain, compiled = stack_of(make, trial, network), stack_of(make, trial, network)
    Program(compiled, *compiled.batch(0, 10))
    for stack in (plain, compiled):
        stack.step(0, 10)
    assert torch.equal(plain.losses[0], compiled.losses[0])
    assert all(torch.equal(value, compiled.fixed[name]) for name, value in plain.fixed.items())


class Counting(nn.Module):
    """A model that changes what it does from call to call."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.calls = nn.Linear(5, 3), 0

    def forward(self, x):
        self.calls += 1
        return self.layer(x) * self.calls


def test_a_model_that_a_program_would_get_wrong_is_not_compiled(make, trial):
    stack = stack_of(make, trial, Counting)
    with pytest.raises(CannotTrace):
        Program(stack, *stack.batch(0, 10))
