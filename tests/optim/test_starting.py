"""States made without a step, as PyTorch's helpers for distributed checkpoints ask a fresh optimizer for them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict

from fallline import InputError, optim

WAYS = {
    "sam": ("AdamW", {"sam": 0.05}),
    "asam": ("SGD", {"asam": 0.5, "momentum": 0.9}),
    "independent_decay": ("AdamW", {"independent_decay": 0.1}),
    "average": ("ScheduleFreeSGD", {"lr": torch.tensor(0.3)}),
}


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def weights(net):
    return [p.detach().clone() for p in net.parameters()]


def train(net, optimizer, steps, first=0):
    for step in range(first, first + steps):
        x = torch.randn(8, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(step))

        def closure(x=x):
            optimizer.zero_grad()
            loss = (net(x) - x[:, :2]).square().mean()
            loss.backward()
            return loss

        optimizer.step(closure)


def made(way):
    net = model()
    name, settings = WAYS[way]
    return net, getattr(optim, name)(net.parameters(), **copy.deepcopy(settings))


@pytest.mark.parametrize("way", WAYS)
def test_a_fresh_optimizer_tells_its_states_and_steps_nothing(way):
    net, optimizer = made(way)
    before, rate = weights(net), float(optimizer.param_groups[0]["lr"])
    told = get_optimizer_state_dict(net, optimizer)["state"]
    assert all(torch.equal(a, b) for a, b in zip(weights(net), before, strict=True))
    assert float(optimizer.param_groups[0]["lr"]) == rate
    other, stepped = made(way)
    train(other, stepped, 1)
    for (name, _), p in zip(net.named_parameters(), other.parameters(), strict=True):
        assert told[name].keys() == stepped.state[p].keys()
        assert told[name]["step"] == 0
    train(net, optimizer, 1)  # which is the first
    assert all(torch.equal(a, b) for a, b in zip(weights(net), weights(other), strict=True))


@pytest.mark.parametrize("way", WAYS)
def test_a_checkpoint_goes_on_in_a_fresh_optimizer(way):
    net, optimizer = made(way)
    train(net, optimizer, 3)
    saved = copy.deepcopy((net.state_dict(), get_optimizer_state_dict(net, optimizer)))
    other, again = made(way)
    other.load_state_dict(saved[0])
    set_optimizer_state_dict(other, again, saved[1])
    assert all(torch.equal(a, b) for a, b in zip(weights(net), weights(other), strict=True))
    for each in ((net, optimizer), (other, again)):
        train(*each, 2, first=3)
    assert all(torch.equal(a, b) for a, b in zip(weights(net), weights(other), strict=True))


def test_a_first_step_at_a_rate_of_zero_is_a_step_where_there_are_gradients():
    p = torch.ones(3, requires_grad=True)
    optimizer = optim.AdamW([p], lr=0.0, independent_decay=0.1)
    p.grad = torch.tensor([0.0, 0.0, 1.0])
    optimizer.step()
    torch.testing.assert_close(p.detach(), torch.full((3,), 0.9))
    climbing = optim.SGD([p], lr=0.0, sam=0.1)
    with pytest.raises(InputError, match="sam takes a second gradient"):
        climbing.step()


def test_a_rule_without_states_has_none_afterwards():
    p = torch.ones(3, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.0, sam=0.1)
    p.grad = torch.zeros(3)
    optimizer.step()
    assert not optimizer.state
