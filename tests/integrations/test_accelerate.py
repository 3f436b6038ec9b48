"""Accelerate with an optimizer as given: its schedule, clipping, mixed precision, checkpoints."""

from __future__ import annotations

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from examples import train_with_accelerate as example

from fallline import optim
from tests.integrations.weights import ROUNDING, apart, equal


@pytest.fixture
def train(tmp_path):
    def run(epochs=2, precision="no", **arguments):
        AcceleratorState._reset_state()  # the precision is the process's
        return example.train(str(tmp_path), epochs, precision, **arguments)

    return run


def test_the_example_learns(train):
    assert train(5)[1] > 0.88


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_it_goes_where_torchs_own_optimizer_goes(train, monkeypatch, precision):
    mixed = "no" if precision == "float32" else precision
    ours, _ = train(precision=mixed)
    monkeypatch.setattr(example, "AdamW", torch.optim.AdamW)
    assert apart(ours, train(precision=mixed)[0]) < ROUNDING[precision]


@pytest.mark.parametrize("rule", ["AdamW", "Lion"])
def test_a_resumed_run_ends_as_one_undisturbed(train, monkeypatch, tmp_path, rule):
    monkeypatch.setattr(example, "AdamW", getattr(optim, rule))
    whole, _ = train()
    resumed, _ = train(resume=tmp_path / "epoch_1")
    assert equal(whole, resumed)


def test_averages_are_evaluated_through_the_prepared_optimizer():
    model = torch.nn.Linear(3, 2)
    optimizer = Accelerator(cpu=True).prepare(optim.AdamW(model.parameters(), lr=0.1, ema=0.5))
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(1, 3)).square().sum().backward()
        optimizer.step()
    trained = model.weight.detach().clone()
    optimizer.eval()
    assert torch.equal(model.weight, optimizer.state[model.weight]["average"])
    assert not torch.equal(model.weight, trained)
    optimizer.train()
    assert torch.equal(model.weight, trained)
