"""DropConnect: what training drops, and the two ways of test time."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fallline.errors import InputError
from fallline.layers import DropConnect

from ..stacking.both import Both


def test_every_weight_and_bias_is_dropped_or_scaled_for_each_example():
    torch.manual_seed(0)
    layer = DropConnect(3, 4, p=0.25)
    rows = layer(torch.eye(3).repeat(400, 1)).view(400, 3, 4)  # example i of each group sees weight column i and bias
    bias, weight = layer.bias / 0.75, layer.weight.T / 0.75
    possible = torch.stack([torch.zeros_like(weight), weight, bias.expand(3, 4), weight + bias])
    distance = (rows[:, None] - possible).abs().amin(1)
    assert distance.max() < 1e-6
    assert (rows == 0).float().mean().item() == pytest.approx(0.25**2, abs=0.02)
    assert not torch.equal(rows[0], rows[1])


def test_a_batch_can_share_what_is_dropped():
    torch.manual_seed(0)
    x = torch.randn(1, 3).repeat(5, 1)
    y = DropConnect(3, 4, by="batch")(x)
    assert torch.equal(y, y[:1].expand(5, 4))


@pytest.mark.parametrize("by", ["example", "batch"])
def test_test_time_is_the_expectation_and_the_moments_are_those_of_training(by):
    torch.manual_seed(0)
    layer = DropConnect(5, 3, p=0.3, by=by).double()
    x = torch.randn(1, 5, dtype=torch.float64)
    drawn = torch.cat([layer(x) for _ in range(20_000)])
    mean, variance = layer.moments(x)
    torch.testing.assert_close(layer.eval()(x), F.linear(x, layer.weight, layer.bias))
    torch.testing.assert_close(drawn.mean(0), mean[0], rtol=0, atol=0.03)
    torch.testing.assert_close(drawn.var(0), variance[0], rtol=0.05, atol=0)


def test_with_samples_test_time_is_the_mean_activation_of_normal_draws():
    torch.manual_seed(0)
    layer = DropConnect(6, 4, activation=torch.relu, samples=40_000).double().eval()
    x = torch.randn(2, 6, dtype=torch.float64)
    mean, variance = layer.moments(x)
    std, normal = variance.sqrt(), torch.distributions.Normal(0.0, 1.0)
    # E max(0, u) of u ~ N(m, s²) is m Φ(m/s) + s φ(m/s)
    expected = mean * normal.cdf(mean / std) + std * normal.log_prob(mean / std).exp()
    torch.testing.assert_close(layer(x), expected, rtol=0.05, atol=0.01)


def test_nothing_dropped_is_a_linear_layer_with_its_activation():
    torch.manual_seed(0)
    layer, x = DropConnect(6, 4, p=0.0, activation=torch.tanh), torch.randn(2, 3, 6)
    torch.testing.assert_close(layer(x), F.linear(x, layer.weight, layer.bias).tanh())


def test_examples_may_have_more_axes():
    layer = DropConnect(6, 4, bias=False)
    assert layer(torch.randn(2, 3, 5, 6)).shape == (2, 3, 5, 4)


@pytest.mark.parametrize("by", ["example", "batch"])
def test_in_a_stack_each_trial_drops_what_it_would_alone(by):
    Both(lambda: nn.Sequential(DropConnect(4, 6, 0.4, by=by, activation=torch.tanh), nn.Linear(6, 2)), (4,)).check()


def test_in_a_stack_test_time_draws_what_it_would_alone():
    Both(lambda: DropConnect(4, 6, activation=torch.relu, samples=5), (4,), train=False).check()


def test_shares_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="p must be a number, at least 0, below 1"):
        DropConnect(3, 4, p=1.0)
    with pytest.raises(InputError, match="samples must be a whole number"):
        DropConnect(3, 4, samples=-1)
