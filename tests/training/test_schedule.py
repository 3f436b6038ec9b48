"""Trials that follow a schedule: alone and in stacks, as a loop written by hand, interrupted, and measured."""

from __future__ import annotations

import pickle
from itertools import chain

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler as torchs

from fallline import InputError
from fallline.problems import Problem, derive, generator
from fallline.rules import get
from fallline.training import Execution, Outcome, Trial, train
from fallline.training.alone import Alone
from fallline.training.course import Course
from fallline.training.evaluate import evaluate
from fallline.training.stack import Stack
from fallline.training.sweep import sweep

EVERY = "lr: warmup(20%) > cosine; momentum: linear(start=1, end=0.5); weight_decay: linear"
SCHEDULES = [EVERY, "one_cycle", "batch_growth(1 epoch, 2 epochs, factor=2)", "plateau(patience=0, threshold=0.2)"]


def run(problem: Problem, trials: list[Trial], width: int = 1, **given) -> list[Outcome]:
    ended = dict(chain.from_iterable(train(problem, trials, execution=Execution(width=width), **given)))
    return [ended[k] for k in range(len(trials))]


def curve(outcome: Outcome) -> np.ndarray:
    return np.array([[p.epoch, p.step, p.train_loss or 0.0, p.valid_loss, p.valid_metric] for p in outcome.curve])


def by_hand(problem: Problem, trial: Trial, optimizer, scheduler, sizes: list[int]) -> list[list[float]]:
    """Epoch, steps, training and validation loss of an ordinary loop, its scheduler stepped after every update."""
    model = problem.build(trial.seed)
    opt = optimizer(model.parameters(), **trial.settings)
    rates = scheduler(opt)
    rows, steps = [[0.0, 0.0, 0.0, evaluate(model, problem, problem.valid).loss]], 0
    for epoch, size in enumerate(sizes):
        order = torch.randperm(len(problem.train), generator=generator(derive(trial.seed, "order", epoch + 1)))
        total = 0.0
        for batch in order.split(size):
            loss = problem.loss(model(problem.train.x[batch]), problem.train.y[batch])
            opt.zero_grad()
            loss.backward()
            opt.step()
            rates.step()
            total, steps = total + loss.item() * len(batch), steps + 1
        score = evaluate(model, problem, problem.valid)
        rows.append([epoch + 1.0, steps, total / len(order), score.loss])
    return rows


# 83 examples in batches of 10 are 9 updates an epoch, 36 in 4 epochs
LOOPS = {
    "warmup(9) > cosine": lambda o: torchs.SequentialLR(
        o, [torchs.LinearLR(o, 1 / 9, 1.0, 9), torchs.CosineAnnealingLR(o, 27)], [9]
    ),
    "one_cycle": lambda o: torchs.OneCycleLR(o, o.param_groups[0]["lr"], 36),
    "restarts(1 epoch, 2)": lambda o: torchs.CosineAnnealingWarmRestarts(o, 9, 2),
    "step(1 epoch, factor=0.5)": lambda o: torchs.StepLR(o, 9, 0.5),
}


@pytest.mark.filterwarnings("ignore:The epoch parameter")
@pytest.mark.parametrize("rule", ["adamw", "momentum"])
@pytest.mark.parametrize("text", LOOPS)
def test_trials_have_the_numbers_of_a_loop_by_hand_with_the_scheduler_of_pytorch(make, text, rule):
    problem = make(schedule=text)
    optimizer = {"adamw": torch.optim.AdamW, "momentum": torch.optim.SGD}[rule]
    trials = []
    for seed, lr in enumerate([0.03, 0.1]):
        settings = {"lr": lr, "weight_decay": 0.1} if rule == "adamw" else {"lr": lr, "momentum": 0.9}
        trials.append(Trial(get(rule), settings, seed, "search"))
    for outcomes in (run(problem, trials), run(problem, trials, width=2)):
        for trial, outcome in zip(trials, outcomes, strict=True):
            expected = by_hand(problem, trial, optimizer, LOOPS[text], [10] * 4)
            np.testing.assert_allclose(curve(outcome)[:, :4], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("text", SCHEDULES)
def test_a_stacked_trial_has_the_numbers_of_the_same_trial_alone(make, text):
    problem = make(schedule=text, epochs=6)
    settings = [("sgdw", 0.3), ("adamw", 0.003), ("adamw", 0.1), ("lion", 0.001), ("sgd", 0.3)]
    trials = [Trial(get(rule), {"lr": lr}, k % 2, "tuned") for k, (rule, lr) in enumerate(settings)]
    for together, alone in zip(run(problem, trials, len(trials)), run(problem, trials), strict=True):
        np.testing.assert_allclose(curve(together), curve(alone), rtol=5e-4, atol=1e-5)
        assert together.test_loss == pytest.approx(alone.test_loss, rel=5e-4)


def test_a_schedule_matters(make):
    trial = Trial(get("adamw"), {"lr": 0.01}, 0, "search")
    curves = [curve(run(make(schedule=text), [trial])[0]) for text in (None, *SCHEDULES[:3])]
    for k, one in enumerate(curves):
        assert all(not np.array_equal(one, other) for other in curves[:k])


@pytest.mark.parametrize("width", [1, 2])
def test_the_batch_grows_and_the_updates_are_fewer(make, width):
    problem = make(schedule="batch_growth(1 epoch, 2 epochs, factor=2)")
    trials = [Trial(get("sgd"), {"lr": 0.1}, seed, "search") for seed in range(width)]
    for trial, outcome in zip(trials, run(problem, trials, width), strict=True):
        assert [point.step for point in outcome.curve] == [0, 9, 9 + 5, 9 + 5 + 3, 9 + 5 + 3 + 3]
        expected = by_hand(problem, trial, torch.optim.SGD, lambda o: torchs.ConstantLR(o, 1.0), [10, 20, 40, 40])
        np.testing.assert_allclose(curve(outcome)[:, :4], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("crew", [Alone, Stack])
@pytest.mark.parametrize("text", SCHEDULES)
def test_a_trial_that_is_stopped_after_any_step_ends_with_the_same_bits(make, crew, text):
    problem = make(schedule=text)

    def courses() -> list[Course]:
        trials = [Trial(get("adamw"), {"lr": lr}, 0, "search") for lr in (0.01, 0.05)[: 1 + (crew is Stack)]]
        return [Course(k, trial) for k, trial in enumerate(trials)]

    whole = crew(problem, courses())
    whole.begin()
    while whole.epoch < problem.epochs:
        whole.advance(lambda: False)
    pieces = crew(problem, courses())
    pieces.begin()
    while pieces.epoch < problem.epochs:
        going = pieces.courses
        pieces.advance(lambda going=going: going[0].steps % 5 == 0)
        tensors, facts = pieces.state()
        tensors = {name: tensor.clone() for name, tensor in tensors.items()}
        pieces = crew(problem, going)
        pieces.load(tensors, facts)
    for one, other in zip(whole.courses, pieces.courses, strict=True):
        assert [(p.step, p.train_loss, p.valid_loss) for p in one.curve] == [
            (p.step, p.train_loss, p.valid_loss) for p in other.curve
        ]


@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_the_range_test_sets_its_own_rates(make, seeds):
    rates = np.geomspace(1e-3, 1.0, 30).tolist()
    losses = [
        sweep(make(schedule=text), get("momentum"), {"momentum": 0.9}, rates, seeds) for text in (None, *SCHEDULES)
    ]
    assert all(found == losses[0] for found in losses)


def test_a_schedule_is_part_of_what_a_problem_is(make):
    plain, scheduled = make(), make(schedule="warmup(5%) > cosine")
    assert scheduled.fingerprint != plain.fingerprint
    assert scheduled.fingerprint == plain.scheduled(" warmup( 5% )>cosine").fingerprint
    assert scheduled.scheduled(None).fingerprint == plain.fingerprint
    assert make(schedule="cosine").fingerprint != scheduled.fingerprint
    assert plain.schedule is None


def test_a_problem_is_sent_to_another_process_with_its_schedule(make):
    schedule = make(schedule=EVERY).schedule
    assert pickle.loads(pickle.dumps(schedule)) == schedule


def test_what_does_not_fit_is_refused_before_any_training(make):
    with pytest.raises(InputError, match="of the run's 36 updates"):
        make(schedule="warmup(100) > cosine")
    with pytest.raises(InputError, match="Did you mean cosine"):
        make().scheduled("cosin")


def test_a_long_run_that_is_recorded_has_the_numbers_of_the_same_trial_alone(make):
    problem = make(schedule="warmup(10%) > cosine; batch_size: multi_step(50%, factor=2)", batch_size=2, epochs=8)
    trials = [Trial(get("momentum"), {"lr": lr}, 0, "search") for lr in (0.01, 0.03)]
    for together, alone in zip(run(problem, trials, 2), run(problem, trials), strict=True):
        assert [point.step for point in together.curve][3:6] == [3 * 42, 4 * 42, 4 * 42 + 21]
        np.testing.assert_allclose(curve(together), curve(alone), rtol=1e-3, atol=1e-5)
