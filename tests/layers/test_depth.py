"""Stochastic depth: what training and test time do to a branch."""

from __future__ import annotations

import pytest
import torch

from fallline.errors import InputError
from fallline.layers import StochasticDepth

from ..stacking.both import Both


def test_in_training_the_whole_branch_is_left_out_or_scaled():
    layer, x, seen = StochasticDepth(0.3), torch.randn(4, 2, 3), set()
    for seed in range(50):
        torch.manual_seed(seed)
        y = layer(x)
        seen.add(bool(y.any()))
        torch.testing.assert_close(y, x / 0.7 if y.any() else torch.zeros_like(x))
    assert seen == {True, False}


def test_examples_can_be_decided_one_by_one():
    torch.manual_seed(0)
    x = torch.ones(10_000, 2)
    y = StochasticDepth(0.3, by="example")(x)
    assert torch.equal(y[:, 0], y[:, 1])
    assert (y[:, 0] == 0).float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert y.mean().item() == pytest.approx(1.0, abs=0.03)


def test_at_test_time_the_branch_is_the_expectation_of_training():
    torch.manual_seed(0)
    layer, x = StochasticDepth(0.4), torch.randn(3, 2, dtype=torch.float64)
    mean = torch.stack([layer(x) for _ in range(20_000)]).mean(0)
    torch.testing.assert_close(layer.eval()(x), x, rtol=0, atol=0)
    torch.testing.assert_close(mean, x, rtol=0.03, atol=0)


@pytest.mark.parametrize("by", ["batch", "example"])
def test_in_a_stack_each_trial_leaves_out_what_it_would_alone(by):
    Both(lambda: torch.nn.Sequential(torch.nn.Linear(4, 3), StochasticDepth(0.5, by)), (4,)).check(steps=4)


def test_rates_and_modes_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="rate must be a number, at least 0, below 1; it is 1"):
        StochasticDepth(1)
    with pytest.raises(InputError, match="by must be one of 'batch', 'example'"):
        StochasticDepth(0.1, by="row")
