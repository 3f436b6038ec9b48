"""Values of whole tensors and of all parameters together: norms, totals, largest elements."""

from __future__ import annotations

import copy
import math
from typing import Annotated

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import clip_grad_norm_

from fallline import optim
from fallline.rules import carried, get, maximum, numel, rule, total, where
from fallline.rules.modifiers.clipping import clip_norm

from .executors import Pair, assert_near, forms


def network(dtype=torch.float64):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3), nn.Tanh(), nn.Linear(3, 1)).to(dtype)


def backward(net, seed):
    parameter = next(net.parameters())
    x = torch.randn(8, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(parameter.dtype)
    net.zero_grad()
    (30 * net(x)).square().mean().backward()


def test_clipping_by_the_global_norm_is_pytorchs_before_the_step_over_groups_too():
    ours, theirs = network(), network()
    layers = [list(layer.parameters()) for layer in ours if isinstance(layer, nn.Linear)]
    groups = [{"params": params, "lr": 1e-3 * (k + 1)} for k, params in enumerate(layers)]
    a = optim.optimizer(clip_norm(get("adamw")), groups, max_norm=0.5)
    layers = [list(layer.parameters()) for layer in theirs if isinstance(layer, nn.Linear)]
    b = torch.optim.AdamW([{"params": params, "lr": 1e-3 * (k + 1)} for k, params in enumerate(layers)])
    for step in range(5):
        backward(ours, step)
        backward(theirs, step)
        assert clip_grad_norm_(theirs.parameters(), 0.5) > 0.5
        a.step()
        b.step()
    assert None not in forms(a)
    torch.testing.assert_close(list(ours.parameters()), list(theirs.parameters()), rtol=1e-9, atol=1e-12)


def test_types_of_numbers_and_executors_are_clipped_together():
    """Half types, float64 and complex numbers: kernels of two forms, and the text."""
    torch.manual_seed(0)
    types = (torch.float64, torch.float32, torch.bfloat16, torch.complex64)
    params = [torch.randn(9, 4, dtype=dtype).requires_grad_() for dtype in types]
    for p in params:
        p.grad = torch.randn_like(p)
    norm = math.sqrt(sum(float(p.grad.abs().to(torch.float64).square().sum()) for p in params))
    before = [p.detach().clone() for p in params]
    optim.optimizer(clip_norm(get("sgd")), params, lr=1.0, max_norm=1.0).step()
    for p, q in zip(params, before, strict=True):
        wide = torch.complex128 if p.is_complex() else torch.float64
        expected = (q.to(wide) - p.grad.to(wide) / (norm + 1e-6)).to(p.dtype)
        torch.testing.assert_close(p.detach(), expected, rtol=1e-2 if p.itemsize == 2 else 1e-5, atol=1e-6)


def test_a_gradient_that_is_not_finite_spoils_every_step_that_waits_for_its_norm():
    params = [torch.ones(n, requires_grad=True) for n in (5, 40_000)]
    for bad in (math.nan, math.inf):
        for p in params:
            p.grad = torch.ones_like(p)
        params[1].grad[-1] = bad
        copies = [p.detach().clone().requires_grad_() for p in params]
        for p, q in zip(params, copies, strict=True):
            q.grad = p.grad
        optim.optimizer(clip_norm(get("sgd")), copies, max_norm=1.0).step()
        assert torch.isnan(copies[1][-1])
        assert torch.isnan(copies[0]).all() == math.isnan(bad)


def _extremes(p, g, *, t, lr=0.1):
    return p - lr * (g.amax() - g.amin()) / (1 + g.abs().max()) * (p - p.mean())


def _lengths(p, g, *, t, lr=0.1):
    return p - lr * g / maximum(1e-3, torch.linalg.vector_norm(g)) * numel(p) ** 0.5 * g.norm(1) / (
        1 + g.norm(math.inf)
    )


def _counted(p, g, *, t, lr=0.1):
    return p - lr * g * ((g * p > 0).sum() / numel(p)) * where(total((g > 0) * 1.0) > 3, 1.0, 0.5)


def _carrying(p, g, d: Annotated[float, carried(0.5)], *, t, lr=0.1):
    return p - lr * d * g, maximum(d, g.norm() / (1 + p.norm()))


def _in_rounds(p, g, *, t, lr=0.1):
    mean = total(g) / total(0 * g + 1)
    spread = total((g - mean) ** 2) ** 0.5
    return p - lr * (g - mean) / (spread + 1e-3) * g.norm() / (total(g.norm()) + 1e-3)


@pytest.mark.parametrize("function", [_extremes, _lengths, _counted, _carrying, _in_rounds])
@settings(max_examples=15)
@given(shapes=st.lists(st.lists(st.integers(1, 6), max_size=3), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_a_rules_scalars_are_its_texts(function, shapes, seed):
    generator = torch.Generator().manual_seed(seed)
    pair = Pair(rule(function), [torch.randn(shape, generator=generator) for shape in [*shapes, [40_000]]])
    for _ in range(3):
        pair.step([torch.randn(p.shape, generator=generator) for p in pair.kernel])
        assert None not in forms(pair.by_kernel)
        for actual, expected in pair.results():
            assert_near(actual, expected, 2e-4)
        pair.meet()


@pytest.mark.parametrize("values", [[1.0, math.nan, 5.0], [-math.inf, -1.0], [-0.0, -3e-42], [math.inf, 2.0]])
def test_the_largest_of_numbers_is_found_among_special_ones(values):
    def _largest(p, g, *, t, lr=1.0):
        return g.max() + 0 * p.abs()

    def _smallest(p, g, *, t, lr=1.0):
        return g.min() + 0 * p.abs()

    for function, expected in ((_largest, torch.amax), (_smallest, torch.amin)):
        for dtype in (torch.float32, torch.float64):
            p = torch.ones(len(values), dtype=dtype, requires_grad=True)
            p.grad = torch.tensor(values, dtype=dtype)
            optim.optimizer(rule(function), [p]).step()
            torch.testing.assert_close(p.detach(), expected(p.grad).expand(len(values)), equal_nan=True)


def test_a_norm_of_many_numbers_is_accurate():
    @rule
    def _normed(p, g, *, t, lr=1.0):
        return 0 * p + g.norm()

    p = torch.full((3_000_000,), 0.1, requires_grad=True)
    p.grad = torch.full((3_000_000,), 0.1)
    optim.optimizer(_normed, [p]).step()
    assert math.isclose(p[0].item(), math.sqrt(3e6) * torch.tensor(0.1).item(), rel_tol=1e-6)


def test_a_step_is_the_same_bits_whoever_else_is_stepped():
    """Scalars of a tensor are its own: a model's other tensors change none of them."""
    torch.manual_seed(0)
    p = torch.randn(30, 40)
    alone, among = (p.clone().requires_grad_() for _ in range(2))
    others = [torch.randn(n, requires_grad=True) for n in (7, 50_000)]
    for q in (alone, among, *others):
        q.grad = torch.ones_like(q)
    optim.optimizer("lamb", [alone]).step()
    optim.optimizer("lamb", [others[0], among, others[1]]).step()
    assert torch.equal(alone, among)


def test_saved_and_loaded_in_the_middle_a_rule_with_totals_goes_on_to_the_same_bits():
    whole, first = network(), network()
    a = optim.optimizer("prodigy", whole.parameters())
    b = optim.optimizer("prodigy", first.parameters())
    for step in range(3):
        for net, optimizer in ((whole, a), (first, b)):
            backward(net, step)
            optimizer.step()
    second = copy.deepcopy(first)
    c = optim.optimizer("prodigy", second.parameters())
    c.load_state_dict(b.state_dict())
    for step in range(3, 6):
        for net, optimizer in ((whole, a), (second, c)):
            backward(net, step)
            optimizer.step()
    assert all(torch.equal(p, q) for p, q in zip(whole.parameters(), second.parameters(), strict=True))
