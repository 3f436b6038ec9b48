"""`Scheduler` as one of `torch.optim.lr_scheduler`: states, groups, chains."""

from __future__ import annotations

import io
import re
import warnings

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler as torchs

from fallline import InputError, optim
from fallline.schedules import Scheduler

from .test_as_torch import BASE, STEPS, optimizer, run

EVERYTHING = "warmup(5%) > cosine; weight_decay: linear; momentum: constant(factor=0.9)"


@pytest.mark.parametrize("text", [EVERYTHING, "one_cycle", "warmup(10%) > plateau(patience=1)"])
def test_a_run_goes_on_from_a_saved_state_with_the_same_numbers(text):
    whole, part, rest = (optimizer(weight_decay=0.1) for _ in range(3))
    expected = run(whole, Scheduler(whole, text, steps=STEPS))
    first = Scheduler(part, text, steps=STEPS)
    found = run(part, first, 150)
    file = io.BytesIO()
    torch.save([part.state_dict(), first.state_dict()], file)
    file.seek(0)
    states = torch.load(file, weights_only=True)
    second = Scheduler(rest, "constant", steps=7)
    rest.load_state_dict(states[0])
    second.load_state_dict(states[1])
    assert str(second.schedules) == text
    found = np.concatenate([found, run(rest, second, STEPS - 150)])
    np.testing.assert_array_equal(found, expected)


def test_it_is_chained_with_schedulers_of_pytorch_in_any_order():
    def product(make):
        given = optimizer()
        return run(given, torchs.ChainedScheduler(make(given)))[:, 0]

    mine = lambda o: Scheduler(o, "warmup(10) > cosine", steps=STEPS)  # noqa: E731
    its = lambda o: torchs.ExponentialLR(o, 0.99)  # noqa: E731
    alone = optimizer()
    expected = run(alone, mine(alone))[:, 0] * 0.99 ** np.arange(STEPS)
    for make in (lambda o: [mine(o), its(o)], lambda o: [its(o), mine(o)]):
        np.testing.assert_allclose(product(make), expected, rtol=1e-11)


def test_two_of_them_multiply():
    given = optimizer()
    first, second = Scheduler(given, "warmup(10)", steps=STEPS), Scheduler(given, "cosine", steps=STEPS)
    found = run(given, torchs.ChainedScheduler([first, second]))[:, 0]
    ramp, fall = np.minimum(1, 0.1 + 0.9 * np.arange(STEPS) / 10), (1 + np.cos(np.pi * np.arange(STEPS) / STEPS)) / 2
    np.testing.assert_allclose(found, BASE * ramp * fall, rtol=1e-11)


@pytest.mark.parametrize("first", [True, False])
def test_it_takes_its_turn_in_a_sequence(first):
    def make(o, mine):
        ramp = Scheduler(o, "warmup(20)", steps=20) if mine and first else torchs.LinearLR(o, 1 / 20, 1.0, 20)
        fall = torchs.CosineAnnealingLR(o, 380) if first or not mine else Scheduler(o, "cosine", steps=380)
        return torchs.SequentialLR(o, [ramp, fall], [20])

    given, its = optimizer(), optimizer()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schedulers = make(given, True), make(its, False)
    np.testing.assert_allclose(run(given, schedulers[0]), run(its, schedulers[1]), rtol=0, atol=1e-12)


def test_groups_keep_their_own_base():
    p, q = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    given = optim.SGD([{"params": [p]}, {"params": [q], "lr": 0.01}], lr=0.1, momentum=0.9)
    scheduler = Scheduler(given, "linear", steps=4)
    for step in range(4):
        assert scheduler.get_last_lr() == pytest.approx([0.1 * (1 - step / 4), 0.01 * (1 - step / 4)])
        p.grad, q.grad = torch.ones(2), torch.ones(2)
        given.step()
        scheduler.step()


def test_what_was_observed_is_kept_in_its_state():
    text, losses = "plateau(factor=0.5, patience=0)", [1.0, 1.0, 0.5, 0.6]
    given = optimizer()
    scheduler = Scheduler(given, text, steps=8)
    for loss in losses:
        run(given, scheduler, 2)
        scheduler.observe(loss)
    other = optimizer()
    again = Scheduler(other, "constant", steps=1)
    other.load_state_dict(given.state_dict())
    again.load_state_dict(scheduler.state_dict())
    again.observe(0.6)
    assert (given.param_groups[0]["lr"], other.param_groups[0]["lr"]) == (BASE / 4, BASE / 8)


def test_a_loss_lowers_a_rate_in_a_tensor_in_place():
    rate = torch.tensor(BASE)
    scheduler = Scheduler(torch.optim.Adam([torch.nn.Parameter(torch.ones(2))], lr=rate), "plateau(patience=0)", 10)
    for _ in range(2):
        scheduler.optimizer.step()
        scheduler.step()
        scheduler.observe(1.0)
    assert float(rate) == pytest.approx(BASE / 10)
    (last,) = scheduler.get_last_lr()
    rate.fill_(7.0)
    assert float(last) == pytest.approx(BASE / 10)


def test_a_rate_in_a_tensor_is_changed_in_place():
    rate = torch.tensor(BASE)
    given = torch.optim.Adam([torch.nn.Parameter(torch.ones(2))], lr=rate)
    found = run(given, Scheduler(given, "linear", steps=STEPS))[:, 0]
    np.testing.assert_allclose(found, BASE * (1 - np.arange(STEPS) / STEPS), rtol=1e-6)
    assert given.param_groups[0]["lr"] is rate


def test_a_rate_that_the_user_changes_stays_changed():
    given = optimizer()
    scheduler = Scheduler(given, "linear", steps=STEPS)
    run(given, scheduler, 100)
    given.param_groups[0]["lr"] /= 2
    found = run(given, scheduler, 100)[1:, 0]
    np.testing.assert_allclose(found, BASE / 2 * (1 - np.arange(101, 200) / STEPS), rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "given", "complaint"),
    [
        ("warmup(2 epochs) > cosine", {}, "say how many updates an epoch has (epoch=)"),
        ("cosine", {"steps": 0}, "steps=0 is not allowed"),
        ("cosine", {"steps": 2.5}, "steps=2.5 is not allowed"),
        ("cosine", {"epoch": 0}, "epoch=0 is not allowed"),
        ("batch_growth(50%)", {}, "which is the data loader's"),
        ("momentum: linear", {}, "sets momentum, which the optimizer does not have"),
    ],
)
def test_what_it_cannot_do_is_refused(text, given, complaint):
    rprop = torch.optim.Rprop([torch.nn.Parameter(torch.ones(2))])
    with pytest.raises(InputError, match=re.escape(complaint)):
        Scheduler(rprop, text, **{"steps": 10, **given})
