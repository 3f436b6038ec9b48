"""Trials of a stack step as each of them would alone."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pytest
import torch

from fallline import optim
from fallline.kernels import stacked
from fallline.kernels.stacked import StackedStepper
from fallline.rules import REGISTRY, carried, get, maximum, rule, when

from .executors import assert_near

SHAPES = [(6, 4), (5,), (4, 6), (6, 4), (), (0, 3)]
SQUARE = [(5, 5), (5,), (3, 3), (5, 5), (), (0, 3)]
BASES = {"shampoo", "soap", "galore"}
"""Rules that look for a basis, of which a gradient with more rows than columns leaves a part to chance."""


def draws(trials, shapes=SHAPES, seed=0):
    """Parameters with a leading trial axis."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(trials, *shape, generator=generator) for shape in shapes]


def alone(own, parameters, gradients, settings):
    """What each trial comes to by an optimizer of its own."""
    ends = []
    for k, values in enumerate(settings):
        params = [p[k].clone().requires_grad_() for p in parameters]
        optimizer = optim.optimizer(own, params, **values)
        for step in gradients:
            for p, g in zip(params, step, strict=True):
                p.grad = g[k].clone()
            optimizer.step()
        ends.append([p.detach() for p in params])
    return ends


def assert_same(parameters, ends, within=1e-4):
    for k, end in enumerate(ends):
        for p, q in zip(parameters, end, strict=True):
            assert_near(p[k], q, within)


@pytest.mark.parametrize("executor", ["kernels", "text"])
@pytest.mark.parametrize("name", [*sorted(REGISTRY), "ema(clip_norm(adamw))", "clip_tensor_norm(nadam)"])
def test_every_rule_steps_trials_as_it_steps_them_alone(name, executor, monkeypatch):
    own, shapes = get(name), SQUARE if name in BASES else SHAPES
    parameters = draws(3, shapes)
    if own.climb is not None:
        pytest.skip("it takes a second gradient")
    if executor == "text":
        monkeypatch.setattr(stacked, "form", lambda *_: None)
    settings = [{"lr": own.defaults["lr"] * scale} for scale in (1.0, 0.5, 2.0)]
    gradients = [draws(3, shapes, seed=step + 1) for step in range(3)]
    ends = alone(own, parameters, gradients, settings)
    stepper = StackedStepper(own, parameters, settings)
    for step in gradients:
        stepper.step(step)
    assert (None in stepper.tables.values()) == (executor == "text")
    assert_same(parameters, ends, 2e-3 if own.shapes else 1e-4)


def _rarely(p, g, m, *, t, lr=0.1, every=2):
    m = 0.5 * m + g
    return p - lr * when(t % every == 0, m, 0 * g), m


def _turning(p, g, m, *, t, lr=0.1, every=2):
    m = 0.5 * m + g
    return p - lr * when(t % every == 0, torch.flip(m, (-1,)), m), m


def _carrying(p, g, d: Annotated[float, carried(0.5)], *, t, lr=0.1):
    return p - lr * d * g, maximum(d, g.norm() / (1 + p.norm()))


@pytest.mark.parametrize("function", [_rarely, _turning])
def test_trials_may_choose_otherwise(function):
    own, parameters = rule(function), draws(4, [(6, 4), (5,)])
    settings = [{"every": every} for every in (1, 2, 2, 3)]
    gradients = [draws(4, [(6, 4), (5,)], seed=step + 1) for step in range(6)]
    ends = alone(own, parameters, gradients, settings)
    stepper = StackedStepper(own, parameters, settings)
    for step in gradients:
        stepper.step(step)
    assert_same(parameters, ends)


@pytest.mark.parametrize("executor", ["kernels", "text"])
def test_numbers_that_tensors_carry_are_each_tensors_of_each_trial(executor, monkeypatch):
    if executor == "text":
        monkeypatch.setattr(stacked, "form", lambda *_: None)
    own, parameters = rule(_carrying), draws(3)
    settings = [{"lr": lr} for lr in (0.1, 0.2, 0.3)]
    gradients = [draws(3, seed=step + 1) for step in range(4)]
    ends = alone(own, parameters, gradients, settings)
    stepper = StackedStepper(own, parameters, settings)
    for step in gradients:
        stepper.step(step)
    assert stepper.rows.shape == (len(SHAPES), 3, 3)
    assert_same(parameters, ends)


@pytest.mark.parametrize("name", ["nadam", "prodigy", "clip_norm(lamb)", "adafactor", "muon"])
def test_those_that_stay_do_not_notice_who_leaves(name):
    own, parameters = get(name), draws(4)
    settings = [{"lr": own.defaults["lr"] * (k + 1)} for k in range(4)]
    gradients = [draws(4, seed=step + 1) for step in range(5)]
    stay = [0, 3]
    expected = alone(own, [p[stay] for p in parameters], [[g[stay] for g in step] for step in gradients], settings[::3])
    stepper = StackedStepper(own, parameters, settings)
    for step in gradients[:2]:
        stepper.step(step)
    parameters = [p[stay].clone() for p in parameters]
    stepper.keep(stay, parameters)
    for step in gradients[2:]:
        stepper.step([g[stay] for g in step])
    assert_same(parameters, expected)


@pytest.mark.parametrize("name", ["nadam", "prodigy", "adafactor"])
def test_rows_and_states_are_all_that_a_stack_keeps(name):
    """Handed to another stepper they go on to the same bits: this is what a checkpoint holds."""
    own, parameters = get(name), draws(2)
    settings = [{}, {"lr": 2 * own.defaults["lr"]}]
    gradients = [draws(2, seed=step + 1) for step in range(4)]
    first = StackedStepper(own, parameters, settings)
    for step in gradients[:2]:
        first.step(step)
    copies = [p.clone() for p in parameters]
    second = StackedStepper(own, copies, settings)
    second.rows[:] = first.rows
    for mine, theirs in zip(second.states, first.states, strict=True):
        for state, value in theirs.items():
            mine[state].copy_(value)
    for step in gradients[2:]:
        first.step(step)
        second.step(step)
    assert all(torch.equal(p, q) for p, q in zip(parameters, copies, strict=True))
    assert np.array_equal(first.rows, second.rows)


def test_a_setting_given_to_all_reaches_all():
    parameters = draws(2, [(3,)])
    before = [p.clone() for p in parameters]
    stepper = StackedStepper(get("sgd"), parameters, [{"lr": 1.0}, {"lr": 2.0}])
    stepper.set("lr", 0.5)
    stepper.step([torch.ones_like(p) for p in parameters])
    torch.testing.assert_close(parameters, [p - 0.5 for p in before])
