"""Rules that no other library has as the paper has it, step by step against the paper in NumPy, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fallline import optim
from fallline.rules import REGISTRY, get, trace
from fallline.rules.ops import drawn_for
from fallline.rules.rule import is_built_in
from tests.database import ALMOST_SQUARE, AMPLIFIED, OTHERS, PAPERS, PEERS, TWINS

BUILT_IN = {rule.name for rule in REGISTRY.values() if is_built_in(rule)}
SHAPES = [(), (37,), (4, 5), (7, 3), (3, 2, 2, 2)]
STEPS = 50
ROWS = [(name, {}) for name in sorted(PAPERS)] + sorted(OTHERS.items(), key=lambda row: row[0])


def test_every_built_in_rule_has_an_independent_reference():
    """What another library computes partly in float32 does not count."""
    same = {name for name, peers in PEERS.items() if any(_is_close(peer.tolerance) for peer in peers)}
    assert same | TWINS.keys() | PAPERS.keys() == BUILT_IN


def _is_close(tolerance):
    return tolerance is not None and tolerance <= 1e-7


@pytest.mark.parametrize(("name", "settings"), ROWS, ids=lambda cell: cell if isinstance(cell, str) else "-".join(cell))
def test_rule_follows_its_paper(name, settings):
    random = np.random.default_rng(0)
    shapes = [(37,), (4, 5), (5, 4), (3, 2, 2, 1)] if name in ALMOST_SQUARE else SHAPES
    starts = [random.standard_normal(shape) for shape in shapes]
    gradients = [[random.standard_normal(shape) for shape in shapes] for _ in range(STEPS)]
    params = [torch.tensor(start, requires_grad=True) for start in starts]
    optimizer = optim.optimizer(name, params, **settings)
    for step, expected in enumerate(zip(*_paths(name, starts, gradients, settings), strict=True)):
        for p, gradient in zip(params, gradients[step], strict=True):
            p.grad = torch.tensor(gradient)
        optimizer.step()
        for p, value in zip(params, expected, strict=True):
            np.testing.assert_allclose(p.detach().numpy(), value, rtol=1e-12, atol=1e-13 * AMPLIFIED.get(name, 1.0))


def _paths(name, starts, gradients, settings):
    """What the paper says of each tensor, step by step."""
    settings = {**get(name).defaults, **settings}
    if not trace(get(name)).rounds:
        of_each = [list(one) for one in zip(*gradients, strict=True)]
        each = enumerate(zip(starts, of_each, strict=True))
        return [_at(place, PAPERS[name], start, given, settings) for place, (start, given) in each]
    flat = [np.concatenate([x.ravel() for x in tensors]) for tensors in (starts, *gradients)]
    ends = np.cumsum([start.size for start in starts])[:-1]
    split = [np.split(iterate, ends) for iterate in PAPERS[name](flat[0], flat[1:], **settings)]
    return [
        [part.reshape(start.shape) for part in parts]
        for start, parts in zip(starts, zip(*split, strict=True), strict=True)
    ]


def _at(place, paper, start, gradients, settings):
    """The path of the parameter at that place in its optimizer, which its random draws depend on."""
    with drawn_for(place):
        return paper(start, gradients, **settings)


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
