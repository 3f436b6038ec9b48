"""Steps by Triton's kernels come to what those of the CPU's kernels come to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from fallline import optim
from fallline.kernels import form
from fallline.rules import Rule, names
from tests.optim.own import ELEMENTS, MATRICES

from .device import DEVICE, GPU, by_triton

pytestmark = by_triton

SHAPES = [(7, 5), (3, 4, 6), (5,), (41, 30), (7, 5), (0, 3)]
KINDS = [
    "adam",  # powers of numbers
    "nadam",  # a number that is carried
    "madgrad",  # powers of elements
    "rprop",  # choices
    "adafactor",  # sums along rows and columns
    "sm3",  # largest of a row
    "novograd",  # a sum over each tensor that is carried
    "ema(clip_norm(adamw))",  # a sum over all tensors
    "dadapt_adam",  # sums of which a number is made
    "lookahead(momentum)",  # done every few steps
    "muon",  # matrices
    "noise(adafactor)",  # random draws, in every kind of pass
    ELEMENTS,  # those of a user's own
    MATRICES,
]
each_kind = pytest.mark.parametrize("rule", KINDS, ids=lambda kind: getattr(kind, "name", kind))


def stepped(
    rule: str | Rule, dtype: torch.dtype, device: torch.device, steps: int = 4, **settings: float
) -> tuple[list[Tensor], torch.optim.Optimizer]:
    torch.manual_seed(0)
    params = [torch.randn(shape).to(device, dtype).requires_grad_() for shape in SHAPES]
    optimizer = optim.optimizer(rule, [{"params": params[:2]}, {"params": params[2:], **settings}])
    for _ in range(steps):
        for p in params:
            p.grad = torch.randn(p.shape).to(device, dtype)
        optimizer.step()
    return [p.detach() for p in params], optimizer


def both(monkeypatch, rule: str | Rule, dtype: torch.dtype) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of what the device and the CPU have made: parameters, states and numbers."""
    there, optimizer = stepped(rule, dtype, DEVICE, lr=3e-3)
    with monkeypatch.context() as on_the_cpu:
        on_the_cpu.setattr(form, "backend", lambda device: "numba")
        here, reference = stepped(rule, dtype, torch.device("cpu"), lr=3e-3)
    for mine, known in zip(there, here, strict=True):
        yield mine.cpu(), known
    for mine, known in zip(optimizer.state.values(), reference.state.values(), strict=True):
        for name, value in known.items():
            yield torch.as_tensor(mine[name]).cpu(), torch.as_tensor(value)


NEAR = 1e-4 if GPU else 1e-5  # a GPU's powers and exponentials are a few units off


@each_kind
def test_a_step_is_the_cpu_kernels(monkeypatch, rule):
    for mine, known in both(monkeypatch, rule, torch.float32):
        torch.testing.assert_close(mine, known, rtol=NEAR, atol=NEAR / 10, check_dtype=False)


TYPES = [("adam", dtype) for dtype in (torch.float64, torch.bfloat16, torch.float16)]
TYPES += [("clip_norm(adafactor)", dtype) for dtype in (torch.float64, torch.bfloat16)]


@pytest.mark.parametrize(("rule", "dtype"), TYPES, ids=str)
def test_a_step_is_the_cpu_kernels_in_other_types(monkeypatch, rule, dtype):
    near = {torch.float64: 1e-12, torch.float16: 1e-2, torch.bfloat16: 4e-2}[dtype]  # the interpreter truncates
    for mine, known in both(monkeypatch, rule, dtype):
        torch.testing.assert_close(mine, known, rtol=near, atol=near, check_dtype=False)


@pytest.mark.slow
@pytest.mark.parametrize("rule", names())
def test_every_rules_step_is_the_cpu_kernels(monkeypatch, rule):
    for mine, known in both(monkeypatch, rule, torch.float32):
        torch.testing.assert_close(mine, known, rtol=NEAR, atol=NEAR / 10, check_dtype=False)


def test_tensors_that_are_not_aligned_are_stepped():
    memory = torch.randn(2001, device=DEVICE)
    apart = memory[1:].clone().requires_grad_()
    p = torch.nn.Parameter(memory[1:])
    assert p.data_ptr() % 16
    for x in (p, apart):
        x.grad = torch.ones_like(x)
        optim.Adam([x]).step()
    assert torch.equal(p, apart)


@pytest.mark.parametrize("rule", ["sgd", "ema(clip_norm(nadam))"])
def test_nothing_is_sent_while_nothing_changes(rule, sent):
    params = [torch.ones(6, 5, device=DEVICE, requires_grad=True) for _ in range(2)]
    for p in params:
        p.grad = torch.ones_like(p)
    optimizer = optim.optimizer(rule, params)
    for _ in range(2):
        optimizer.step()  # a number that is carried moves to the device
    sent.clear()
    for _ in range(3):
        optimizer.step()
    assert sent == []
    optimizer.param_groups[0]["lr"] = 0.5
    optimizer.step()
    assert len(sent) == 1


@pytest.mark.parametrize("rule", ["adamw", "ema(clip_norm(nadam))"])
def test_a_rate_that_is_a_tensor_on_the_device_is_not_read_by_the_host(rule, sent):
    rate = torch.tensor(1e-3, device=DEVICE)
    params = [torch.ones(300, device=DEVICE, requires_grad=True) for _ in range(2)]
    for p in params:
        p.grad = torch.linspace(-1, 1, 300, device=DEVICE)
    there, here = (optim.optimizer(rule, [p], lr=lr) for p, lr in zip(params, (rate, 1e-3), strict=True))
    for step in range(5):
        if step == 3:
            rate.mul_(0.5)
            here.param_groups[0]["lr"] = float(rate)
        sent.clear()
        there.step()
        assert step < 3 or sent == []
        here.step()
    torch.testing.assert_close(params[0], params[1], rtol=1e-6, atol=1e-6)


def test_steps_that_only_the_device_has_counted_are_in_the_state():
    p = torch.ones(30, device=DEVICE, requires_grad=True)
    p.grad = torch.ones_like(p)
    optimizer = optim.Adam([p])
    optimizer.step()
    (stepper,) = optimizer._steppers.values()
    ((batch,),) = stepper.batches.values()
    batch.board.rows[:, 0] += 5  # as a replayed graph does
    assert optimizer.state_dict()["state"][0]["step"] == 6
