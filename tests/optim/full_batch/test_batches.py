"""L-BFGS on mini-batches."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy

from fallline import optim
from fallline.optim.full_batch.batches import replayed


@pytest.fixture(scope="module")
def digits():
    """Handwritten digits: pixels and classes to train with, and to test with."""
    x, y = (torch.tensor(part) for part in load_digits(return_X_y=True))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x, y = (x / 16).float()[order], y[order]
    return x[:1500], y[:1500], x[1500:], y[1500:]


def network(*middle):
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(64, 100), torch.nn.Tanh(), *middle, torch.nn.Linear(100, 10))


def train(model, optimizer, data, epochs, size=32):
    """The losses of the batches, until one is not finite."""
    x, y, *_ = data
    generator = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(epochs):
        for batch in torch.randperm(len(x), generator=generator).split(size):

            def closure(batch=batch):
                optimizer.zero_grad()
                loss = cross_entropy(model(x[batch]), y[batch])
                loss.backward()
                return loss

            losses.append(optimizer.step(closure).item())
            if not math.isfinite(losses[-1]):
                return losses
    return losses


def stochastic(params, **settings):
    return optim.LBFGS(params, **{"history_size": 10, "stochastic": True, **settings})


def correct(model, data):
    _, _, x, y = data
    return (model.eval()(x).argmax(1) == y).double().mean().item()


def test_a_network_is_trained_where_plain_l_bfgs_diverges(digits):
    plain = network()
    losses = train(plain, torch.optim.LBFGS(plain.parameters(), max_iter=1, history_size=10), digits, 8)
    assert not max(losses) < 100

    model = network()
    losses = train(model, stochastic(model.parameters()), digits, 4)
    assert max(losses) < 1.5 * losses[0]
    assert sum(losses[-20:]) / 20 < 0.2
    assert correct(model, digits) > 0.95


@pytest.mark.parametrize("size", [4, 128])
@pytest.mark.parametrize("lr", [0.1, 1.0])
def test_no_batch_throws_training_off(digits, size, lr):
    model = network()
    losses = train(
        model,
        stochastic(model.parameters(), lr=lr),
        [part[: 60 * size] for part in digits],
        1 if size == 4 else 4,
        size,
    )
    assert max(losses) < 3 * losses[0]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_a_networks_own_noise_is_drawn_once_for_each_batch(digits):
    model = network(torch.nn.Dropout(0.3))
    losses = train(model, stochastic(model.parameters()), digits, 3)
    assert sum(losses[-20:]) / 20 < 0.5
    assert correct(model, digits) > 0.93


def test_every_call_draws_the_same_and_the_next_step_others():
    drawn = []

    def closure():
        drawn.append(torch.rand(2).tolist())

    torch.manual_seed(0)
    for _ in range(2):
        call = replayed(closure, torch.device("cpu"))
        call()
        call()
    torch.manual_seed(0)
    first, second = torch.rand(2).tolist(), torch.rand(2).tolist()
    assert drawn == [first, first, second, second]


def quadratic_batches(curvatures, lr=1.0):
    """A step on a batch for each curvature; the parameter after each, and how often its closure was called."""
    p = torch.tensor([1.0], dtype=torch.float64, requires_grad=True)
    optimizer = stochastic([p], lr=lr)
    calls = 0
    for curvature in curvatures:
        calls = 0

        def closure(curvature=curvature):
            nonlocal calls
            calls += 1
            optimizer.zero_grad()
            loss = (curvature * p**2 / 2).sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        yield p.item(), calls


def test_a_batch_is_called_twice_and_its_newton_step_is_taken():
    (first, calls), (second, _) = quadratic_batches([2.0, 2.0], lr=0.5)
    assert calls == 2
    assert first == 1 - 0.5 / 2 * 2  # the first step is as long as the rate
    assert second == pytest.approx(first / 2)


def test_a_step_is_halved_while_its_batchs_loss_would_rise():
    *_, (before, _), (after, calls) = quadratic_batches([1.0, 1.0, 100.0], lr=0.5)
    assert calls > 2
    assert abs(after) < abs(before)


def test_a_batch_that_no_step_helps_changes_nothing_but_the_memory():
    p = torch.ones(1, requires_grad=True)
    optimizer = stochastic([p])

    def closure(sign):
        optimizer.zero_grad()
        loss = sign * p.sum()
        loss.backward()
        p.grad.neg_()  # downhill is up
        return loss

    optimizer.step(lambda: closure(1.0))
    assert p.item() == 1
    assert "old_dirs" not in optimizer.state[p]


def test_a_batch_without_gradient_leaves_everything(digits):
    model = network()
    optimizer = stochastic(model.parameters())
    train(model, optimizer, digits, 1, size=500)
    before, pairs = [p.detach().clone() for p in model.parameters()], len(next(iter(optimizer.state.values()))["ro"])

    def closure():
        optimizer.zero_grad()
        loss = 0 * model(digits[0][:2]).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert len(next(iter(optimizer.state.values()))["ro"]) == pairs > 0
