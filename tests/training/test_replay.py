"""The recorded step of a stack: the same bits as the step itself, and no trust where a replay would be wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from fallline.training.compiling import TOLERANCE, compiled, has_compiler
from fallline.training.course import Course
from fallline.training.replay import CannotRecord, Replay
from fallline.training.stack import Stack


def stack_of(make, trial, model) -> Stack:
    trials = [trial("adam", seed=k % 2, lr=0.01) for k in range(3)]
    stack = Stack(make(model), [Course(k, each) for k, each in enumerate(trials)])
    stack.replay = lambda x, y: None
    return stack


def network() -> nn.Module:
    layers = [nn.Linear(5, 8, bias=False), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Tanh(), nn.Linear(8, 8), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(8, 3))


class Sequences(nn.Module):
    """Embedding, recurrence, attention and noise of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.attend = nn.LSTM(1, 8, batch_first=True), nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm, self.last = nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, x):
        h, _ = self.lstm(x.unsqueeze(-1))
        h = self.norm(h + self.attend(h, h, h, need_weights=False)[0])
        return self.last(h.mean(1) + 0.1 * torch.randn(len(x), 8))


def convolutions() -> nn.Module:
    layers = [nn.Unflatten(1, (1, 5)), nn.Conv1d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(8, 3))


@pytest.mark.parametrize("model", [network, Sequences, convolutions])
def test_replayed_steps_are_the_same_bits(make, trial, model):
    plain, replayed = stack_of(make, trial, model), stack_of(make, trial, model)
    replay = Replay(replayed.models, *replayed.batch(0, 10))
    for at in range(0, 80, 10):
        plain.step(at, at + 10)
        losses, gradients = replay(*replayed.batch(at, at + 10))
        replayed._update(gradients)
        assert torch.equal(plain.losses[-1], losses)
    for mine, theirs in (
        (plain.models.parameters, replayed.models.parameters),
        (plain.models.fixed, replayed.models.fixed),
    ):
        assert all(torch.equal(value, theirs[name]) for name, value in mine.items())


def test_recording_leaves_the_stack_as_it_was(make, trial):
    plain, replayed = stack_of(make, trial, network), stack_of(make, trial, network)
    Replay(replayed.models, *replayed.batch(0, 10))
    for stack in (plain, replayed):
        stack.step(0, 10)
    assert torch.equal(plain.losses[0], replayed.losses[0])
    assert all(torch.equal(value, replayed.models.fixed[name]) for name, value in plain.models.fixed.items())


class Counting(nn.Module):
    """A model that changes what it does from call to call."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.calls = nn.Linear(5, 3), 0

    def forward(self, x):
        self.calls += 1
        return self.layer(x) * self.calls


class Chance(nn.Module):
    """A model that draws from a generator that no stack can see."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x):
        return self.layer(x) * float(np.random.rand())  # noqa: NPY002


class ByValue(nn.Module):
    """A model whose noise depends on its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x):
        out = self.layer(x)
        return out * torch.bernoulli(out.sigmoid().detach())


@pytest.mark.parametrize("model", [Counting, Chance, ByValue])
def test_a_model_that_a_replay_would_get_wrong_is_not_recorded(make, trial, model):
    stack = stack_of(make, trial, model)
    with pytest.raises(CannotRecord):
        Replay(stack.models, *stack.batch(0, 10))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not has_compiler(), reason="there is no C++ compiler")
def test_compiled_steps_have_the_numbers_of_plain_ones(make, trial):
    plain, fast = stack_of(make, trial, network), stack_of(make, trial, network)
    replay = Replay(fast.models, *fast.batch(0, 10), compiled, TOLERANCE)
    for at in range(0, 50, 10):
        plain.step(at, at + 10)
        losses, gradients = replay(*fast.batch(at, at + 10))
        fast._update(gradients)
        torch.testing.assert_close(plain.losses[-1], losses, rtol=1e-4, atol=1e-5)
    for name, value in plain.models.fixed.items():
        torch.testing.assert_close(value, fast.models.fixed[name], rtol=1e-4, atol=1e-5)
