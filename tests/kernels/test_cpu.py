"""The compiled kernel is the rule's text: same bits for the same input, special values included."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fallline import optim
from fallline.errors import RuleError
from fallline.kernels import cpu, plan, threads
from fallline.kernels.program import Program
from fallline.kernels.schedule import program
from fallline.kernels.stepper import Stepper
from fallline.rules import MODIFIERS, REGISTRY, amsgrad, decoupled, get, l1, l2, rule, where
from fallline.rules.trace import chosen, decision

from .executors import Pair, assert_equal, assert_near, forms, looks_at_elements_alone

RULES = sorted(REGISTRY)
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
SPECIAL = [0.0, -0.0, math.inf, -math.inf, math.nan, 1e-40, -1e-45, 1e30, -3e38, 65504.0, 6e-8, 1.0, -1.0]


HEAVY = {"exp", "pow", "log", "tanh", "cos"}
"""Functions that PyTorch computes to a few units in the last place, in its own way."""

SAMPLE = ["sgd", "nadam", "rprop", "lion", "lamb", "adafactor", "muon", "ema(clip_norm(adamw))"]
"""Rules of every sort: numbers, carried numbers, choices, scalars, vectors, calls, totals."""


def programs(rule) -> list[Program]:
    """What the first steps of a rule take, for matrices and for the rest."""
    parts = (rule, rule.otherwise or rule)
    return [program(plan(chosen(part, said), (6, 4))) for part in parts for said in said_of(part)]


def tolerance(rule, dtype) -> float:
    """How far the kernel's numbers may be from the text's; nothing where both compute each element in one order."""
    made = programs(rule)
    rounded_alike = not any(map(_rounds_otherwise, (step for one in made for step in one.passes)))
    if rounded_alike and all(map(looks_at_elements_alone, made)):
        return 0.0
    return {torch.float64: 1e-9, torch.float32: 2e-4, torch.bfloat16: 2e-2, torch.float16: 5e-3}[dtype]


def _rounds_otherwise(step) -> bool:
    """Whether PyTorch computes an element in its own way: a number over a tensor by the tensor's reciprocal, say."""
    tensors = {load.value for load in step.loads} | {op.name for op in step.operations if op.tensor}
    by_reciprocal = any(
        op.op == "div" and op.args[0] not in tensors and op.args[0] != 1.0 for op in step.operations if op.tensor
    )
    return by_reciprocal or any(op.tensor and op.op in HEAVY for op in step.operations)


def said_of(rule) -> set[tuple[bool, ...]]:
    """What the rule's choices are in the first steps."""
    numbers = [*rule.defaults.values(), *rule.numbers.values()]
    return {decision(rule)([t, *numbers]) for t in range(1, 4)}


def draw_hypers(data, rule):
    return {
        name: data.draw(st.floats(space.low, space.high), label=name)
        if (space := hyper.search) and data.draw(st.booleans())
        else hyper.default
        for name, hyper in rule.hypers.items()
    }


def check(rule, dtype, data, shapes, special):
    """Three steps by kernel and by text, each from where the text has come to."""
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**31)))

    def tensor(shape):
        x = torch.randn(shape, generator=generator, dtype=torch.float64)
        if special and x.numel():
            at = torch.randint(0, x.numel(), (max(1, x.numel() // 3),), generator=generator)
            drawn = torch.tensor([data.draw(st.sampled_from(SPECIAL)) for _ in at], dtype=torch.float64)
            x.view(-1)[at] = drawn
        return x.to(dtype)

    within = tolerance(rule, dtype)
    # the vectors that belong to equal singular values are anyone's choice, and all equally good for a step
    unique = not any(one.calls for one in programs(rule))
    pair = Pair(rule, [tensor(shape) for shape in shapes], **draw_hypers(data, rule))
    for _ in range(3):
        pair.step([tensor(p.shape) for p in pair.kernel])
        assert None not in forms(pair.by_kernel)
        for actual, expected in pair.results(unique):
            if within:
                assert_near(actual, expected, within)
            else:
                assert_equal(actual, expected)
        pair.meet()


SHAPES = st.lists(st.lists(st.integers(0, 9), max_size=3), min_size=1, max_size=4)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*RULES, *SAMPLE}))
@settings(max_examples=3)
@given(data=st.data())
def test_kernel_gives_what_the_text_gives(name, data):
    rule = get(name)
    special = not tolerance(rule, torch.float32) and data.draw(st.booleans())
    check(rule, torch.float32, data, data.draw(SHAPES), special)


IN_TYPES = [
    pytest.param(name, dtype, marks=() if dtype in (torch.float32, DTYPES[2 + k % 2]) else pytest.mark.slow)
    for k, name in enumerate(SAMPLE)
    for dtype in DTYPES
]
"""At least single precision and one of the half types; double precision is what tests/rules compare papers in."""


@pytest.mark.parametrize(("name", "dtype"), IN_TYPES, ids=str)
@settings(max_examples=4)
@given(data=st.data())
def test_in_every_type_of_numbers(name, dtype, data):
    rule = get(name)
    special = not tolerance(rule, dtype) and data.draw(st.booleans())
    check(rule, dtype, data, data.draw(SHAPES), special)


def modified(name, base):
    """A rule with a modifier; of one that climbs, what climbs. None where the two do not compose."""
    try:
        made = MODIFIERS[name](get(base))
    except RuleError:
        return None
    return made.climb or made


MODIFIED = [
    pytest.param(made, id=made.name, marks=() if base == "momentum" or name == "amsgrad" else pytest.mark.slow)
    for base in ("momentum", "adam", "lion", "muon")
    for name in sorted(MODIFIERS)
    if (made := modified(name, base)) is not None
]
"""Every modifier once, and around other rules where there is time."""


@pytest.mark.parametrize("made", [*MODIFIED, pytest.param(l1(l2(decoupled(amsgrad(get("adam"))))), id="several")])
def test_modified_rules_are_compiled_too(made):
    generator = torch.Generator().manual_seed(0)
    shapes, within = [(6, 4), (5,)], tolerance(made, torch.float32)
    pair = Pair(made, [torch.randn(shape, generator=generator) for shape in shapes])
    for _ in range(4):
        pair.step([torch.randn(shape, generator=generator) for shape in shapes])
        assert None not in forms(pair.by_kernel)
        for actual, expected in pair.results():
            if within:
                assert_near(actual, expected, within)
            else:
                assert_equal(actual, expected)
        pair.meet()


@given(st.lists(st.floats(width=32, allow_nan=True), min_size=1, max_size=50))
def test_exponential_is_within_two_units_in_the_last_place(values):
    from fallline.kernels.arithmetic import exp32

    for x in torch.tensor(values, dtype=torch.float32):
        exact = torch.exp(x.double())
        actual = torch.tensor(exp32(x.numpy()[()]), dtype=torch.float64)
        if torch.isnan(exact):
            assert torch.isnan(actual)
        elif exact > torch.finfo(torch.float32).max:
            assert torch.isinf(actual)
        else:
            assert abs(actual - exact) <= max(2 * 2**-23 * float(exact), 2**-148)


@cache
def quotient():
    """What kernels have for a division, as a function for Python."""
    from numba import njit

    from fallline.kernels.arithmetic import divide

    return njit(lambda x, c, r: divide(x, c, r))


@given(st.lists(st.floats(width=32), min_size=1, max_size=50), st.floats(1e-6, 1e6))
def test_division_by_a_shared_number_is_division(values, divisor):
    c = np.float32(divisor)
    for x in np.array(values, np.float32):
        with np.errstate(all="ignore"):
            exact = x / c
        actual = np.float32(quotient()(x, c, np.float32(1.0 / np.float64(c))))
        if abs(exact) < np.finfo(np.float32).tiny or abs(x) < 1e-30:
            assert abs(actual - exact) <= max(1.5e-45, 1e-7 * abs(exact))
        else:
            assert np.array_equal(actual, exact, equal_nan=True), (x, c)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_types_are_read_and_rounded_exactly(dtype):
    """All 65,536 values of the type pass through a kernel that doubles a half of them, as PyTorch would round it."""
    bits = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16)
    p = bits.view(dtype).clone().requires_grad_()
    for scale in (0.0, 1 / 3, -1 / 3, 1e-3, 1e3):
        start = p.detach().clone()
        g = start.flip(0).clone()
        q = start.clone().requires_grad_()
        q.grad = g
        optim.SGD([q], lr=abs(scale), maximize=scale < 0).step()
        g = -g.float() if scale < 0 else g.float()
        assert_equal(q.detach(), (start.float() - abs(scale) * g).to(dtype))


def test_one_call_serves_groups_with_settings_of_their_own():
    params = [torch.ones(5, requires_grad=True) for _ in range(3)]
    groups = [{"params": [p], "lr": lr} for p, lr in zip(params, (0.1, 0.2, 0.3), strict=True)]
    for p in params:
        p.grad = torch.ones(5)
    optim.SGD(groups).step()
    torch.testing.assert_close([p[0].item() for p in params], [0.9, 0.8, 0.7])


def test_parameters_of_different_age_take_their_own_step_count():
    young, old = (torch.zeros(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    twins = [x.detach().clone().requires_grad_() for x in (young, old)]
    ours, theirs = optim.Adam([young, old]), torch.optim.Adam(twins)
    for step in range(6):
        for p in (old, twins[1]) if step < 3 else (young, old, *twins):
            p.grad = torch.full((3,), float(step + 1), dtype=torch.float64)
        ours.step()
        theirs.step()
    torch.testing.assert_close([young, old], twins, rtol=1e-12, atol=0)


SHARED = {
    "nadam": [(70_001,), (3,), (0,), (50_000,), (1,)],
    "clip_norm(lamb)": [(70_001,), (3,), (0,), (200, 300), (1,)],
    "adafactor": [(300, 400), (70, 30), (5, 2000), (50,)],
    "sm3": [(300, 400), (70, 30), (5, 2000), (50,)],
}


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("pool", [False, True], ids=["openmp", "python"])
def test_work_is_shared_among_threads_without_changing_a_bit(monkeypatch, name, pool):
    if pool:
        monkeypatch.setattr(threads, "team", lambda: threads._pool_team)
    torch.manual_seed(0)
    params = [torch.randn(shape) for shape in SHARED[name]]
    grads = [torch.randn_like(p) for p in params]
    results = []
    for count in (1, 2, 5):
        monkeypatch.setattr(torch, "get_num_threads", lambda count=count: count)
        monkeypatch.setattr(threads, "_WORTH_A_THREAD", 1000)
        copies = [p.clone().requires_grad_() for p in params]
        optimizer = optim.optimizer(name, copies)
        for _ in range(3):
            for p, g in zip(copies, grads, strict=True):
                p.grad = g.clone()
            optimizer.step()
        assert None not in forms(optimizer)
        results.append([p.detach() for p in copies])
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], result, strict=True))


def _of_many(p, g, *, t, lr=0.1):
    return p - 3 * lr * g


def test_many_threads_run_the_machine_code_of_one(monkeypatch):
    own, loaded, load = rule(_of_many), [], cpu.cache.load
    monkeypatch.setattr(cpu.cache, "load", lambda text, name: loaded.append(name) or load(text, name))
    monkeypatch.setattr(threads, "_WORTH_A_THREAD", 1000)
    try:
        p = torch.ones(70_000, requires_grad=True)
        p.grad = torch.ones_like(p)
        optimizer = optim.optimizer(own, [p])
        for count in (1, 2):
            monkeypatch.setattr(torch, "get_num_threads", lambda count=count: count)
            optimizer.step()
    finally:
        REGISTRY.pop(own.name, None)
    assert loaded.count("kernel") == 1


def test_a_new_rate_or_shape_compiles_nothing():
    p = torch.ones(3, requires_grad=True)
    p.grad = torch.ones(3)
    optimizer = optim.Adam([p])
    optimizer.step()
    before = cpu.compiled.cache_info().misses
    optimizer.param_groups[0]["lr"] = 0.5
    other = torch.ones(7, 2, requires_grad=True)
    other.grad = torch.ones(7, 2)
    optimizer.add_param_group({"params": [other], "lr": 2.0})
    optimizer.step()
    assert cpu.compiled.cache_info().misses == before


def test_a_stepper_takes_what_a_kernel_cannot_by_the_text():
    """Non-contiguous, overlapping-free or not, complex, on strange strides: all give what the contiguous twin gives."""
    torch.manual_seed(0)
    base = torch.randn(6, 8)
    strange = [
        base.clone()[:, ::2],
        base.clone().t(),
        base.clone().view(2, 3, 2, 4).to(memory_format=torch.channels_last),
        torch.randn(4, dtype=torch.complex64),
    ]
    for p in strange:
        p = p.detach().requires_grad_()
        twin = p.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
        ours, theirs = optim.Adam([p], lr=0.1), torch.optim.Adam([twin], lr=0.1)
        for _ in range(3):
            g = torch.randn_like(twin)
            p.grad, twin.grad = g.clone(), g
            ours.step()
            theirs.step()
        torch.testing.assert_close(p.detach(), twin.detach(), rtol=1e-5, atol=1e-6)


def test_dense_strides_go_through_the_kernel(monkeypatch):
    monkeypatch.setattr(Stepper, "_by_text", lambda *_: pytest.fail("the slow path was taken"))
    p = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last).requires_grad_()
    p.grad = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    before = p.detach().clone()
    optim.SGD([p], lr=0.5).step()
    torch.testing.assert_close(p.detach(), before - 0.5 * p.grad)


def _clash(p, g, x0, x1, *, t, lr=0.1):
    x0 = where(t == 1, p, x0)
    return p - lr * (g + 0.5 * (p - x0) + x1), x0, x1 + g


def _alternating(p, g, *, t, lr=0.1):
    return p - lr * (-1) ** t * g


def _guarded(p, g, *, t, lr=0.1):
    return p - lr * where(g.abs() < math.inf, g, 0 * p).clamp(-math.inf, 2.0)


def _counted(p, g, m, *, t, lr=0.1):
    return p - lr * ((g > 0) + (m > 0)), g


def _norm(p, g, m, *, t, lr=0.1):
    g /= g.norm() + 1
    return p - lr * g - m, p


def _late(p, g, *, t, lr=0.1):
    return p - lr / (t - 1) * g.clamp(0, 0) - where(~(g > t), g, 0 * g)


@pytest.mark.parametrize("function", [_clash, _alternating, _guarded, _counted, _norm, _late])
def test_rules_of_all_sorts_give_the_same_by_kernel_and_by_text(function):
    """A contiguous parameter and its strided twin; the second cannot go through a kernel."""
    own = rule(function)
    try:
        p = torch.randn(20, generator=torch.Generator().manual_seed(0)).requires_grad_()
        q = torch.stack([p.detach(), p.detach()], 1)[:, 0].requires_grad_()
        assert p.is_contiguous()
        assert not q.is_contiguous()
        a, b = optim.optimizer(own, [p]), optim.optimizer(own, [q])
        for step in range(4):
            p.grad = torch.randn(20, generator=torch.Generator().manual_seed(step + 1))
            q.grad = p.grad.clone()
            given = p.grad.clone()
            a.step()
            b.step()
            assert torch.equal(p.grad, given)
            assert torch.equal(q.grad, given)
            torch.testing.assert_close(p.detach(), q.detach(), equal_nan=True)
    finally:
        REGISTRY.pop(own.name, None)
