"""Schedules in a run, and in an optimizer."""

from __future__ import annotations

import json
import re

import pytest
import torch

from fallline import InputError, optim
from fallline.schedules import apply, bases, follow, parse


def follower(text: str | None, examples: int = 100, batch_size: int = 10, epochs: int = 6):
    return follow(None if text is None else parse(text), examples=examples, batch_size=batch_size, epochs=epochs)


def test_without_a_schedule_nothing_changes():
    run = follower(None, examples=95)
    assert run.steps == 60
    assert run.factors(17) == {}
    assert [run.batch_size(epoch) for epoch in range(8)] == [10] * 8
    assert [run.first_step(epoch) for epoch in range(8)] == [10 * epoch for epoch in range(8)]


@pytest.mark.parametrize(
    "text", ["warmup(5%) > plateau(patience=1, factor=0.5)", "batch_growth(2 epochs); momentum: linear"]
)
def test_it_goes_on_from_its_state_as_json_has_it(text):
    run, resumed = follower(text), follower(text)
    for epoch in range(4):
        run.observe(epoch, 1.0)
    resumed.load(json.loads(json.dumps(run.state())))
    assert [resumed.factors(step) for step in range(run.steps)] == [run.factors(step) for step in range(run.steps)]


def test_what_was_seen_changes_nothing_before_it_was_seen():
    run = follower("plateau(patience=0, factor=0.5)")
    before = [run.factors(step) for step in range(20)]
    for epoch in range(6):
        run.observe(epoch, 1.0)
    assert [run.factors(step) for step in range(20)] == before
    assert run.factors(20)["lr"] == 0.5


def test_a_batch_grows_at_the_end_of_the_epoch_in_which_a_milestone_lies():
    run = follower("batch_size: multi_step(1.5 epochs, factor=3)")
    assert [run.batch_size(epoch) for epoch in range(6)] == [10, 10, 30, 30, 30, 30]
    assert [run.first_step(epoch) for epoch in range(7)] == [0, 10, 20, 24, 28, 32, 36]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("warmup(500) > cosine", "its stages take 500 of the run's 60 updates"),
        ("cosine(80%) > linear(30%)", "its stages take 66 of the run's 60 updates, more than there are"),
        ("batch_growth(50%, factor=20)", "grow from 10 to 200 examples, more than the 100 that there are"),
        ("momentum: linear(end=1.5)", "it multiplies momentum by"),
    ],
)
def test_what_does_not_fit_into_the_run_is_refused(text, complaint):
    with pytest.raises(InputError, match=re.escape(complaint)):
        follower(text)


@pytest.mark.parametrize("make", [torch.optim.AdamW, optim.AdamW])
def test_every_group_gets_its_own_base_times_the_factor(make):
    p, q = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    optimizer = make([{"params": [p]}, {"params": [q], "lr": 0.5, "betas": (0.8, 0.99)}], lr=0.1, weight_decay=0.2)
    base = bases(optimizer)
    for factor in (0.5, 0.25):
        apply(optimizer, {"lr": factor, "momentum": factor, "weight_decay": factor}, base)
    first, second = optimizer.param_groups
    assert (first["lr"], first["betas"], first["weight_decay"]) == (0.025, (0.225, 0.999), 0.05)
    assert (second["lr"], second["betas"], second["weight_decay"]) == (0.125, (0.2, 0.99), 0.05)


def test_a_quantity_that_the_optimizer_lacks_is_left_out():
    optimizer = torch.optim.Rprop([torch.nn.Parameter(torch.ones(2))], lr=0.1)
    apply(optimizer, {"lr": 0.5, "weight_decay": 0.5, "momentum": 0.5}, bases(optimizer))
    assert optimizer.param_groups[0]["lr"] == 0.05
