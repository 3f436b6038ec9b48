"""Rules without a twin, step by step against an independent transcription of their paper, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fallline import optim
from fallline.rules import REGISTRY, get
from fallline.rules.rule import is_built_in
from tests.database import PAPERS, TWINS

BUILT_IN = sorted(rule.name for rule in REGISTRY.values() if is_built_in(rule))


def test_every_built_in_rule_has_an_independent_reference():
    assert sorted([*TWINS, *PAPERS]) == BUILT_IN


@pytest.mark.parametrize("name", sorted(PAPERS))
def test_rule_follows_its_paper(name):
    rule = get(name)
    random = np.random.default_rng(0)
    start = random.standard_normal(37)
    gradients = [random.standard_normal(37) for _ in range(50)]
    p = torch.tensor(start, requires_grad=True)
    optimizer = optim.optimizer(rule, [p])
    for gradient, expected in zip(gradients, PAPERS[name](start, gradients, **rule.defaults), strict=True):
        p.grad = torch.tensor(gradient)
        optimizer.step()
        np.testing.assert_allclose(p.detach().numpy(), expected, rtol=1e-12, atol=1e-13)


def test_both_nesterov_forms_walk_the_same_path():
    """On a real loss, where the gradient depends on the point: the forms store other velocities and agree on p."""
    torch.manual_seed(0)
    scale = torch.rand(20, dtype=torch.float64) + 0.1
    points = [torch.ones(20, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    optimizers = [
        optim.optimizer(name, [p], lr=0.1, momentum=0.8)
        for name, p in zip(("nesterov", "nesterov_lookahead"), points, strict=True)
    ]
    for _ in range(60):
        for p, optimizer in zip(points, optimizers, strict=True):
            optimizer.zero_grad()
            (scale * p**4 + p.cos()).sum().backward()
            optimizer.step()
        torch.testing.assert_close(*points, rtol=1e-12, atol=1e-13)


def test_lookahead_form_is_nesterovs_own():
    """theta' = theta + v', v' = mu v - lr grad(theta + mu v), with the gradient taken ahead in the test's own code."""

    def gradient(x):
        return 2 * x + np.sin(3 * x)

    theta, velocity = np.linspace(-1, 1, 9), np.zeros(9)
    p = torch.tensor(theta, requires_grad=True)
    optimizer = optim.optimizer("nesterov_lookahead", [p], lr=0.05, momentum=0.7)
    for _ in range(40):
        velocity = 0.7 * velocity - 0.05 * gradient(theta + 0.7 * velocity)
        theta = theta + velocity
        p.grad = torch.tensor(gradient(p.detach().numpy()))
        optimizer.step()
        v = optimizer.state[p]["v"]
        np.testing.assert_allclose((p.detach() - 0.7 * v).numpy(), theta, rtol=1e-12, atol=1e-13)


def test_amsgrad_never_lets_the_denominator_shrink():
    p = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = optim.AMSGrad([p])
    largest = torch.zeros(3, dtype=torch.float64)
    for size in (1.0, 10.0, 0.1, 0.01):
        p.grad = torch.full((3,), size, dtype=torch.float64)
        optimizer.step()
        state = optimizer.state[p]
        largest = torch.maximum(largest, state["max_exp_avg_sq" if "max_exp_avg_sq" in state else "v_max"])
        assert torch.equal(largest, state["v_max"])
