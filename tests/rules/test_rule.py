"""What a person who writes a rule or a modifier relies on."""

from __future__ import annotations

import math
from typing import Annotated

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import fallline
from fallline import InputError, RuleError, optim
from fallline.kernels import cost, equation
from fallline.rules import REGISTRY, Range, amsgrad, decoupled, get, l1, l2, rule, trace


@pytest.fixture
def registry():
    """A registry that forgets the test's rules."""
    before = dict(REGISTRY)
    yield REGISTRY
    REGISTRY.clear()
    REGISTRY.update(before)


@pytest.fixture
def halving(registry):
    @rule(paper="A test, equation 1")
    def halving(p, g, m, *, t, lr=0.1, beta=0.5):
        """A step by half of what was."""
        m = beta * m + g
        return p - lr * m / t, m

    return halving


def test_a_rule_is_its_text(halving):
    p, g, m = torch.ones(3), torch.full((3,), 2.0), torch.ones(3)
    new_p, new_m = halving(p, g, m, t=2)
    assert torch.equal(new_m, torch.full((3,), 2.5))
    assert torch.equal(new_p, 1 - 0.1 * new_m / 2)


def test_a_rule_of_ones_own_is_a_class_a_kernel_and_a_sheet_without_another_line(halving):
    p = torch.ones(4, requires_grad=True)
    optimizer = optim.Halving([p], lr=0.2)
    p.grad = torch.ones(4)
    optimizer.step()
    torch.testing.assert_close(p.detach(), torch.full((4,), 0.8))
    assert get("halving") is halving
    assert cost(halving).bytes_per_parameter == 20
    assert equation(halving, "text") == ["m_t = β · m_{t-1} + g_t", "θ_t = θ_{t-1} - η · m_t / t"]


def test_hyper_parameters_without_an_annotation_mean_what_the_field_means(halving):
    assert halving.space["lr"] == Range(0.001, 10.0, "log")
    assert halving.space["beta"].scale == "one_minus_log"
    with pytest.raises(InputError, match=r"beta=1 is not allowed for halving; allowed: from 0 to 1, 1 excluded"):
        halving.check({"beta": 1.0})


def test_annotations_say_what_is_allowed_and_searched(registry):
    @rule
    def bounded(p, g, *, t, lr: Annotated[float, fallline.rules.between(0, 2), fallline.rules.linear(0.5, 1.5)] = 1.0):
        return p - lr * g

    assert bounded.space["lr"].sample(0.5) == 1.0
    with pytest.raises(InputError, match="lr=3 is not allowed for bounded; allowed: from 0 to 2"):
        bounded.check({"lr": 3})


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(InputError, match=r"unknown rule 'adamm'. Did you mean adam"):
        get("adamm")
    with pytest.raises(InputError, match=r"unknown hyper-parameter of adam 'beta_1'. Did you mean beta1"):
        get("adam").check({"beta_1": 0.9})


def test_a_built_in_name_cannot_be_taken(registry):
    with pytest.raises(InputError, match="'adam' is taken by a built-in rule"):

        @rule(name="adam")
        def mine(p, g, *, t, lr=0.1):
            return p - lr * g


def test_a_rule_may_be_defined_again(registry):
    for scale in (1.0, 2.0):

        @rule
        def again(p, g, *, t, lr=scale):
            return p - lr * g

    assert get("again").defaults == {"lr": 2.0}


@pytest.mark.parametrize("scale", ["log", "linear", "one_minus_log"])
@given(u=st.floats(0, 1))
def test_ranges_place_what_they_draw(scale, u):
    drawn = Range(0.1, 0.9, scale)
    assert math.isclose(drawn.position(drawn.sample(u)), u, abs_tol=1e-9)
    assert 0.1 - 1e-12 <= drawn.sample(u) <= 0.9 + 1e-12


def test_decay_rates_are_drawn_evenly_in_the_log_of_one_minus_the_rate():
    assert math.isclose(Range(0.9, 0.999, "one_minus_log").sample(0.5), 0.99)


def _branching(p, g, *, t, lr=0.1):
    if g.mean() > 0:
        return p - lr * g
    return p


def _with_math(p, g, *, t, lr=0.1):
    return p - math.sqrt(lr) * g


def _too_few(p, g, m, *, t, lr=0.1):
    return p - lr * g


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (_branching, r"test_rule.py, line \d+: `if g.mean\(\) > 0:`: it branches or loops on a value; select with"),
        (
            _with_math,
            r"test_rule.py, line \d+: `return p - math.sqrt\(lr\) \* g`: a function there takes Python numbers",
        ),
        (_too_few, r"returns 1 values; it must return p, m, in this order"),
    ],
)
def test_a_rule_that_cannot_be_traced_says_which_line_and_why(registry, function, message):
    broken = rule(function)
    with pytest.raises(RuleError, match=message):
        trace(broken)
    with pytest.raises(RuleError, match=message):
        optim.optimizer(broken, [torch.ones(2, requires_grad=True)])


def _no_gradient(p, x, *, t, lr=0.1):
    return p


def _no_default(p, g, *, t, lr):
    return p - lr * g


def _starred(p, g, *states, t, lr=0.1):
    return p - lr * g


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (_no_gradient, "must take the parameter `p` and its gradient `g` first"),
        (_no_default, "hyper-parameter 'lr' of rule '_no_default' needs a number as its default"),
        (_starred, r"must name every argument; it has \*states"),
    ],
)
def test_a_signature_that_is_no_rules_is_refused(function, message):
    with pytest.raises(RuleError, match=message):
        rule(function)


def test_modifiers_compose_into_one_rule():
    both = l1(l2(get("adam")))
    assert both.hypers.keys() == {"lr", "beta1", "beta2", "eps", "l2", "l1"}
    assert cost(both) == cost(get("adam"))
    p, g = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 0.5])
    zeros = torch.zeros(2)
    penalized = both(p, g, zeros, zeros, t=1, **{**both.defaults, "l2": 0.1, "l1": 0.01})
    plain = get("adam")(p, g + 0.1 * p + 0.01 * p.sign(), zeros, zeros, t=1)
    torch.testing.assert_close(penalized, plain)


def test_a_modifier_gives_the_same_rule_every_time():
    assert decoupled(get("lion")) is decoupled(get("lion"))


def test_modifiers_that_do_not_fit_say_so():
    with pytest.raises(RuleError, match="the rule already has weight_decay"):
        decoupled(get("adamw"))
    with pytest.raises(RuleError, match="the rule has no second moment to take the maximum of"):
        amsgrad(get("lion"))


def test_amsgrads_maximum_composes_with_any_second_moment():
    """amsgrad(rmsprop) against rmsprop written out with a running maximum."""
    modified = amsgrad(get("rmsprop"))
    p = v = v_max = torch.zeros(5, dtype=torch.float64)
    expected, square, largest = p, v, v_max
    torch.manual_seed(0)
    for t in range(1, 20):
        g = torch.randn(5, dtype=torch.float64) / t
        p, v, v_max = modified(p, g, v, v_max, t=t)
        square = 0.99 * square + 0.01 * g * g
        largest = torch.maximum(largest, square)
        expected = expected - 0.01 * g / (largest.sqrt() + 1e-8)
        torch.testing.assert_close((p, v, v_max), (expected, square, largest))


def test_rules_can_be_pickled_by_name():
    import pickle

    assert pickle.loads(pickle.dumps(get("adam"))) is get("adam")


def _in_place(p, g, *, t, lr=0.1):
    p.add_(g, alpha=-lr)
    return p


def _number_as_state(p, g, m, *, t, lr=0.1):
    return p - lr * g, lr * t


def _torch_on_a_number(p, g, *, t, lr=0.1):
    return p - torch.sqrt(lr * t) * g


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (_in_place, r"`p.add_\(g, alpha=-lr\)`: `add_` changes a tensor in place; write"),
        (_number_as_state, "returns a number as m, which must be a tensor"),
        (_torch_on_a_number, "applies `sqrt` of tensors to a number"),
    ],
)
def test_what_would_be_misread_is_refused_with_a_reason(registry, function, message):
    with pytest.raises(RuleError, match=message):
        trace(rule(function))


def _no_star(p, g, lr=0.1):
    return p - lr * g


def _no_t(p, g, *, lr=0.1):
    return p - lr * g


def _reserved(p, g, step, *, t, lr=0.1):
    return p - lr * g, step


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (_no_star, r"write `\*,` before 'lr'"),
        (_no_t, "must take `t`, the step counted from 1, by keyword"),
        (_reserved, "cannot use the name 'step'"),
    ],
)
def test_a_slip_in_the_signature_is_named(function, message):
    with pytest.raises(RuleError, match=message):
        rule(function)


def test_one_unreadable_annotation_does_not_hide_the_others(registry):
    scope = {"rule": rule, "Annotated": Annotated, "initial": fallline.rules.initial, "__name__": "somewhere"}
    text = "def shy(p: Tensor, g: Tensor, m: Annotated[float, initial(5.0)], *, t, lr=0.1):\n    return p - lr * m, m\n"
    exec("from __future__ import annotations\n" + text, scope)
    assert rule(scope["shy"]).starts == {"m": 5.0}


def test_a_range_alone_keeps_the_interval_that_the_name_implies(registry):
    @rule
    def ranged(p, g, *, t, lr: Annotated[float, fallline.rules.log(1e-3, 1)] = 0.1):
        return p - lr * g

    assert ranged.space["lr"] == Range(1e-3, 1, "log")
    with pytest.raises(InputError, match="lr=-3 is not allowed"):
        ranged.check({"lr": -3})


def test_a_modifiers_own_state_starts_where_it_says(registry):
    @fallline.modifier
    def averaged(step, p, g, w: Annotated[float, fallline.rules.initial(7.0)], *state, **hyper):
        p, *state = step(p, g, *state, **hyper)
        return p, 0.5 * (w + p), *state

    modified = averaged(get("momentum"))
    assert modified.states == ("v", "w")
    p = torch.zeros(2, requires_grad=True)
    optimizer = optim.optimizer(modified, [p], lr=1.0)
    p.grad = torch.ones(2)
    optimizer.step()
    assert optimizer.state[p]["w"].tolist() == [3.0, 3.0]
    with pytest.raises(RuleError, match="the rule already has w"):
        averaged(modified)


def test_rules_are_read_under_a_profiler(registry):
    import cProfile

    @rule
    def profiled(p, g, *, t, lr=0.1):
        return p - lr * g

    profile = cProfile.Profile()
    profile.enable()
    try:
        trace(profiled)
    finally:
        profile.disable()
