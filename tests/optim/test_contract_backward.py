"""Steps taken in the backward pass: the ordinary step's numbers, with one gradient alive at a time."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from fallline import InputError, optim
from fallline.kernels.reach import Reach, reach
from fallline.rules import REGISTRY, get
from fallline.rules.trace import trace

RULES = sorted(REGISTRY)


def needs_all(name):
    rules = [get(name), *filter(None, [get(name).otherwise])]
    return any(trace(rule).rounds or rule.climb is not None for rule in rules)


def model(layers=3):
    torch.manual_seed(0)
    body = [m for _ in range(layers) for m in (nn.Linear(6, 6), nn.Tanh())]
    return nn.Sequential(*body, nn.Linear(6, 1)).double()


def loss_of(net, seed):
    x = torch.randn(8, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (net(x) - x.sum(1, keepdim=True)).square().mean()


def train(net, optimizer, steps=4, scheduler=None, first=0):
    for step in range(first, first + steps):
        optimizer.zero_grad()
        loss_of(net, step).backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    return [p.detach().clone() for p in net.parameters()]


def both(make, **settings):
    """The parameters after the ordinary steps, and after those in the backward pass."""
    plain, inside = model(), model()
    one, two = make(plain, **settings), make(inside, **settings)
    optim.in_backward(two)
    return train(plain, one), train(inside, two)


@pytest.mark.parametrize("name", [name for name in RULES if not needs_all(name)])
def test_the_numbers_of_the_ordinary_step(name):
    ordinary, inside = both(lambda net: optim.optimizer(name, net.parameters()))
    if reach(get(name))[0] is Reach.ELEMENT:
        assert all(torch.equal(a, b) for a, b in zip(ordinary, inside, strict=True))
    # matrices of one shape are stacked in the ordinary step: their products may be rounded otherwise
    within = 1e-6 if reach(get(name))[0] is Reach.WHOLE else 1e-9
    torch.testing.assert_close(ordinary, inside, rtol=within, atol=within / 1000)


@pytest.mark.parametrize("name", [name for name in RULES if needs_all(name)])
def test_rules_that_wait_for_all_gradients_are_refused(name):
    with pytest.raises(InputError, match="cannot step in the backward pass: it needs all gradients at once"):
        optim.in_backward(optim.optimizer(name, model().parameters()))


@pytest.mark.parametrize("settings", [{"clip_norm": 1.0}, {"sam": 0.05}], ids=str)
def test_settings_that_wait_for_all_gradients_are_refused(settings):
    net = model()
    with pytest.raises(InputError, match="needs all gradients at once"):
        optim.in_backward(optim.AdamW(net.parameters(), **settings))
    optimizer = optim.AdamW(net[:2].parameters())
    with optim.in_backward(optimizer):
        with pytest.raises(InputError, match="needs all gradients at once"):
            optimizer.add_param_group({"params": net[2:].parameters(), **settings})
        assert len(optimizer.param_groups) == 1
        optimizer.param_groups[0].update(settings)
        with pytest.raises(InputError, match="needs all gradients at once"):
            loss_of(net, 0).backward()


def test_one_gradient_is_alive_at_a_time():
    net = model(layers=10)
    optimizer = optim.AdamW(net.parameters())
    alive = []

    def count(p):
        alive.append(sum(q.grad is not None for q in net.parameters()))

    for p in net.parameters():  # these run before the optimizer's own
        p.register_post_accumulate_grad_hook(count)
    train(net, optimizer, 1)
    assert max(alive) == len(list(net.parameters())) == 22
    optim.in_backward(optimizer)
    optimizer.zero_grad()
    alive.clear()
    train(net, optimizer, 2)
    assert len(alive) == 44
    assert max(alive) == 1
    assert all(p.grad is None for p in net.parameters())


def test_groups_settings_and_schedulers_are_those_of_the_optimizer():
    def make(net):
        first, *rest = (layer for layer in net if isinstance(layer, nn.Linear))
        optimizer = optim.AdamW([{"params": first.parameters(), "lr": 0.1, "maximize": True}], weight_decay=0.3)
        optimizer.add_param_group({"params": [p for layer in rest for p in layer.parameters()], "betas": (0.5, 0.6)})
        return optimizer

    results = []
    for inside in (False, True):
        net = model()
        optimizer = make(net)
        if inside:
            optim.in_backward(optimizer)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=8)
        results.append(train(net, optimizer, 6, scheduler))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_a_group_added_and_layers_unfrozen_later_are_stepped_too():
    net = model()
    net[0].requires_grad_(False)
    optimizer = optim.SGD(net[:4].parameters(), lr=0.1)
    optim.in_backward(optimizer)
    before = train(net, optimizer, 1)
    assert torch.equal(before[0], model()[0].weight)
    net[0].requires_grad_(True)
    optimizer.add_param_group({"params": net[4:].parameters(), "lr": 0.2})
    optimizer.zero_grad()
    net[4:].zero_grad()
    after = train(net, optimizer, 1)
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(p.grad is None for p in net.parameters())


def test_gradients_of_several_batches_are_summed_while_paused():
    ordinary, inside = model(), model()
    one, two = (optim.AdamW(net.parameters()) for net in (ordinary, inside))
    stepping = optim.in_backward(two)
    for first in (0, 3):
        one.zero_grad()
        for seed in range(first, first + 3):
            loss_of(ordinary, seed).backward()
        one.step()
        with stepping.paused():
            loss_of(inside, first).backward()
            loss_of(inside, first + 1).backward()
        loss_of(inside, first + 2).backward()
    assert all(torch.equal(p, q) for p, q in zip(ordinary.parameters(), inside.parameters(), strict=True))


def test_what_is_left_over_is_stepped_by_the_step():
    """Gradients that were there when it ended, or were written by hand."""
    net = model()
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    with optim.in_backward(optimizer):
        train(net, optimizer, 1)
        net[0].weight.grad = torch.ones(6, 6, dtype=torch.float64)
        before = net[0].weight.detach().clone()
        optimizer.step()
        torch.testing.assert_close(net[0].weight.detach(), before - 0.1)
    optimizer.zero_grad()
    before = [p.detach().clone() for p in net.parameters()]
    loss_of(net, 0).backward()
    assert all(torch.equal(p, q) for p, q in zip(before, net.parameters(), strict=True))
    assert all(p.grad is not None for p in net.parameters())


def test_a_checkpoint_is_that_of_the_optimizer():
    net, other = model(), model()
    inside, plain = optim.NAdam(net.parameters()), optim.NAdam(other.parameters())
    optim.in_backward(inside)
    train(net, inside)
    train(other, plain)
    saved = copy.deepcopy(inside.state_dict())
    torch.testing.assert_close(saved, plain.state_dict(), rtol=0, atol=0)
    inside.load_state_dict(saved)
    inside.param_groups[0]["lr"] = plain.param_groups[0]["lr"] = 0.3
    assert all(torch.equal(a, b) for a, b in zip(train(net, inside), train(other, plain), strict=True))


def test_a_parameter_that_two_layers_share_is_stepped_once():
    def tied():
        net = model()
        net[2].weight = net[0].weight
        return net

    ordinary, inside = tied(), tied()
    one, two = (optim.Adam(net.parameters()) for net in (ordinary, inside))
    optim.in_backward(two)
    assert all(torch.equal(a, b) for a, b in zip(train(ordinary, one), train(inside, two), strict=True))
    assert two.state[inside[0].weight]["step"] == 4


def test_it_is_asked_for_once():
    optimizer = optim.SGD(model().parameters(), lr=0.1)
    optim.in_backward(optimizer)
    with pytest.raises(InputError, match="this SGD steps in the backward pass already"):
        optim.in_backward(optimizer)
