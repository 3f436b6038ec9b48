"""What a step by Triton's kernels launches and sends, and what it takes: tensors of any kind, groups, turns, states."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode

from fallline import optim
from fallline.kernels import cache, form, geometry
from fallline.kernels.form import Kind
from fallline.kernels.gpu import kernel, printer
from fallline.kernels.gpu.board import Board
from fallline.kernels.stacked import StackedStepper
from fallline.rules import get

from .device import DEVICE, GPU, by_triton

pytestmark = by_triton

SHAPES = [(7, 5), (5,), (3, 4, 6), (33,)]


def random(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def leaf(values: Tensor, device: torch.device) -> Tensor:
    return values.to(device, copy=True).requires_grad_()


class Pair:
    """Equal parameters, on the device and on the CPU: what is done to both is to come to the same."""

    def __init__(self, monkeypatch, make, values: list[Tensor]) -> None:
        self.monkeypatch = monkeypatch
        self.there, self.here = ([leaf(x, device) for x in values] for device in (DEVICE, torch.device("cpu")))
        self.by_there, self.by_here = make(self.there), make(self.here)
        self.seeds = itertools.count(100)

    def step(self, those: range | None = None) -> None:
        """A step with new gradients, of those parameters alone if they are told."""
        for k, (p, q) in enumerate(zip(self.there, self.here, strict=True)):
            if those is None or k in those:
                q.grad = torch.empty_like(q).copy_(random(q.shape, next(self.seeds)))
                p.grad = q.grad.to(DEVICE, copy=True)
            else:
                p.grad = q.grad = None
        self.by_there.step()
        self.on_the_cpu(self.by_here.step)

    def on_the_cpu(self, do) -> None:
        with self.monkeypatch.context() as without_triton:
            without_triton.setattr(form, "backend", lambda device: "numba")
            do()

    def meet(self, near: float = 1e-5) -> None:
        for p, q in zip(self.there, self.here, strict=True):
            torch.testing.assert_close(p.detach().cpu(), q.detach(), rtol=near, atol=near)


def groups(params: list[Tensor]) -> list[dict]:
    return [{"params": [p], "lr": 10.0 ** -(k + 1)} for k, p in enumerate(params)]


PASSES = {
    "adamw": ["numbers", "update"],
    "clip_norm(adamw)": ["numbers", "update", "finish", "numbers", "update"],
    "novograd": ["numbers", "update", "finish", "numbers", "update"],
}


@pytest.mark.parametrize("rule", PASSES)
def test_a_pass_is_one_launch_for_all_tensors_and_groups(rule, launches):
    params = [leaf(random(shape, 0), DEVICE) for shape in SHAPES]
    optimizer = optim.optimizer(rule, groups(params))
    for _ in range(2):
        for p in params:
            p.grad = torch.ones_like(p)
        launches.clear()
        optimizer.step()
        assert launches == PASSES[rule]


def test_types_and_groups_with_settings_of_their_own(monkeypatch, launches):
    kinds = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
    values = [random((40,), k).to(kinds[k % 4]) for k in range(8)]

    def make(params: list[Tensor]) -> Optimizer:
        return optim.AdamW(
            [
                {"params": params[:4], "lr": 0.1, "weight_decay": 0.5},
                {"params": params[4:], "lr": 0.01, "betas": (0.5, 0.9), "clip_value": 0.2},
            ]
        )

    pair = Pair(monkeypatch, make, values)
    for _ in range(3):
        launches.clear()
        pair.step()
    assert launches == ["numbers", "update"] * 8  # of each type, with and without clipping
    pair.meet(4e-2)  # the interpreter truncates what becomes bfloat16
    for k in (0, 3, 4, 7):
        torch.testing.assert_close(pair.there[k].detach().cpu(), pair.here[k].detach(), rtol=1e-6, atol=1e-6)


class Copies(TorchDispatchMode):
    """Counts copies."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function is torch.ops.aten.copy_.default
        return function(*args, **(kwargs or {}))


def test_a_group_s_rate_on_the_device_is_copied_once_for_all_its_tensors(monkeypatch):
    def make(params: list[Tensor]) -> Optimizer:
        rates = [torch.tensor(rate, device=params[0].device) for rate in (0.1, 0.01)]
        return optim.AdamW(
            [{"params": params[:3], "lr": rates[0]}, {"params": params[3:], "lr": rates[1]}], clip_norm=0.5
        )

    pair = Pair(monkeypatch, make, [random((9,), k) for k in range(6)])
    pair.step()
    pair.step()
    pair.meet()
    monkeypatch.setattr(kernel, "start", lambda *launch: None)  # the interpreter copies, too
    with Copies() as copies:
        pair.by_there.step()
    assert copies.count in (2, 3)  # the rates and, if it is a copy, what the gradients sum to: not one a tensor


@pytest.mark.parametrize("rule", ["nadam", "novograd"])
def test_tensors_that_take_turns_carry_numbers_of_their_own(monkeypatch, rule):
    pair = Pair(monkeypatch, lambda params: optim.optimizer(rule, params, lr=0.1), [random((6,), k) for k in range(4)])
    for those in (range(2), range(2, 4), range(2), None, range(2, 4), None):
        pair.step(those)
    pair.meet()


def test_tensors_are_stepped_one_by_one_in_the_backward_pass(monkeypatch):
    def make(params: list[Tensor]) -> Optimizer:
        optimizer = optim.NAdam(params, lr=0.1)
        optim.in_backward(optimizer)
        return optimizer

    pair = Pair(monkeypatch, make, [random((6,), k) for k in range(3)])
    for _ in range(3):
        sum((p**2).sum() for p in pair.there).backward()
        pair.on_the_cpu(sum((q**2).sum() for q in pair.here).backward)
    pair.meet()


def test_layouts(monkeypatch, launches):
    last = random((2, 3, 4, 5), 0).to(memory_format=torch.channels_last)
    pair = Pair(monkeypatch, lambda params: optim.Adam(params, lr=0.1), [last, random((0, 3), 1), random((5, 7), 2).mT])
    for _ in range(2):
        launches.clear()
        pair.step()
    assert launches == ["numbers", "update"]
    pair.meet()


def test_tensors_that_join_later(monkeypatch, launches):
    values = [random((3,), k) for k in range(60)]
    pair = Pair(monkeypatch, lambda params: optim.Adam(params[:1], lr=0.1), values)
    pair.step(range(1))
    for optimizer, params in ((pair.by_there, pair.there), (pair.by_here, pair.here)):
        optimizer.add_param_group({"params": params[1:], "lr": 0.01})
    pair.step()
    launches.clear()
    pair.step()
    assert launches == ["numbers", "update"]
    pair.meet()


@pytest.mark.parametrize("rule", ["nadam", "muon"])
def test_a_state_goes_to_the_cpu_and_back(monkeypatch, rule):
    values = [random((6, 4), k) for k in range(2)]
    pair = Pair(monkeypatch, lambda params: optim.optimizer(rule, params, lr=0.1), values)
    pair.step()
    pair.step()
    from_there, from_here = pair.by_there.state_dict(), pair.by_here.state_dict()
    pair.by_there.load_state_dict(from_here)
    pair.by_here.load_state_dict(from_there)
    pair.step()
    pair.step()
    pair.meet()
    assert pair.by_there.state_dict()["state"][0]["step"] == 4


def test_a_loss_scaler_leaves_out_steps_that_are_not_finite():
    p = leaf(torch.ones(5), DEVICE)
    optimizer = optim.Adam([p], lr=0.1)
    scaler = torch.amp.GradScaler(DEVICE.type, init_scale=4.0)
    for factor in (1.0, float("inf"), 1.0):
        before = p.detach().clone()
        optimizer.zero_grad()
        scaler.scale((p * factor).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        assert torch.equal(p.detach(), before) == (factor != 1)
    assert optimizer.state_dict()["state"][0]["step"] == 2


@pytest.mark.parametrize("rule", ["adamw", "clip_norm(nadam)", "adafactor", "muon"])
def test_trials_of_a_stack_step_together(monkeypatch, rule, launches):
    settings = [{"lr": lr} for lr in (0.1, 0.01, 0.03)]
    values = [random((3, *shape), k) for k, shape in enumerate([(4, 6), (5,), (2, 3, 4)])]
    there, here = ([x.to(device, copy=True) for x in values] for device in (DEVICE, torch.device("cpu")))
    by_there = StackedStepper(get(rule), there, settings)
    by_here = StackedStepper(get(rule), here, settings)
    for step in range(2):
        gradients = [random(x.shape, 10 * step + k) for k, x in enumerate(values)]
        launches.clear()
        by_there.step([g.to(DEVICE) for g in gradients])
        with monkeypatch.context() as without_triton:
            without_triton.setattr(form, "backend", lambda device: "numba")
            by_here.step(gradients)
    assert launches
    assert launches == PASSES.get(rule, launches)
    for x, y in zip(there, here, strict=True):
        torch.testing.assert_close(x.cpu(), y, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(torch.from_numpy(by_there.rows), torch.from_numpy(by_here.rows))


@pytest.fixture
def short_parts(monkeypatch):
    """Matrices are cut after a few rows."""
    monkeypatch.setattr(geometry, "_BLOCK", 16)
    monkeypatch.setattr(geometry, "_ROWS", 4)
    geometry.geometry.cache_clear()
    yield
    geometry.geometry.cache_clear()


@pytest.mark.parametrize("rule", ["adafactor", "sm3"])
def test_sides_of_matrices_of_any_number_and_size(monkeypatch, rule, short_parts, launches):
    values = [random(shape, k) for k, shape in enumerate([(43, 5), (9, 70), (6, 2, 3, 3), (2, 11, 300), (40, 1), (3,)])]
    pair = Pair(monkeypatch, lambda params: optim.optimizer(rule, params, lr=0.1), values)
    pair.step()
    pair.step()
    pair.meet()
    assert "over_parts" in launches


def test_the_tensors_device_is_the_one_where_kernels_are_launched(monkeypatch):
    entered: list[torch.device] = []

    class Device:
        def __init__(self, device: torch.device) -> None:
            self.device = device

        def __enter__(self) -> None:
            entered.append(self.device)

        def __exit__(self, *_: object) -> None:
            entered.pop()

    seen = []
    monkeypatch.setattr(torch.cuda, "device", Device)
    monkeypatch.setattr(kernel, "start", lambda *_: seen.append(entered[-1:]))
    monkeypatch.setattr(Board, "current", lambda self: Device(torch.device("cuda", 1)))
    p = leaf(torch.ones(5), DEVICE)
    p.grad = torch.ones_like(p)
    optim.Adam([p]).step()
    assert seen == [[torch.device("cuda", 1)]] * 2
    monkeypatch.undo()
    monkeypatch.setattr(torch.cuda, "device", Device)
    with Board(8, torch.device("cuda", 1)).current():
        assert entered == [torch.device("cuda", 1)]


def test_kernels_are_made_where_nothing_can_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FALLLINE_CACHE_DIR", str(tmp_path / "file"))
    made = form.form(get("sgd"), Kind((torch.float32,) * 2, (4,), device=DEVICE, backend="triton"))
    step = made.program.passes[0]
    text = printer.text(made.program.layout, step, {"p": "float32", "g": "float32"}, ())
    assert set(cache.load(text, "KERNELS")) == {"numbers", "update"}


@pytest.mark.skipif(not GPU, reason="there is no GPU")
@pytest.mark.parametrize("rule", ["adamw", "clip_norm(adamw)", "novograd", "adafactor", "muon"])
def test_on_a_gpu_a_step_waits_for_nothing_and_launches_what_it_says(rule):
    params = [leaf(random((40, 30), k), DEVICE) for k in range(3)]
    for p in params:
        p.grad = torch.ones_like(p)
    optimizer = optim.optimizer(rule, groups(params))
    for group in optimizer.param_groups:
        group["lr"] = torch.tensor(group["lr"], device=DEVICE)
    optimizer.step()
    optimizer.step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        optimizer.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        optimizer.step()
        torch.cuda.synchronize()
    names = [event.name for event in profile.events()]
    if rule in PASSES:
        assert [names.count(name) for name in ("numbers", "update", "finish")] == [
            PASSES[rule].count(name) for name in ("numbers", "update", "finish")
        ]
