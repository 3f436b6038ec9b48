"""Modifiers as settings of optimizer classes: in groups, in checkpoints, and told what is wrong with them."""

from __future__ import annotations

import copy
import io

import pytest
import pytorch_optimizer
import torch

from fallline import InputError, optim
from fallline.errors import FalllineError, RuleError
from fallline.rules import REGISTRY, get
from fallline.rules.composition import SETTINGS, chain
from fallline.rules.rule import is_built_in
from tests.kernels.executors import text_alone


def small_model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1)).double()


def train(model, optimizer, steps, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        x = torch.randn(8, 3, generator=generator, dtype=torch.float64)

        def closure(x=x):
            optimizer.zero_grad()
            loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
            loss.backward()
            return loss

        optimizer.step(closure)


def values(model):
    return [p.detach().clone() for p in model.parameters()]


EVERYTHING = {
    "clip_norm": 0.5, "ema": 0.9, "lookahead": 2, "cautious": True, "l2": 0.01, "independent_decay": 1e-3,
    "noise": 1e-3, "accumulate": 2, "sam": 0.05, "agc": 0.1, "centralize": True, "amsgrad": True,
}  # fmt: skip
BUILT_IN = sorted(rule.name for rule in REGISTRY.values() if is_built_in(rule))
ALL_AT_ONCE = EVERYTHING | {
    "clip_value": 1.0, "clip_tensor_norm": 1.0, "l1": 1e-3, "sign": True, "nesterov": 0.5, "state_8bit": True,
    "stochastic_rounding": True, "kahan_sum": True,
}  # fmt: skip
INSTEAD = {"asam": "sam", "state_bfloat16": "state_8bit"}
"""Settings of modifiers that do not go with another."""
OF_SOME = {"amsgrad", "state_8bit"}
"""Those for rules with a second moment, and with states that may be rounded."""


@pytest.mark.parametrize("cls", ["AdamW", "AdamUncorrected"])
def test_settings_are_the_composed_rule(cls):
    """A twin's class and one made from its rule, each against the rule composed by hand."""
    one, two = small_model(), small_model()
    settings = {"clip_norm": 0.5, "ema": 0.9, "l2": 0.01, "lookahead": 3}
    optimizer = getattr(optim, cls)(one.parameters(), lr=0.01, weight_decay=0.1, **settings)
    base = "adamw" if cls == "AdamW" else "decoupled(adam_uncorrected)"
    composed = optim.optimizer(
        f"ema(lookahead(clip_norm(l2({base}))))", two.parameters(), lr=0.01, weight_decay=0.1, l2=0.01,
        max_norm=0.5, lookahead_steps=3, ema_decay=0.9,
    )  # fmt: skip
    train(one, optimizer, 5)
    train(two, composed, 5)
    assert all(torch.equal(a, b) for a, b in zip(values(one), values(two), strict=True))
    for p, q in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(optimizer.state[p]["average"], composed.state[q]["average"])


def test_a_setting_of_nothing_leaves_the_modifier_out():
    one, two = small_model(), small_model()
    train(one, optim.Lion(one.parameters()), 3)
    train(two, optim.Lion(two.parameters(), clip_norm=0.0, ema=None, cautious=False, accumulate=0, l2=0), 3)
    assert all(torch.equal(a, b) for a, b in zip(values(one), values(two), strict=True))


def test_true_stands_for_the_modifiers_default():
    p = torch.zeros(4, requires_grad=True)
    p.grad = torch.full((4,), 10.0)
    optim.SGD([p], lr=1.0, clip_norm=True).step()
    torch.testing.assert_close(p.detach(), torch.full((4,), -0.5))


def test_groups_differ_and_a_scheduler_may_change_them():
    p, q = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer = optim.SGD([{"params": [p], "clip_value": 2.0}, {"params": [q]}], lr=1.0, clip_value=0.5)

    def step():
        p.grad, q.grad = torch.tensor([10.0]), torch.tensor([10.0])
        optimizer.step()
        return p.item(), q.item()

    assert step() == (-2.0, -0.5)
    optimizer.param_groups[1]["clip_value"] = 1.0
    optimizer.param_groups[0]["clip_value"] = 0
    assert step() == (-12.0, -1.5)
    optimizer.add_param_group({"params": [torch.zeros(1, requires_grad=True)], "ema": 0.5})
    assert [group["clip_value"] for group in optimizer.param_groups] == [0, 1.0, 0.5]


def test_a_modifier_that_is_switched_on_later_gets_its_state():
    model = small_model()
    optimizer = optim.AdamW(model.parameters())
    train(model, optimizer, 2)
    optimizer.param_groups[0]["ema"] = 0.5
    before = values(model)
    train(model, optimizer, 1, seed=1)
    for p, old in zip(model.parameters(), before, strict=True):
        torch.testing.assert_close(optimizer.state[p]["average"], 0.5 * old + 0.5 * p.detach())


@pytest.mark.parametrize("way", ["torch.save", "deepcopy"])
@pytest.mark.parametrize("cls", ["AdamW", "RMSpropInside"])
def test_checkpoints_hold_settings_and_states(cls, way):
    def made():
        model = small_model()
        settings = EVERYTHING | ({"lookahead_rate": 0.3, "ema_debias": 1})
        return model, getattr(optim, cls)(model.parameters(), **settings)

    model, optimizer = made()
    with text_alone():  # which keeps the same states: what all these settings make has many kernels
        train(model, optimizer, 5)
    if way == "deepcopy":
        other, second = copy.deepcopy((model, optimizer))
    else:
        other = small_model()
        second = getattr(optim, cls)(other.parameters())
        file = io.BytesIO()
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
        file.seek(0)
        loaded = torch.load(file, weights_only=True)
        other.load_state_dict(loaded["model"])
        second.load_state_dict(loaded["optimizer"])
    with text_alone():
        train(model, optimizer, 5, seed=1)
        train(other, second, 5, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(values(model), values(other), strict=True))


@pytest.mark.parametrize("cls", ["AdamW", "Lion"])
def test_maximize_with_modifiers_is_minimize_of_the_negative(cls):
    one, two = torch.ones(4, requires_grad=True), torch.ones(4, requires_grad=True)
    settings = {"clip_norm": 0.5, "ema": 0.9, "accumulate": 2, "sam": 0.1}
    up = getattr(optim, cls)([one], maximize=True, **settings)
    down = getattr(optim, cls)([two], **settings)
    for step in range(4):

        def gain(step=step):
            up.zero_grad()
            (one.sin() * (step + 1)).sum().backward()

        def loss(step=step):
            down.zero_grad()
            (-two.sin() * (step + 1)).sum().backward()

        up.step(gain)
        down.step(loss)
    torch.testing.assert_close(one, two)
    assert not torch.equal(one.detach(), torch.ones(4))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: optim.AdamW(p, clip_norm=-1), "clip_norm=-1 is not allowed for AdamW; allowed: at least 0"),
        (lambda p: optim.AdamW(p, ema=1.0), "ema=1 is not allowed for AdamW; allowed: from 0 to 1, 1 excluded"),
        (lambda p: optim.AdamW(p, ema="slow"), "ema='slow' of AdamW is not a number"),
        (lambda p: optim.AdamW(p, lookahead=2.5), "lookahead=2.5 is not allowed for AdamW; allowed: a whole number"),
        (lambda p: optim.AdamW([{"params": p, "clip_norm": -2}]), "clip_norm=-2 is not allowed for AdamW"),
        (lambda p: optim.AdamW(p, max_norm=1.0), "max_norm is not allowed for AdamW: it is the value of clip_norm"),
        (lambda p: optim.AdamW(p, ema_debias=1), "ema_debias is not allowed for AdamW without ema"),
        (lambda p: optim.AdamW(p, clipnorm=1), "unknown argument of AdamW 'clipnorm'. Did you mean clip_norm"),
        (lambda p: optim.optimizer("ema(adamw)", p, ema=0.9), r"ema\(ema\(adamw\)\): the rule already has average"),
        (lambda p: optim.Lion(p, amsgrad=True), r"amsgrad\(lion\): the rule has no second moment"),
        (lambda p: optim.AdamW(p, sam=0.1, asam=0.1), "the rule already has the modifier"),
    ],
)
def test_a_setting_that_is_not_allowed_is_named_before_work_starts(make, message):
    with pytest.raises(FalllineError, match=message) as raised:
        make([torch.ones(1, requires_grad=True)])
    assert isinstance(raised.value, ValueError)


def test_a_group_without_modifiers_has_no_settings_of_theirs():
    """What `print(optimizer)` shows, and what other optimizers are given from a checkpoint."""
    optimizer = optim.AdamW([torch.ones(1, requires_grad=True)])
    assert set(optimizer.param_groups[0]) == {"params", *optim.AdamW.defaults_}


def test_groups_that_sum_different_things_over_all_parameters_are_refused():
    p, q = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    optimizer = optim.DAdaptSGD([{"params": [p], "clip_norm": 1.0}, {"params": [q]}])
    p.grad, q.grad = torch.ones(2), torch.ones(2)
    with pytest.raises(InputError, match=r"clip_norm\(dadapt_sgd\) and by dadapt_sgd cannot be in one optimizer"):
        optimizer.step()
    assert p.tolist() == q.tolist() == [1.0, 1.0]
    optimizer.param_groups[1]["clip_norm"] = 1.0
    optimizer.step()


def test_averages_are_evaluated_and_the_trained_weights_come_back_exactly():
    model = small_model()
    optimizer = optim.AdamW(model.parameters(), lr=0.1, ema=0.9)
    train(model, optimizer, 5)
    trained = values(model)
    averages = [optimizer.state[p]["average"].clone() for p in model.parameters()]
    optimizer.eval()
    assert all(torch.equal(a, b) for a, b in zip(values(model), averages, strict=True))
    optimizer.eval()
    optimizer.train()
    assert all(torch.equal(a, b) for a, b in zip(values(model), trained, strict=True))
    with optimizer.evaluating():
        assert all(torch.equal(a, b) for a, b in zip(values(model), averages, strict=True))
        with optimizer.evaluating():
            pass
        assert all(torch.equal(a, b) for a, b in zip(values(model), averages, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(values(model), trained, strict=True))
    optimizer.train()
    assert "trained" not in optimizer.state[model[0].weight]


def test_training_with_evaluations_is_training_without():
    one, two = small_model(), small_model()
    first, second = (optim.AdamW(m.parameters(), lookahead=3, ema=0.5) for m in (one, two))
    for step in range(4):
        train(one, first, 1, seed=step)
        train(two, second, 1, seed=step)
        with second.evaluating():
            pass
    assert all(torch.equal(a, b) for a, b in zip(values(one), values(two), strict=True))


def test_slow_weights_are_evaluated_and_rules_without_averages_are_evaluated_as_they_are():
    model = small_model()
    optimizer = optim.SGD(model.parameters(), lr=0.1, lookahead=2)
    train(model, optimizer, 3)
    with optimizer.evaluating():
        for p in model.parameters():
            assert torch.equal(p.detach(), optimizer.state[p]["slow"])
    plain = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    train(model, plain, 1)
    before = values(model)
    with plain.evaluating():
        assert all(torch.equal(a, b) for a, b in zip(values(model), before, strict=True))
        assert all("trained" not in state for state in plain.state.values())


def test_a_rule_that_trains_elsewhere_than_it_is_evaluated_is_evaluated_as_by_the_other_library():
    walked = []
    for cls in (optim.ScheduleFreeSGD, pytorch_optimizer.ScheduleFreeSGD):
        p = torch.linspace(-1, 1, 5, dtype=torch.float64).requires_grad_()
        optimizer = cls([p], lr=0.1)
        optimizer.train()
        for step in range(1, 6):
            p.grad = p.detach().cos() * step
            optimizer.step()
        trained = p.detach().clone()
        optimizer.eval()
        evaluated = p.detach().clone()
        optimizer.train()
        walked.append([trained, evaluated, p.detach().clone()])
    torch.testing.assert_close(walked[0], walked[1])
    assert torch.equal(walked[0][0], walked[0][2])


def test_half_types_are_evaluated_at_the_rounded_average():
    p = torch.ones(5, dtype=torch.bfloat16, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.1, ema=0.5)
    p.grad = torch.ones_like(p)
    optimizer.step()
    with optimizer.evaluating():
        assert torch.equal(p.detach(), optimizer.state[p]["average"])


def test_a_step_at_the_weights_to_evaluate_is_refused():
    p = torch.ones(2, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.1)
    p.grad = torch.ones(2)
    optimizer.eval()
    with pytest.raises(InputError, match="SGD cannot step: its parameters hold the weights to evaluate at, call train"):
        optimizer.step()
    called = []
    with pytest.raises(InputError, match="SGD cannot step"):
        optimizer.step(lambda: called.append(True))
    assert not called
    optimizer.train()
    optimizer.step()
    assert p.tolist() != [1.0, 1.0]


def test_a_checkpoint_of_an_evaluated_model_holds_the_trained_weights_too():
    model, other = small_model(), small_model()
    optimizer = optim.AdamW(model.parameters(), lr=0.1, ema=0.9)
    train(model, optimizer, 4)
    with optimizer.evaluating():
        kept = copy.deepcopy({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    second = optim.AdamW(other.parameters(), lr=0.1, ema=0.9)
    other.load_state_dict(kept["model"])
    second.load_state_dict(kept["optimizer"])
    with pytest.raises(InputError, match="call train"):
        train(other, second, 1)
    second.train()
    train(model, optimizer, 2, seed=1)
    train(other, second, 2, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(values(model), values(other), strict=True))


def fitting(name):
    """All settings that the rule's class takes for modifiers, but those that its rule has already, or cannot have."""
    rule, own = get(name), optim.class_of(name).defaults_
    for setting, value in ALL_AT_ONCE.items():
        modifier = SETTINGS[setting]
        if setting in own or modifier in chain(rule):
            continue
        try:
            modifier(rule)
        except RuleError:
            assert setting in OF_SOME
        else:
            yield setting, value


def test_all_modifiers_are_tried():
    built_in = {setting for setting, modifier in SETTINGS.items() if modifier.is_built_in()}
    assert ALL_AT_ONCE.keys() | INSTEAD.keys() | {"weight_decay", "maximize"} == built_in


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_modifier_is_a_setting_of_a_class_of_any_rule(name):
    """All of them at once: a step of the class is one of the rule composed of them."""
    one, two = (small_model()[:1] for _ in range(2))
    settings = dict(fitting(name))
    optimizer = optim.class_of(name)(one.parameters(), **settings)
    composed, given = optimizer.rule_of(optimizer.param_groups[0])
    assert {SETTINGS[setting] for setting in settings} <= set(chain(composed))
    other = optim.optimizer(composed, two.parameters(), **given)
    start = values(one)
    with text_alone():
        train(one, optimizer, ALL_AT_ONCE["accumulate"])
        train(two, other, ALL_AT_ONCE["accumulate"])
    for before, p, q in zip(start, values(one), values(two), strict=True):
        assert torch.equal(p, q)
        assert p.isfinite().all()
        assert not torch.equal(p, before)
