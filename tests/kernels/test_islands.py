"""What a rule computes between its calls, on states of shapes of their own: compiled, called once, written in place."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
import torch

from fallline.kernels.form import Kind, form
from fallline.kernels.island import Island
from fallline.kernels.program import Apply, Copy
from fallline.rules import Rule, get, rule, shaped
from fallline.rules.trace import chosen, decision

from .executors import Pair, assert_near, forms

Low = Annotated[Any, shaped(3, "columns")]


@rule(otherwise=get("sgd"))
def _projected(p, g, m: Low, v: Low, *, t, lr=0.1, beta=0.9):
    """Moments of a projection; a column's length and a mean of all are taken among them."""
    r = g[..., :3, :].cos().cumsum(-1)
    m = beta * m + (1 - beta) * r
    v = beta * v + (1 - beta**t) * r**2
    u = m / (v.sqrt() + 1e-3) * r.norm(dim=-2, keepdim=True)
    return p - lr * (p.flip(-2) + u.amax((-2, -1), keepdim=True) + (u @ u.mT).sum((-2, -1), keepdim=True)), m, v


@rule(otherwise=get("sgd"))
def _old_and_new(p, g, m: Low, last: Low, *, t, lr=0.1):
    """The old state is asked for after the new one is there."""
    r = (g[..., :3, :] + 1).tanh().cumsum(-1)
    new = 0.5 * m + r
    length = (new @ new.mT).cumsum(-1)
    return p - lr * (length @ m).sum(-2, keepdim=True), new, m


@rule(otherwise=get("sgd"))
def _seen_before(p, g, m: Low, *, t, lr=0.1):
    """A view of the old state is taken before there is a new one, and used after."""
    view = m.flip(-1).mT
    r = g[..., :3, :].cumsum(-1) + view.mT
    return p - lr * (m @ view).sum((-2, -1), keepdim=True), 0.5 * m + r


ISLANDS = [(text, torch.float32) for text in (_projected, _old_and_new, _seen_before)]


@pytest.mark.parametrize(
    ("text", "dtype"),
    [*ISLANDS, (_projected, torch.float64), (_projected, torch.bfloat16)],
    ids=lambda each: getattr(each, "name", str(each)),
)
def test_islands_give_what_the_text_gives(text: Rule, dtype):
    generator = torch.Generator().manual_seed(0)
    shapes = ((5, 7), (5, 7), (4, 2), (2, 5, 7), (3, 3))
    pair = Pair(text, [torch.randn(shape, generator=generator).to(dtype) for shape in shapes])
    for _ in range(3):
        pair.step([torch.randn(shape, generator=generator).to(dtype) for shape in shapes])
        assert None not in forms(pair.by_kernel)
        for actual, expected in pair.results():
            assert_near(actual, expected, {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2}[dtype])
        pair.meet()


@pytest.mark.parametrize("name", ["galore", "apollo_adamw", "soap"])
@pytest.mark.parametrize("shape", [(12, 20), (20, 12)], ids=str)
def test_moments_of_a_projection_are_one_call_and_need_no_copy(name, shape):
    text = get(name)
    values = {**text.defaults, **({"rank": 3} if "rank" in text.hypers else {})}
    text = chosen(text, decision(text)((2, *values.values(), *text.numbers.values())))
    count = 2 + len(text.states)
    sizes = (("rank", 3),) if "rank" in text.hypers else (("max_precondition_dim", 2048),)
    made = form(text, Kind((torch.float32,) * count, shape, sizes))
    assert made is not None
    calls = [step.call for step in made.program.steps if isinstance(step, Apply)]
    assert not [step for step in made.program.steps if isinstance(step, Copy)]
    assert any(call.writes for call in calls)
    assert not {"mul", "add", "pow", "truediv", "sqrt"} & {call.title for call in calls}


def test_an_island_takes_a_stack_as_it_takes_one():
    calls = [step.call for step in _form(_projected).program.steps if isinstance(step, Apply)]
    found = next(each for call in calls for each in _islands(call))
    given = [torch.randn(2, 3, 7, dtype=torch.float64).abs() for _ in found.land.given]
    numbers = [0.7] * (len(found.land.plan.hypers) + found.land.timed)
    alone = [found(*(x[k].clone() for x in given), *numbers) for k in range(2)]
    for k, both in enumerate(found(*(x.clone() for x in given), *numbers)):
        torch.testing.assert_close(both, torch.stack([each[k] for each in alone]), rtol=0, atol=0)


def _form(text: Rule):
    made = form(text, Kind((torch.float64,) * (2 + len(text.states)), (5, 7)))
    assert made is not None
    return made


def _islands(call):
    if isinstance(call.function, Island):
        yield call.function
    for arg in call.args:
        if hasattr(arg, "function"):
            yield from _islands(arg)
