"""The parts of the methods by themselves: memories of curvature, the quadratic model, derivatives."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fallline.optim.full_batch.batches import damped
from fallline.optim.full_batch.dense import DenseMemory
from fallline.optim.full_batch.derivatives import derivatives, graph_kept
from fallline.optim.full_batch.memory import LimitedMemory
from fallline.optim.full_batch.trust_region import Model


def pairs(seed, n, count):
    """Steps, and the changes that a quadratic with curvatures from 1 makes of them."""
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(n, n, generator=generator, dtype=torch.float64)
    matrix = root @ root.T + torch.eye(n)
    steps = torch.randn(count, n, generator=generator, dtype=torch.float64)
    return list(steps), list(steps @ matrix)


def updated(inverse, s, y):
    """BFGS in the form of Nocedal & Wright 2006, equation 6.17."""
    rho, eye = 1 / (y @ s), torch.eye(len(s)).double()
    return (eye - rho * torch.outer(s, y)) @ inverse @ (eye - rho * torch.outer(y, s)) + rho * torch.outer(s, s)


@given(seed=st.integers(0, 100), n=st.integers(1, 6), count=st.integers(1, 8), size=st.integers(1, 5))
def test_two_loops_are_the_matrix_of_the_kept_pairs(seed, n, count, size):
    memory = LimitedMemory(size, 0.0)
    steps, changes = pairs(seed, n, count)
    for s, y in zip(steps, changes, strict=True):
        memory.learn(s, y)
    inverse = torch.eye(n).double() * (steps[-1] @ changes[-1]) / (changes[-1] @ changes[-1])
    for s, y in list(zip(steps, changes, strict=True))[-size:]:
        inverse = updated(inverse, s, y)
    gradient = torch.linspace(-1, 1, n).double() + 0.1
    torch.testing.assert_close(memory.direction(gradient), -inverse @ gradient, rtol=1e-8, atol=1e-10)


@given(seed=st.integers(0, 100), n=st.integers(1, 6), count=st.integers(1, 8))
def test_the_dense_memory_is_bfgs_from_the_identity(seed, n, count):
    memory, inverse = DenseMemory(), torch.eye(n).double()
    for s, y in zip(*pairs(seed, n, count), strict=True):
        memory.learn(s, y)
        inverse = updated(inverse, s, y)
    torch.testing.assert_close(memory.inverse, inverse, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(memory.inverse @ y, s, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "change",
    [[-1.0, 0.0], [0.0, 1.0], [1e-17, 1.0], [1e-200, 0.0]],
    ids=["negative", "none", "rounding", "square lost"],
)
def test_a_step_without_positive_curvature_is_not_learnt(change):
    for memory in (DenseMemory(), LimitedMemory(5, 0.0)):
        memory.learn(torch.tensor([1.0, 0.0]).double(), torch.tensor(change).double())
        assert memory.direction(torch.tensor([1.0, 2.0]).double()).tolist() == [-1, -2]


vectors = st.lists(st.floats(-10, 10), min_size=3, max_size=3).map(lambda v: torch.tensor(v).double())


@given(step=vectors, change=vectors, root=st.lists(vectors, min_size=3, max_size=3), least=st.floats(0, 5))
def test_a_damped_pair_has_enough_curvature(step, change, root, least):
    root = torch.stack(root)
    matrix = root @ root.T + torch.eye(3)
    found = damped(step, change, matrix @ step, least)
    rounding = 1e-9 * (1 + float(step.norm() * (matrix @ step).norm() + step.norm() * change.norm()))
    assert step @ found >= 0.2 * step @ matrix @ step - rounding
    assert step @ found >= least * step @ step - rounding
    if step @ change > max(0.2 * step @ matrix @ step, least * step @ step):
        assert torch.equal(found, change)


def test_damping_is_powells():
    """Nocedal & Wright 2006, equations 18.14 and 18.15."""
    s, y, bs = torch.tensor([1.0, 2.0]), torch.tensor([-1.0, 0.5]), torch.tensor([3.0, 1.0])
    theta = 0.8 * (s @ bs) / (s @ bs - s @ y)
    torch.testing.assert_close(damped(s, y, bs, 0.0), theta * y + (1 - theta) * bs)


symmetric = st.tuples(
    st.integers(0, 1000), st.lists(st.sampled_from([-3.0, -1.0, 0.0, 1e-3, 1.0, 50.0]), min_size=1, max_size=5)
)


@given(made=symmetric, radius=st.floats(1e-3, 100), along=st.sets(st.integers(0, 4)))
def test_the_step_is_the_models_minimum_within_the_radius(made, radius, along):
    """The conditions of More & Sorensen 1983: `(H + shift) s = -g`, not indefinite, and no shift inside."""
    seed, curvatures = made
    n = len(curvatures)
    generator = torch.Generator().manual_seed(seed)
    axes = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64)).Q
    hessian = axes @ torch.diag(torch.tensor(curvatures).double()) @ axes.T
    slopes = torch.randn(n, generator=generator, dtype=torch.float64)
    slopes[[k for k in along if k < n]] = 0.0  # the hard case, where these are of the least curvature
    gradient = axes @ slopes
    model = Model(gradient, (hessian + hessian.T) / 2, 1e-16)
    step = model.step_within(radius)
    norm = float(step.norm())
    assert norm <= radius * (1 + 1e-6)
    best = float(gradient @ step + step @ hessian @ step / 2)
    points = torch.randn(500, n, generator=generator, dtype=torch.float64)
    points *= radius * torch.rand(500, 1, generator=generator, dtype=torch.float64) / points.norm(dim=1, keepdim=True)
    others = points @ gradient + ((points @ hessian) * points).sum(1) / 2
    assert best <= float(others.min()) + 1e-6 * (1 + abs(best))
    if min(curvatures) < 0:
        assert norm == pytest.approx(radius, rel=1e-6)


def test_derivatives_are_those_of_autograd():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.GELU(), torch.nn.Linear(5, 2)).double()
    x, y = torch.randn(20, 3).double(), torch.randint(0, 2, (20,))
    params, idle = list(model.parameters()), torch.nn.Parameter(torch.ones(4).double())
    flat = torch.cat([p.detach().reshape(-1) for p in [*params, idle]])

    def loss(vector):
        parts = vector[:-4].split([p.numel() for p in params])
        values = {name: part.view_as(p) for (name, p), part in zip(model.named_parameters(), parts, strict=True)}
        return torch.nn.functional.cross_entropy(torch.func.functional_call(model, values, (x,)), y)

    found = derivatives(torch.nn.functional.cross_entropy(model(x), y), [*params, idle])
    torch.testing.assert_close(found[0], torch.autograd.functional.jacobian(loss, flat))
    torch.testing.assert_close(found[1], torch.autograd.functional.hessian(loss, flat))


def test_a_loss_without_curvature_has_a_hessian_of_zeros():
    p = torch.ones(3, requires_grad=True)
    gradient, hessian = derivatives((p * torch.arange(3)).sum(), [p])
    assert gradient.tolist() == [0, 1, 2]
    assert torch.equal(hessian, torch.zeros(3, 3).double())


@pytest.mark.parametrize("backward", ["loss.backward()", "torch.autograd.backward(loss)", "loss.backward(None, False)"])
def test_a_closure_may_call_backward_as_it_likes(backward):
    p = torch.tensor([2.0], requires_grad=True)

    def closure():
        loss = (p**3).sum()
        exec(backward, {"loss": loss, "torch": torch})
        return loss

    _, hessian = derivatives(graph_kept(closure)(), [p])
    assert hessian.item() == 12.0
    assert math.isclose(p.grad.item(), 12.0)
