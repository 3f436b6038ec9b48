"""Every rule trains: on handwritten digits, in float32, at its defaults or at what the table states."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional

from fallline import optim
from fallline.rules import REGISTRY
from fallline.rules.rule import is_built_in
from tests.database import TRAINED_WITH

BUILT_IN = sorted(rule.name for rule in REGISTRY.values() if is_built_in(rule))
STEPS = 60


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return torch.tensor(data.data / 16, dtype=torch.float32), torch.tensor(data.target)


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(64, 16), torch.nn.Tanh(), torch.nn.Linear(16, 10))


def batches(digits, steps, size=256):
    images, labels = digits
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        chosen = torch.randint(len(labels), (size,), generator=generator)
        yield images[chosen], labels[chosen]


def train(name, params, model, digits, steps=STEPS):
    """Train the model by the rule; returns the optimizer."""
    optimizer = optim.class_of(name)(params, **TRAINED_WITH.get(name, {}))
    generator = torch.Generator().manual_seed(0)
    for images, labels in batches(digits, steps):
        loss = functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        if isinstance(optimizer, optim.CurvatureOptimizer):
            optimizer.estimate(loss, generator)
        loss.backward()
        optimizer.step()
    return optimizer


def weights(model):
    return [p.detach() for p in model.parameters()]


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_loss_falls(name, digits):
    model = network()
    images, labels = digits
    before = functional.cross_entropy(model(images), labels).item()
    optimizer = train(name, model.parameters(), model, digits)
    with torch.no_grad():
        after = functional.cross_entropy(model(images), labels).item()
    assert math.isfinite(after)
    assert after < 0.75 * before
    for state in optimizer.state.values():
        assert all(torch.as_tensor(value).isfinite().all() for value in state.values())


@pytest.mark.parametrize("name", BUILT_IN)
def test_two_groups_step_as_one(name, digits):
    one, two = network(), network()
    train(name, one.parameters(), one, digits, steps=4)
    train(name, [{"params": two[0].parameters()}, {"params": two[2].parameters()}], two, digits, steps=4)
    for p, q in zip(weights(one), weights(two), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-7)
