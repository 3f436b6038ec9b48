"""How modifiers compose: with any rule and with each other, in which order, and what they refuse."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated

import pytest
import torch

from fallline import InputError, RuleError, modifier, optim
from fallline.rules import MODIFIERS, REGISTRY, Modifier, carried, get, initial, rule, trace
from fallline.rules.composition import SETTINGS, STAGES, placed


@pytest.fixture
def forgotten():
    """Modifiers and settings as they were before the test."""
    before = dict(MODIFIERS), dict(SETTINGS)
    yield
    for registry, kept in zip((MODIFIERS, SETTINGS), before, strict=True):
        registry.clear()
        registry.update(kept)


@pytest.mark.parametrize("name", sorted(MODIFIERS))
def test_every_modifier_has_a_stage_a_sentence_and_a_graph(name):
    made = MODIFIERS[name]
    assert made.stage in STAGES
    assert made.summary.endswith(".")
    assert made.paper or name in ("l1", "l2", "ascend", "accumulate")
    composed = made(get("adam"))
    trace(composed)
    assert composed.name == f"{name}(adam)"
    assert composed.summary == f"{get('adam').summary} {made.summary}"
    assert made.text in composed.parts
    with pytest.raises(RuleError, match=rf"{name}\({name}\(adam\)\): the rule already has"):
        made(composed)


@pytest.fixture
def rows_first():
    """A rule that steps matrices against the mean of each row, and all else by Adam."""

    @rule(otherwise=get("adam"), flat=True)
    def rows_first(p, g, v, *, t, lr=0.1):
        v = v + g**2
        return p - lr * g.mean(-1, keepdim=True) / (1 + v), v

    yield rows_first
    REGISTRY.pop("rows_first")


@pytest.mark.parametrize("name", sorted(MODIFIERS))
def test_a_modifier_of_a_rule_for_matrices_modifies_the_rest_too(name, rows_first):
    composed = MODIFIERS[name](rows_first)
    for shape, inner in [((3,), get("adam")), ((3, 4), rows_first), ((2, 3, 2, 2), rows_first)]:
        stepped = composed.of_shape(shape)
        assert (stepped.modifier, stepped.inner) == (MODIFIERS[name], inner)


def test_units_are_looked_at_in_groups_for_elements_too(rows_first):
    composed = MODIFIERS["agc"](rows_first)
    rest = composed.of_shape((3, 4), elementwise=True)
    assert rest.inner is get("adam")
    assert rest.of_shape((3, 4), elementwise=True) is rest
    assert rest.of_shape((3,)) is not rest


def test_modifiers_stand_in_the_order_of_stages_whatever_order_they_are_given_in():
    p = torch.ones(2, requires_grad=True)
    settings = {"ema": 0.9, "accumulate": 2, "l2": 0.1, "noise": 0.1, "clip_norm": 1.0, "cautious": True, "sign": True}
    expected = "accumulate(ema(clip_norm(noise(l2(sign(decoupled(cautious(adam))))))))"
    for given in (settings, dict(reversed(settings.items()))):
        optimizer = optim.AdamW([p], **given)
        assert optimizer.rule_of(optimizer.param_groups[0])[0].name == expected


def test_a_rules_own_order_of_modifiers_is_kept():
    composed = get("decoupled(clip_norm(adam))")
    assert placed(composed, MODIFIERS["ema"]).name == "ema(decoupled(clip_norm(adam)))"
    assert placed(composed, MODIFIERS["cautious"]).name == "decoupled(clip_norm(cautious(adam)))"


def test_a_modifier_may_carry_numbers_of_its_own(forgotten):
    """A norm's running mean as a number, beside a rule that carries one too."""

    @modifier
    def calmed(step, p, g, seen: Annotated[float, initial(0.0)], mean: Annotated[float, carried(1.0)], *state, **hyper):
        mean = 0.5 * mean + 0.5 * g.norm()
        p, *state = step(p, g / mean, *state, **hyper)
        return p, seen + g, mean, *state

    composed = calmed(get("nadam"))
    assert composed.numbers == {"mu_product": 1.0, "mean": 1.0}
    assert composed.states == ("m", "v", "seen")
    p, q = (torch.ones(4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    ours, theirs = optim.optimizer(composed, [p]), optim.NAdam([q])
    mean = 1.0
    for step in range(4):
        g = torch.full((4,), step + 1.0, dtype=torch.float64)
        mean = 0.5 * mean + 0.5 * float(g.norm())
        p.grad, q.grad = g, g / mean
        ours.step()
        theirs.step()
        torch.testing.assert_close(p, q)
        assert math.isclose(ours.state[p]["mean"], mean)
    assert ours.state[p]["seen"].tolist() == [10.0] * 4


def test_a_modifier_of_ones_own_is_a_setting_of_every_class(forgotten):
    @modifier(stage="step", setting="shorter")
    def shortened(step, p, g, *state, shorter_by: float = 2.0, **hyper):
        """Shorter steps."""
        new, *state = step(p, g, *state, **hyper)
        return p + (new - p) / shorter_by, *state

    p = torch.zeros(1, requires_grad=True)
    p.grad = torch.ones(1)
    optim.SGD([p], lr=1.0, shorter=4.0).step()
    assert p.item() == -0.25
    assert get("shortened(sgd)").summary.endswith("Shorter steps.")


def test_what_does_not_fit_says_so(forgotten):
    rateless = replace(get("sgd"), name="rateless", hypers={})

    with pytest.raises(RuleError, match=r"decoupled\(rateless\): the rule has no lr, which the modifier reads"):
        MODIFIERS["decoupled"](rateless)
    with pytest.raises(RuleError, match=r"asam\(sam\(sgd\)\): the rule already has the modifier sam"):
        get("asam(sam(sgd))")
    with pytest.raises(RuleError, match="has the stage 'last'; the stages are moments, step"):
        modifier(stage="last")(lambda step, p, g, *state, **hyper: step(p, g, *state, **hyper))
    with pytest.raises(InputError, match="the name 'ema' is taken by a built-in modifier"):

        @modifier
        def ema(step, p, g, *state, **hyper):
            return step(p, g, *state, **hyper)

    assert isinstance(MODIFIERS["ema"], Modifier)
