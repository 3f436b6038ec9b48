"""AMSGrad's maximum: of the second moment of every rule that has one, and refused for all others."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
import torch

from fallline import RuleError, optim
from fallline.rules import REGISTRY, amsgrad, at_least, get, rule
from fallline.rules.rule import is_built_in
from fallline.rules.storage import Storage
from tests.kernels.executors import text_alone

BUILT_IN = sorted(rule.name for rule in REGISTRY.values() if is_built_in(rule))
SIZES = [1.0, 3.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001]
"""Of the gradients: moments grow first, and fall later."""
SHAPE = (6, 4)
"""Of a matrix none of whose moments of another shape has this one by chance."""
READ_LATER = {"adopt", "soap"}
"""Rules whose step is made with the second moment before it, or with one in another basis."""


def walk(name):
    """A matrix after every step, and its states, by the rule's text."""
    generator = torch.Generator().manual_seed(0)
    p = torch.randn(SHAPE, generator=generator, dtype=torch.float64).requires_grad_()
    optimizer = optim.optimizer(name, [p])
    for size in SIZES:
        p.grad = size * torch.randn(SHAPE, generator=generator, dtype=torch.float64)
        with text_alone():
            optimizer.step()
        yield p.detach().clone(), {n: s.clone() for n, s in optimizer.state[p].items() if isinstance(s, torch.Tensor)}


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_maximum_is_of_a_second_moment_or_there_is_none(name):
    try:
        modified = amsgrad(get(name))
    except RuleError as error:
        has_it = "already has" in str(error)
        assert has_it == any(state.endswith("_max") for state in get(name).states)
        if not has_it and name not in READ_LATER:
            assert_there_is_none(name, str(error))
        return
    (largest,) = set(modified.states) - set(get(name).states)
    moment = largest.removesuffix("_max")
    running, grows = torch.zeros(SHAPE, dtype=torch.float64), True
    walked = list(walk(modified.name))
    for _, states in walked:
        assert (states[moment] >= 0).all()
        running = torch.maximum(running, states[moment])
        assert torch.equal(states[largest], running)
        grows = grows and torch.equal(running, states[moment])
    # the step is made with the maximum: it is another one as soon as the moment has fallen
    assert torch.equal(walked[-1][0], list(walk(name))[-1][0]) == grows


def assert_there_is_none(name, message):
    assert f"amsgrad({name}): the rule has no second moment to take the maximum of" in message
    assert "a state v, s, n or nu in the parameter's shape that is never negative" in message
    walked = [states for _, states in walk(name)]
    for state in {"v", "s", "n", "nu"} & walked[-1].keys():
        assert walked[-1][state].shape != SHAPE or any((states[state] < 0).any() for states in walked)


def test_a_second_moment_by_another_name():
    """Adan's is `n`, beside an average `v` of the gradient's change; the paper's formulas with a maximum of `n`."""
    modified = amsgrad(get("adan"))
    p = torch.ones(6, dtype=torch.float64)
    states = [torch.zeros(6, dtype=torch.float64) for _ in modified.states]
    expected, m, v, n, largest, before = p, *states
    generator = torch.Generator().manual_seed(0)
    for t, size in enumerate(SIZES, 1):
        g = size * torch.randn(6, generator=generator, dtype=torch.float64)
        p, *states = modified(p, g, *states, t=t, lr=0.1)
        change = g - before if t > 1 else torch.zeros_like(g)
        m, v, before = 0.98 * m + 0.02 * g, 0.92 * v + 0.08 * change, g
        n = 0.99 * n + 0.01 * (g + 0.92 * change) ** 2
        largest = torch.maximum(largest, n)
        u = m / (1 - 0.98**t) + 0.92 * v / (1 - 0.92**t)
        expected = expected - 0.1 * u / ((largest / (1 - 0.99**t)).sqrt() + 1e-8)
        torch.testing.assert_close(p, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("settings", [{"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}])
def test_a_velocity_is_refused_before_work_starts(settings):
    with pytest.raises(RuleError, match="has no second moment to take the maximum of"):
        optim.SGD([torch.ones(2, requires_grad=True)], amsgrad=True, **settings)


@pytest.fixture
def own():
    """Rules of a user's own, whose texts do not show what `v` is, or that it is no second moment."""

    @rule
    def said(p, g, v: Annotated[Any, at_least(0)], *, t, lr=0.1):
        v = v + (g - v) * g
        return p - lr * g / (1 + v), v

    @rule
    def not_said(p, g, v, *, t, lr=0.1):
        v = v + (g - v) * g
        return p - lr * g / (1 + v), v

    yield said, not_said
    for name in ("said", "not_said"):
        REGISTRY.pop(name)


def test_a_rule_of_ones_own_says_that_its_moment_is_never_negative(own):
    said, not_said = own
    assert amsgrad(said).states == ("v", "v_max")
    with pytest.raises(RuleError, match=r"amsgrad\(not_said\): the rule has no second moment"):
        amsgrad(not_said)


def test_a_modifier_that_keeps_the_moment_back_is_refused():
    """Around a rule that steps once in several gradients the maximum would be of what no step is made with."""
    with pytest.raises(RuleError, match="whose new value the step is made with"):
        get("amsgrad(accumulate(adam))")
    assert get("accumulate(amsgrad(adam))").states == ("m", "v", "v_max", "g_sum")


def test_the_maximum_of_what_is_kept_whole_is_kept_whole():
    """A root of `v_max - g_avg**2` is of nothing negative only while neither is rounded."""
    kept = get("state_8bit(amsgrad(rmsprop_centered_momentum))").storage
    assert kept == {"b": Storage.CODES}
