"""Kernels over arrays of few bits: the same codes and roundings as the rule's text, on any number of threads."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fallline import optim
from fallline.kernels.stacked import StackedStepper
from fallline.kernels.storage import SCALE
from fallline.rules import get

from .executors import Pair, assert_equal, assert_near, assert_threads_change_nothing, forms, looks_at_elements_alone

SHAPES = [(70, 77), (3, 40, 64), (4096,), (5,), (0, 3), (17, 9, 9, 9)]
RULES = [
    "state_8bit(adamw)",
    "state_8bit(amsgrad)",
    "state_8bit(momentum)",
    "state_8bit(lion)",
    "state_8bit(adagrad)",
    "state_8bit(accumulate(adam, micro_batches=2))",
    "state_bfloat16(adamw)",
    "stochastic_rounding(adamw)",
    "kahan(state_8bit(adamw))",
    "ema(stochastic_rounding(state_8bit(sgdw), rounding_seed=5))",
    "clip_norm(state_8bit(adamw))",
    "state_8bit(lamb)",
    "state_8bit(muon)",
]


TYPES = [
    *((name, (torch.float32, torch.bfloat16)[k % 2]) for k, name in enumerate(RULES)),
    ("state_8bit(adamw)", torch.bfloat16),
    *((name, torch.float16) for name in ("state_8bit(adamw)", "stochastic_rounding(adamw)", "state_8bit(muon)")),
]
"""The other half type is read and written as it is without few bits."""


def gradients(params, seed):
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randn(p.shape, generator=generator).to(p.dtype) for p in params]
    return [torch.empty_like(p).copy_(g) + p.detach() for p, g in zip(params, drawn, strict=True)]


def made(dtype, memory_format=torch.contiguous_format):
    generator = torch.Generator().manual_seed(0)
    params = [torch.randn(shape, generator=generator).to(dtype) for shape in SHAPES]
    return [p.contiguous(memory_format=memory_format) if p.dim() == 4 else p for p in params]


@pytest.mark.parametrize(("name", "dtype"), TYPES, ids=str)
def test_a_kernel_leaves_the_bits_that_the_text_leaves(name, dtype):
    pair = Pair(get(name), made(dtype), lr=1e-2)
    for seed in range(4):
        pair.step(gradients(pair.kernel, seed))
        exactly = all(looks_at_elements_alone(form.program) for form in forms(pair.by_kernel))
        for mine, known in pair.results():
            assert not isinstance(mine, torch.Tensor) or mine.dtype is known.dtype
            if exactly:
                assert_equal(mine, known)
        for p, q in zip(pair.kernel, pair.text, strict=True):
            assert_near(p.detach(), q.detach(), 1e-2)
        pair.meet()


def test_large_tensors_are_in_eight_bits_and_stepped_by_kernels():
    pair = Pair(get("state_8bit(adamw)"), made(torch.float32))
    pair.step(gradients(pair.kernel, 0))
    coded = [pair.by_kernel.state[p]["m"].dtype is torch.uint8 for p in pair.kernel]
    assert coded == [p.numel() >= 4096 for p in pair.kernel]
    assert all(forms(pair.by_kernel))


def test_blocks_lie_as_the_parameter_does():
    pair = Pair(get("state_8bit(adamw)"), made(torch.float32, torch.channels_last))
    assert not pair.kernel[-1].is_contiguous()
    for seed in range(3):
        pair.step(gradients(pair.kernel, seed))
    for mine, known in pair.results():
        assert_equal(mine, known)
    assert all(forms(pair.by_kernel))


@pytest.mark.parametrize("name", ["state_8bit(adamw)", "stochastic_rounding(sgdw)"])
def test_threads_change_nothing(name):
    dtype = torch.bfloat16 if "stochastic" in name else torch.float32

    def trained():
        p = nn.Parameter(torch.ones(700, 700, dtype=dtype))
        optimizer = optim.optimizer(name, [p], lr=1e-3)
        for seed in range(3):
            (p.grad,) = gradients([p], seed)
            optimizer.step()
        return p

    assert_threads_change_nothing(trained)


def test_what_is_not_finite_in_a_block_shows():
    p = nn.Parameter(torch.ones(64, 80))
    optimizer = optim.Adam([p], state_8bit=True)
    p.grad = torch.ones(64, 80)
    p.grad[0, 0] = torch.nan
    optimizer.step()
    assert p.isnan().sum() == 1
    p.grad = torch.ones(64, 80)
    optimizer.step()
    assert p.detach().flatten()[:256].isnan().all()
    assert not p.detach().flatten()[256:].isnan().any()


@pytest.mark.parametrize("name", ["state_8bit(adamw)", "state_8bit(clip_norm(adamw))", "stochastic_rounding(momentum)"])
def test_a_trial_in_a_stack_steps_as_it_would_alone(name):
    dtype = torch.bfloat16 if "stochastic" in name else torch.float32
    rates, shapes = [1e-2, 3e-2, 1e-3], [(64, 80), (7,)]
    generator = torch.Generator().manual_seed(0)
    stacked = [torch.randn(len(rates), *shape, generator=generator).to(dtype) for shape in shapes]
    alone = [[nn.Parameter(p[k].clone()) for p in stacked] for k in range(len(rates))]
    optimizers = [optim.optimizer(name, params, lr=lr) for params, lr in zip(alone, rates, strict=True)]
    stepper = StackedStepper(get(name), stacked, [{"lr": lr} for lr in rates])
    for seed in range(4):
        gs = gradients(stacked, seed)
        for k, optimizer in enumerate(optimizers):
            for p, g in zip(alone[k], gs, strict=True):
                p.grad = g[k].clone()
            optimizer.step()
        stepper.step(gs)
        if seed == 1:
            kept = [2, 0]
            stacked, alone, optimizers = (
                [p[kept] for p in stacked],
                [alone[k] for k in kept],
                [optimizers[k] for k in kept],
            )
            stepper.keep(kept, stacked)
    for k, params in enumerate(alone):
        for i, p in enumerate(params):
            assert torch.equal(stacked[i][k], p.detach())
            for key, value in stepper.states[i].items():
                assert torch.equal(value[k], optimizers[k].state[p][key])
    if "8bit" in name:
        assert stepper.states[0]["m" + SCALE].shape == (2, 20)
