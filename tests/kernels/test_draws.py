"""Draws in a kernel: the text's bits, in one pass, however tensors lie, are cut, stacked and shared among threads."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import pytest
import torch
from numba import njit
from torch import nn

from fallline import optim
from fallline.kernels import draws as kernels
from fallline.kernels.cost import cost
from fallline.kernels.equation import equation
from fallline.kernels.lowbits import FIRST
from fallline.kernels.stacked import StackedStepper
from fallline.rules import draws, get, ops, rule, shaped, when

from .executors import Pair, assert_equal, assert_near, assert_threads_change_nothing, forms, looks_at_elements_alone


@rule
def _shaken(p, g, m, *, t, lr=0.1, seed=3):
    m = m + ops.rademacher(m, t, seed, "sign")
    return p - lr * g * ops.uniform(g, t, seed) + ops.normal(p, t, seed, "a") * ops.normal(p, t, seed, "b"), m


@rule(otherwise=_shaken)
def _shaken_by_rows(p, g, r: Annotated[Any, shaped("rows", 1)], *, t, lr=0.1, seed=3):
    drawn = ops.normal(g, t, seed, "a")
    r = 0.5 * r + (g * drawn).mean(-1, keepdim=True)
    return p - lr * drawn / (1 + r.abs()) * (1 + drawn.norm()), r


@rule
def _shaken_sometimes(p, g, *, t, lr=0.1, every=2):
    return p - lr * when(t % every == 0, ops.normal(g, (t - 1) // every, 0, "a"), g)


SHAPES = [(300, 70), (5, 7), (3,), (0, 3), (2, 30, 40), ()]


@njit
def _all(key, index, out):
    for k in range(index.size):
        part, i = index[k] >> 32, index[k] & 0xFFFFFFFF
        out[0, k] = kernels.normal(key, part, i)
        out[1, k] = kernels.uniform(key, part, i)
        out[2, k] = kernels.rademacher(key, part, i)


@njit
def _key(seed, t, place, stream):
    return kernels.of_tensor(kernels.of_step(seed, t), place, stream)


def test_a_kernel_draws_the_bits_that_the_text_draws():
    index = np.concatenate([np.arange(100_000), 2**31 + np.arange(-50, 50), 2**32 + np.arange(-50, 50), [2**40]])
    for parts in ((0, 1, 0), (5, 10**6, 77), (2**31, 3, 2**40)):
        key = draws.mixed(*parts, draws.number_of("a"))
        assert _key(float(parts[0]), float(parts[1]), parts[2], draws.number_of("a")) == key
        out = np.empty((3, index.size), np.float32)
        _all(np.uint64(key), index, out)
        bits = draws.bits(key, torch.from_numpy(index))
        for row, kind in zip(out, (draws.normal, draws.uniform, draws.rademacher), strict=True):
            np.testing.assert_array_equal(row, kind(bits).numpy())


def test_noise_is_drawn_in_the_one_pass_of_its_rule():
    noisy, plain = cost(get("noise(adamw)")), cost(get("adamw"))
    assert noisy.sweeps == plain.sweeps
    assert noisy.functions == ()
    assert noisy.bytes_per_parameter == plain.bytes_per_parameter == 28
    assert any("N(0, 1)" in line for line in equation(get("noise(adamw)"), "text"))


CASES = [
    ("noise(adamw)", torch.float32),
    (_shaken, torch.float32),
    (_shaken, torch.float64),
    (_shaken_by_rows, torch.float32),
    (_shaken_sometimes, torch.float32),
    ("noise(muon)", torch.float32),
    ("stochastic_rounding(noise(momentum))", torch.bfloat16),
    ("state_8bit(noise(momentum))", torch.float32),
]


@pytest.mark.parametrize(("own", "dtype"), CASES, ids=lambda x: getattr(x, "name", str(x)))
def test_a_step_is_the_texts(own, dtype):
    own = get(own) if isinstance(own, str) else own
    generator = torch.Generator().manual_seed(0)
    pair = Pair(own, [torch.randn(shape, generator=generator).to(dtype) for shape in SHAPES])
    for _ in range(3):
        pair.step([torch.randn(p.shape, generator=generator).to(dtype) for p in pair.kernel])
        assert None not in forms(pair.by_kernel)
        exactly = all(looks_at_elements_alone(form.program) for form in forms(pair.by_kernel))
        for mine, known in pair.results():
            assert_equal(mine, known) if exactly else assert_near(mine, known, 1e-3)
        pair.meet()


@rule
def _drawn(p, g, *, t, lr=1.0):
    return ops.normal(p, t, 0, "a") + lr * g


@rule(otherwise=_drawn)
def _drawn_by_rows(p, g, *, t, lr=1.0):
    return ops.normal(p, t, 0, "a") + lr * (g - g.mean(-1, keepdim=True))


@pytest.mark.parametrize("own", [_drawn, _drawn_by_rows], ids=lambda own: own.name)
def test_a_tensor_may_have_more_elements_than_32_bits_count(own):
    """Its part there: a tensor whose first element is said to be one of the last before that."""
    p, first = torch.zeros(30, 7, requires_grad=True), 2**32 - 100
    p.grad = torch.zeros_like(p)
    optimizer = optim.optimizer(own, [p])
    optimizer.step()
    ((slot,),) = (stepper.slots.values() for stepper in optimizer._steppers.values())
    assert slot.form.others[-1] == FIRST
    slot.entry = (*slot.entry[:-1], first)
    optimizer.step()
    key = draws.mixed(0, 2, 0, draws.number_of("a"))
    assert torch.equal(p.detach().flatten(), draws.normal(draws.bits(key, first + torch.arange(210))))


def lying_otherwise() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(8, 6, 5, 7, generator=generator)
    return [image.contiguous(memory_format=torch.channels_last), torch.randn(40, 30, generator=generator).mT]


def test_elements_are_counted_as_they_lie_in_memory_by_kernel_and_by_text():
    pair = Pair(_shaken, lying_otherwise())
    for p, q in zip(pair.kernel, lying_otherwise(), strict=True):
        assert p.stride() == q.stride()
    for _ in range(2):
        pair.step([torch.ones_like(p) for p in pair.kernel])
        assert None not in forms(pair.by_kernel)
        for mine, known in pair.results():
            assert_equal(mine, known)


def test_a_gradient_that_lies_otherwise_than_the_parameter_changes_no_draw():
    ends = []
    for gradient in (torch.ones(8, 6, 5, 7), torch.ones(8, 6, 5, 7).contiguous(memory_format=torch.channels_last)):
        p = nn.Parameter(lying_otherwise()[0])
        p.grad = gradient
        optim.optimizer(_shaken, [p]).step()
        ends.append(p.detach())
    torch.testing.assert_close(*ends, rtol=0, atol=0)


def test_threads_change_nothing():
    def trained():
        p = nn.Parameter(torch.ones(500, 600))
        p.grad = torch.ones_like(p)
        optimizer = optim.optimizer("noise(adamw)", [p], lr=1e-3)
        optimizer.step()
        optimizer.step()
        return p

    assert_threads_change_nothing(trained)


def test_complex_parameters_draw_for_both_parts():
    p = torch.zeros(50, dtype=torch.complex64, requires_grad=True)
    p.grad = torch.zeros(50, dtype=torch.complex64)
    optim.optimizer("noise(sgd)", [p], lr=1.0).step()
    sigma = (0.01 / 2**0.55) ** 0.5
    drawn = ops.normal(torch.empty(50, 2), 1, 0, "noise")
    torch.testing.assert_close(torch.view_as_real(p.detach()), -sigma * drawn)


@pytest.mark.parametrize("own", [_shaken, _shaken_by_rows], ids=lambda own: own.name)
def test_a_trial_in_a_stack_draws_what_it_would_alone(own):
    shapes, rates = [(6, 5), (2, 4, 3), (7,)], (0.1, 0.2, 0.3)
    generator = torch.Generator().manual_seed(0)
    stacked = [torch.randn(len(rates), *shape, generator=generator) for shape in shapes]
    alone = [[nn.Parameter(p[k].clone()) for p in stacked] for k in range(len(rates))]
    optimizers = [optim.optimizer(own, params, lr=lr) for params, lr in zip(alone, rates, strict=True)]
    stepper = StackedStepper(own, stacked, [{"lr": lr} for lr in rates])
    for _ in range(2):
        gradients = [torch.randn(p.shape, generator=generator) for p in stacked]
        for k, optimizer in enumerate(optimizers):
            for p, g in zip(alone[k], gradients, strict=True):
                p.grad = g[k].clone()
            optimizer.step()
        stepper.step(gradients)
    for k, params in enumerate(alone):
        for both, p in zip(stacked, params, strict=True):
            torch.testing.assert_close(both[k], p.detach(), rtol=1e-6, atol=1e-6)
