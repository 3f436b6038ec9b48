"""How far a rule sees: what decides whether it can be stepped in pieces."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
import torch

from fallline.kernels.reach import Reach, reach
from fallline.rules import columns, numel, rule, shaped, total, when, where
from fallline.rules.ops import normal


def _sees(update):
    """A rule whose step is `update` of the gradient."""

    @rule(name="_step")
    def step(p, g, *, t, lr=0.1):
        return p - lr * update(g, t)

    return reach(step)


@pytest.mark.parametrize(
    ("update", "furthest", "operation"),
    [
        (lambda g, t: g * (1 - 0.9**t), Reach.ELEMENT, ""),
        (lambda g, t: where(g.abs() > 1, g.sign(), torch.tanh(g)), Reach.ELEMENT, ""),
        (lambda g, t: torch.erf(g).sigmoid() + torch.atan2(g, g + 1), Reach.ELEMENT, ""),
        (lambda g, t: when(t % 2 == 0, g, g * 2), Reach.ELEMENT, ""),
        (lambda g, t: g / (1 + total(g * g)), Reach.ELEMENT, ""),
        (lambda g, t: g / g.norm(), Reach.SCALARS, "norm"),
        (lambda g, t: g / torch.linalg.vector_norm(g), Reach.SCALARS, "vector_norm"),
        (lambda g, t: g / numel(g), Reach.SCALARS, "numel"),
        (lambda g, t: g + normal(g, t), Reach.SCALARS, "normal"),
        (lambda g, t: g / columns(g), Reach.SIDES, "columns"),
        (lambda g, t: g - g.mean(-1, keepdim=True), Reach.WHOLE, "mean"),
        (lambda g, t: g / g.max(-1, keepdim=True).values, Reach.WHOLE, "max"),
        (lambda g, t: g @ g.mT @ g / g.norm(), Reach.WHOLE, "getattr"),
        (lambda g, t: torch.cumsum(g, -1), Reach.WHOLE, "cumsum"),
    ],
    ids=[
        *("number", "choice", "torch_function", "when", "total", "norm", "vector_norm", "numel", "draw", "columns"),
        *("mean_of_rows", "max_of_rows", "product", "cumsum"),
    ],
)
def test_the_furthest_operation_is_found(update, furthest, operation):
    seen, name = _sees(update)
    assert seen is furthest
    assert name == operation


def test_a_state_of_another_shape_makes_a_rule_one_of_whole_tensors():
    @rule
    def _by_rows(p, g, r: Annotated[Any, shaped("rows", 1)], *, t, lr=0.1):
        return p - lr * g / (r + 1), r * 0.9

    assert reach(_by_rows) == (Reach.WHOLE, "a state of another shape")
