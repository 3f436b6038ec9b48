"""Rules for matrices: rows and columns in the kernels' loops, everything else called on stacks of one shape."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fallline import RuleError, optim
from fallline.kernels import batch
from fallline.rules import columns, get, initial, maximum, rows, rule, shaped, sqrt, when
from fallline.rules.ops import normal, traceable

from .executors import Pair, assert_near, forms


def _centered(p, g, *, t, lr=0.1):
    return p - lr * (g - g.mean(-1, keepdim=True)) * (1 + g.amin(-2, keepdim=True))


def _by_row(p, g, v: Annotated[Any, shaped("rows", 1)], *, t, lr=0.1, beta=0.9):
    v = beta * v + (1 - beta) * (g**2).mean(-1, keepdim=True)
    scale = sqrt(maximum(1.0, rows(p) / columns(p)))
    return p - lr * scale * g / (v.sqrt() + 1e-3) * p.norm(dim=-1, keepdim=True), v


def _factored(
    p, g, r: Annotated[Any, shaped("rows", 1), initial(1.0)], c: Annotated[Any, shaped(1, "columns")], *, t, lr=0.1
):
    r = 0.9 * r + g.norm(dim=-1, keepdim=True)
    c = 0.9 * c + (g - p).square().sum(dim=-2, keepdim=True)
    u = g / (r * c / r.mean(-2, keepdim=True) + 1e-2)
    longest = u.abs().amax((-2, -1), keepdim=True)
    return p - lr * u / (longest + u.norm()), r, c


def _called(p, g, m, q: Annotated[Any, shaped("rows", "rows"), initial("eye")], *, t, lr=0.1, every=2):
    m = 0.5 * m + g
    q = when(t % every == 0, torch.linalg.qr(q + 0.1 * m @ m.mT).Q, q)
    u = torch.cumsum(q @ m, -1)
    return p - lr * u / (1 + u.norm()) + 0.01 * torch.tanh(m) * torch.erf(u), m, q


def _drawn(p, g, *, t, lr=0.1):
    return p - lr * (g + normal(g, t, 0, "a") * torch.trapezoid(g, dim=-1).unsqueeze(-1))


def _masked(p, g, b: Annotated[Any, shaped(1, 1), initial(1.0)], *, t, lr=0.1):
    u = torch.where(b > 0, torch.flip(g, (-1,)), g.mT.mT)
    return p - lr * u, -b


def for_matrices(*functions):
    return [rule(otherwise=get("sgd"), flat=function is _called)(function) for function in functions]


FUSED = for_matrices(_centered, _by_row, _factored)
CALLED = for_matrices(_called, _drawn, _masked)


def check(own, shapes, dtype, seed):
    """Three steps by kernels and by text, each from where the text has come to."""
    generator = torch.Generator().manual_seed(seed)
    pair = Pair(own, [torch.randn(shape, generator=generator).to(dtype) for shape in shapes])
    for _ in range(3):
        pair.step([torch.randn(p.shape, generator=generator).to(dtype) for p in pair.kernel])
        assert None not in forms(pair.by_kernel)
        for actual, expected in pair.results():
            assert_near(actual, expected, {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 2e-2}[dtype])
        pair.meet()


@pytest.mark.parametrize("own", FUSED, ids=lambda own: own.name)
@settings(max_examples=12)
@given(
    shapes=st.lists(st.lists(st.integers(1, 7), min_size=1, max_size=3), min_size=1, max_size=3),
    dtype=st.sampled_from([torch.float64, torch.bfloat16]),
    seed=st.integers(0, 99),
)
def test_rows_and_columns_in_a_kernel_give_what_the_text_gives(own, shapes, dtype, seed):
    check(own, shapes, dtype, seed)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("own", CALLED, ids=lambda own: own.name)
def test_functions_called_on_stacks_give_what_the_text_gives(own, dtype):
    """Several tensors of a shape, square ones, a vector, three dimensions."""
    check(own, [(6, 4), (5, 5), (6, 4), (7,), (5, 5), (3, 2, 4), (3, 2, 4)], dtype, 0)


@pytest.mark.parametrize("own", FUSED, ids=lambda own: own.name)
@pytest.mark.parametrize("shape", [(300, 400), (2, 20_000), (20_000, 2), (1, 1), (1, 9), (9, 1), (0, 3), (3, 130, 150)])
def test_matrices_of_many_blocks_and_of_odd_shapes(own, shape):
    generator = torch.Generator().manual_seed(0)
    pair = Pair(own, [torch.randn(shape, generator=generator) for _ in range(2)])
    for _ in range(2):
        pair.step([torch.randn(shape, generator=generator) for _ in range(2)])
        for actual, expected in pair.results():
            assert_near(actual, expected, 2e-4)


def stepped(own, shapes, **settings):
    """The parameters after a step along a gradient of ones."""
    params = [torch.arange(float(torch.Size(shape).numel())).view(shape).requires_grad_() for shape in shapes]
    for p in params:
        p.grad = torch.ones_like(p)
    optim.optimizer(own, params, **settings).step()
    return [p.detach() for p in params]


def recording(function):
    """The function as one operation of a graph, and a list of the shapes of what it is called with."""
    seen = []

    @traceable
    def recorded(x, *numbers):
        if not x.is_meta:
            seen.append((tuple(x.shape), *numbers))
        return function(x, *numbers)

    return recorded, seen


def test_a_function_is_called_once_for_all_tensors_of_a_shape(monkeypatch):
    half, seen = recording(lambda x: x / 2)

    @rule(otherwise=get("sgd"))
    def _halving(p, g, *, t, lr=1.0):
        return p - lr * half(g)

    stepped(_halving, [(6, 4), (3, 5), (6, 4), (6, 4), (7,)])
    assert sorted(seen) == [((3, 5),), ((3, 6, 4),)]
    monkeypatch.setitem(batch._STACKED, "numba", 40)
    seen.clear()
    stepped(_halving, [(6, 4), (6, 4), (6, 4)])
    assert sorted(seen) == [((2, 6, 4),), ((6, 4),)]


def test_a_function_that_treats_no_stack_is_called_for_each_tensor():
    turned, seen = recording(lambda x: x.t())

    @rule(otherwise=get("sgd"))
    def _turning(p, g, *, t, lr=1.0):
        return p - lr * turned(turned(p))

    for p in stepped(_turning, [(6, 4), (6, 4)]):
        assert torch.equal(p, torch.zeros(6, 4))
    assert {shape for (shape,) in seen} == {(6, 4), (4, 6)}


def test_numbers_that_differ_between_groups_reach_the_function():
    times, seen = recording(lambda x, k: k * x)

    @rule(otherwise=get("sgd"))
    def _scaled(p, g, *, t, lr=1.0):
        return p - times(g, lr * t)

    params = [torch.zeros(3, 2, requires_grad=True) for _ in range(3)]
    for p in params:
        p.grad = torch.ones_like(p)
    optimizer = optim.optimizer(_scaled, [{"params": params[:1], "lr": 2.0}, {"params": params[1:], "lr": 3.0}])
    optimizer.step()
    assert [p[0, 0].item() for p in params] == [-2.0, -3.0, -3.0]
    assert sorted(k for _, k in seen) == [2.0, 3.0, 3.0]


def test_scalars_reach_the_function():
    times, _ = recording(lambda x, k: k * x)

    @rule(otherwise=get("sgd"))
    def _lengthened(p, g, *, t, lr=1.0):
        return p - times(g, p.norm() / g.norm())

    params = stepped(_lengthened, [(3, 2), (3, 2)])
    expected = torch.arange(6.0).view(3, 2) - torch.arange(6.0).norm() / 6**0.5
    for p in params:
        torch.testing.assert_close(p, expected)


def test_an_elementwise_rule_may_call_a_function_that_no_kernel_has():
    @rule
    def _special(p, g, m, *, t, lr=0.1):
        m = 0.9 * m + torch.special.erfc(g)
        return p - lr * m / (1 + m.abs()), m

    generator = torch.Generator().manual_seed(0)
    pair = Pair(_special, [torch.randn(shape, generator=generator) for shape in ((5,), (), (5,), (2, 3, 4))])
    for _ in range(3):
        pair.step([torch.randn(p.shape, generator=generator) for p in pair.kernel])
        assert None not in forms(pair.by_kernel)
        for actual, expected in pair.results():
            assert_near(actual, expected, 1e-6)


def test_a_function_whose_shape_is_not_what_it_was_said_to_be_is_named():
    @traceable
    def wayward(x):
        return x if x.is_meta else x[..., :1, :]

    @rule(otherwise=get("sgd"))
    def _wayward(p, g, *, t, lr=1.0):
        return p - lr * wayward(g)

    with pytest.raises(RuleError, match=r"'_wayward': `wayward` gave the shape \(1, 4\) where it was expected to give"):
        stepped(_wayward, [(6, 4)])


def test_temporaries_are_kept_from_step_to_step():
    params = [torch.randn(40, 30, requires_grad=True) for _ in range(2)]
    optimizer = optim.optimizer("muon", params)
    places = []
    for _ in range(3):
        for p in params:
            p.grad = torch.randn_like(p)
        optimizer.step()
        (stepper,) = optimizer._steppers.values()
        places.append({tensor.data_ptr() for free in stepper.room.free.values() for tensor in free})
    assert places[0] == places[1] == places[2]


def test_choices_are_made_for_each_parameter_by_its_own_count():
    @rule
    def _rarely(p, g, *, t, lr=1.0, every=3):
        return p - lr * when(t % every == 0, g, 0 * g)

    young, old = (torch.zeros(2, requires_grad=True) for _ in range(2))
    optimizer = optim.optimizer(_rarely, [young, old])
    taken = []
    for step in range(6):
        old.grad = torch.ones(2)
        young.grad = torch.ones(2) if step > 0 else None
        optimizer.step()
        taken.append((old[0].item(), young[0].item()))
    assert taken == [(0, 0), (0, 0), (-1, 0), (-1, -1), (-1, -1), (-2, -1)]
