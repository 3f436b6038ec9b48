"""The Triton backend, run by Triton's interpreter where there is no GPU, and compiled for one by its compiler."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from fallline import optim
from fallline.kernels import form
from fallline.kernels.gpu.board import Board
from fallline.optim import base
from fallline.rules import Rule, get, names
from tests.optim.own import ELEMENTS, MATRICES

# lanes outside a tensor compute with anything
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:triton.runtime.interpreter")

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
    ELEMENTS,  # those of a user's own
    MATRICES,
]
each_kind = pytest.mark.parametrize("rule", KINDS, ids=lambda kind: getattr(kind, "name", kind))


@pytest.fixture(autouse=True)
def interpreted(monkeypatch) -> None:
    """Tensors in the host's memory stepped by Triton's kernels."""
    monkeypatch.setattr(form, "backend", lambda device: "triton")


def stepped(
    rule: str | Rule, dtype: torch.dtype, steps: int = 4, **settings: float
) -> tuple[list[Tensor], torch.optim.Optimizer]:
    torch.manual_seed(0)
    params = [torch.randn(shape).to(dtype).requires_grad_() for shape in SHAPES]
    optimizer = optim.optimizer(rule, [{"params": params[:2]}, {"params": params[2:], **settings}])
    for _ in range(steps):
        for p in params:
            p.grad = torch.randn(p.shape).to(dtype)
        optimizer.step()
    return [p.detach() for p in params], optimizer


def both(monkeypatch, rule: str | Rule, dtype: torch.dtype) -> Iterator[tuple[Tensor, Tensor]]:
    there, optimizer = stepped(rule, dtype, lr=3e-3)
    with monkeypatch.context() as on_the_cpu:
        on_the_cpu.setattr(form, "backend", lambda device: "numba")
        here, reference = stepped(rule, dtype, lr=3e-3)
    yield from zip(there, here, strict=True)
    for mine, known in zip(optimizer.state.values(), reference.state.values(), strict=True):
        for name, value in known.items():
            yield torch.as_tensor(mine[name]), torch.as_tensor(value)


@each_kind
def test_a_step_is_the_cpu_kernels(monkeypatch, rule):
    for mine, known in both(monkeypatch, rule, torch.float32):
        torch.testing.assert_close(mine, known, rtol=1e-5, atol=1e-6, check_dtype=False)


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
        torch.testing.assert_close(mine, known, rtol=1e-5, atol=1e-6, check_dtype=False)


def test_tensors_that_are_not_aligned_are_stepped(monkeypatch):
    memory = torch.randn(2001)
    apart = memory[1:].clone().requires_grad_()
    p = torch.nn.Parameter(memory[1:])
    assert p.data_ptr() % 16
    for x in (p, apart):
        x.grad = torch.ones(2000)
        optim.Adam([x]).step()
    assert torch.equal(p, apart)


def test_nothing_is_sent_while_nothing_changes(monkeypatch):
    sent = []
    before = Board._sent
    monkeypatch.setattr(Board, "_sent", lambda self, array: sent.append(array.shape) or before(self, array))
    p = torch.randn(300, requires_grad=True)
    p.grad = torch.randn(300)
    optimizer = optim.optimizer("ema(clip_norm(nadam))", [p])
    optimizer.step()
    optimizer.step()  # the carried number has moved to the device
    sent.clear()
    for _ in range(3):
        optimizer.step()
    assert sent == []
    optimizer.param_groups[0]["lr"] = 0.5
    optimizer.step()
    assert len(sent) == 1


@pytest.mark.parametrize("rule", ["adamw", "ema(clip_norm(nadam))"])
def test_a_rate_that_is_a_tensor_on_the_device_is_not_read_by_the_host(monkeypatch, rule):
    monkeypatch.setattr(base, "_number", lambda value: value)  # the interpreter's device is the host
    rate = torch.tensor(1e-3)
    params = [torch.ones(300, requires_grad=True) for _ in range(2)]
    for p in params:
        p.grad = torch.linspace(-1, 1, 300)
    there, here = (optim.optimizer(rule, [p], lr=lr) for p, lr in zip(params, (rate, 1e-3), strict=True))
    sent = []
    before = Board._sent
    monkeypatch.setattr(Board, "_sent", lambda self, array: sent.append(array.shape) or before(self, array))
    for step in range(5):
        if step == 3:
            sent.clear()
            rate.mul_(0.5)
            here.param_groups[0]["lr"] = float(rate)
        there.step()
        if step >= 3:
            assert sent == []
        here.step()
        sent.clear()
    torch.testing.assert_close(params[0], params[1], rtol=1e-6, atol=1e-6)


def test_steps_that_only_the_device_has_counted_are_in_the_state():
    p = torch.randn(30, requires_grad=True)
    p.grad = torch.randn(30)
    optimizer = optim.Adam([p])
    optimizer.step()
    (board,) = optimizer._steppers[next(iter(optimizer._steppers))].boards.values()
    board.rows[:, 0] += 5  # as a replayed graph does
    assert optimizer.state_dict()["state"][0]["step"] == 6


COMPILE = """
import sys, torch, triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from fallline.kernels.form import KERNEL_DTYPES, Kind, form
from fallline.kernels.gpu import printer
from fallline.kernels.program import Pass
from fallline.rules import get
from fallline.rules.trace import chosen, conditions, decision

FLOATS, WHOLE = ("rows", "derived", "partials"), ("table", "blocks", "blocks_of")
TYPES = dict.fromkeys(FLOATS, "*fp64") | dict.fromkeys(WHOLE, "*i64")
CONSTANTS = {"ALIGNED": True, "BLOCK": printer.BLOCK, "ALONG": printer.ALONG}
count = 0
for name in sys.argv[1:]:
    for dtype in (torch.float32, torch.bfloat16):
        rule = get(name)
        if conditions(rule):
            rule = chosen(rule, decision(rule)((1.0, *rule.defaults.values(), *rule.numbers.values())))
        made = form(rule, Kind((dtype,) * (2 + len(rule.states)), (40, 300), backend="triton"))
        for step in made.steps:
            for function in getattr(step, "functions", {}).values():
                signature = {a: TYPES.get(a, "constexpr") for a in function.arg_names}
                constants = {(k,): CONSTANTS[a] for k, a in enumerate(function.arg_names) if a in CONSTANTS}
                source = ASTSource(function, signature, constexprs=constants)
                compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"enable_fp_fusion": False})
                assert compiled.asm["cubin"]
                if name == "adam" and dtype == torch.float32 and "ALIGNED" in function.arg_names:
                    assert "ld.global.v4" in compiled.asm["ptx"]  # 16 bytes a load
                count += 1
print(count)
"""


def compiled_for_a_gpu(*rules: str) -> int:
    done = subprocess.run([sys.executable, "-c", COMPILE, *rules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return int(done.stdout)


def test_kernels_compile_for_a_gpu(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET")
    assert compiled_for_a_gpu("adam", "nadam", "ema(clip_norm(adamw))", "adafactor", "sm3") >= 20


@pytest.mark.slow
def test_kernels_of_every_rule_compile_for_a_gpu(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET")
    rules = [name for name in names() if not get(name).shapes or name in ("adafactor", "came", "sm3")]
    assert compiled_for_a_gpu(*rules) > 300


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@each_kind
def test_on_a_gpu_a_step_is_the_cpus_and_is_captured(monkeypatch, rule):
    monkeypatch.undo()
    p, q = (torch.randn(300, 40, generator=torch.Generator().manual_seed(0)) for _ in range(2))
    p = p.cuda().requires_grad_()
    q.requires_grad_()
    q.grad = torch.randn(300, 40)
    p.grad = q.grad.cuda()
    there = optim.optimizer(rule, [p], lr=torch.tensor(1e-3, device="cuda"))
    here = optim.optimizer(rule, [q], lr=1e-3)
    for _ in range(3):
        there.step()
        here.step()
    torch.testing.assert_close(p.cpu(), q, rtol=1e-4, atol=1e-5)
    if rule not in ("muon", "lookahead(momentum)", MATRICES):
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            there.step()
        graph.replay()
        here.step()
        torch.testing.assert_close(p.cpu(), q, rtol=1e-4, atol=1e-5)
