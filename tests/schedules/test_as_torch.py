"""Schedules that PyTorch has too: the same rates over whole runs, to 1e-12 of the base rate."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler as torchs

from fallline.schedules import Scheduler, follow, parse

BASE, STEPS, EPOCH = 0.3, 400, 40
TRIANGLES = {"base_lr": 0.03, "max_lr": BASE, "step_size_up": 30, "cycle_momentum": False}

TWINS = {
    "constant": lambda o: torchs.ConstantLR(o, 1.0),
    "constant(factor=0.5)": lambda o: torchs.ConstantLR(o, 0.5, STEPS),
    "step(7)": lambda o: torchs.StepLR(o, 7),
    "step(3 epochs, 0.3)": lambda o: torchs.StepLR(o, 3 * EPOCH, 0.3),
    "multi_step(10, 100, 250, factor=0.3)": lambda o: torchs.MultiStepLR(o, [10, 100, 250], 0.3),
    "multi_step(12.5%, 2 epochs, 61%)": lambda o: torchs.MultiStepLR(o, [50, 80, 244]),
    "exponential(1, 0.99)": lambda o: torchs.ExponentialLR(o, 0.99),
    "polynomial(power=3)": lambda o: torchs.PolynomialLR(o, STEPS, 3.0),
    "linear": lambda o: torchs.LinearLR(o, 1.0, 0.0, STEPS),
    "linear(100, start=0.2, end=0.7)": lambda o: torchs.LinearLR(o, 0.2, 0.7, 100),
    "warmup(20)": lambda o: torchs.LinearLR(o, 1 / 20, 1.0, 20),
    "warmup(5%, start=0.3)": lambda o: torchs.LinearLR(o, 0.3, 1.0, 20),
    "cosine": lambda o: torchs.CosineAnnealingLR(o, STEPS),
    "cosine(end=0.01)": lambda o: torchs.CosineAnnealingLR(o, STEPS, 0.01 * BASE),
    "restarts(50)": lambda o: torchs.CosineAnnealingWarmRestarts(o, 50),
    "restarts(13, mult=2, end=0.02)": lambda o: torchs.CosineAnnealingWarmRestarts(o, 13, 2, 0.02 * BASE),
    "triangular(30)": lambda o: torchs.CyclicLR(o, **TRIANGLES),
    "triangular2(30)": lambda o: torchs.CyclicLR(o, **TRIANGLES, mode="triangular2"),
    "exp_range(30, every=1, factor=0.995)": lambda o: torchs.CyclicLR(o, **TRIANGLES, mode="exp_range", gamma=0.995),
    "one_cycle": lambda o: torchs.OneCycleLR(o, BASE, STEPS),
    "one_cycle(20%, div=10, final_div=100, low=0.8, high=0.9)": lambda o: torchs.OneCycleLR(
        o, BASE, STEPS, pct_start=0.2, div_factor=10, final_div_factor=100, base_momentum=0.8, max_momentum=0.9
    ),
    "warmup(20) > cosine": lambda o: torchs.SequentialLR(
        o, [torchs.LinearLR(o, 1 / 20, 1.0, 20), torchs.CosineAnnealingLR(o, 380)], [20]
    ),
    "warmup(10%) > constant(50%) > linear": lambda o: torchs.SequentialLR(
        o,
        [torchs.LinearLR(o, 1 / 40, 1.0, 40), torchs.ConstantLR(o, 1.0), torchs.LinearLR(o, 1.0, 0.0, 160)],
        [40, 240],
    ),
    "cosine * exponential(1, 0.999)": lambda o: torchs.ChainedScheduler(
        [torchs.CosineAnnealingLR(o, STEPS), torchs.ExponentialLR(o, 0.999)]
    ),
}


def optimizer(kind: str = "sgd", **settings: float) -> torch.optim.Optimizer:
    p = torch.nn.Parameter(torch.ones(2))
    if kind == "adam":
        return torch.optim.AdamW([p], lr=BASE, **settings)
    return torch.optim.SGD([p], lr=BASE, momentum=0.9, **settings)


def run(optimizer: torch.optim.Optimizer, scheduler: object, steps: int = STEPS) -> np.ndarray:
    """Rate, momentum (or beta1) and weight decay in every update of a run."""
    rows = []
    for _ in range(steps):
        group = optimizer.param_groups[0]
        momentum = group["betas"][0] if "betas" in group else group["momentum"]
        rows.append([float(value) for value in (group["lr"], momentum, group["weight_decay"])])
        optimizer.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's own sequence steps its schedulers in a way that it warns of
            scheduler.step()
    return np.array(rows)


@pytest.mark.parametrize("kind", ["sgd", "adam"])
@pytest.mark.parametrize("text", TWINS)
def test_a_whole_run_is_that_of_the_scheduler_of_pytorch(text, kind):
    mine, its = optimizer(kind), optimizer(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twin = TWINS[text](its)
    expected = run(its, twin)
    found = run(mine, Scheduler(mine, text, steps=STEPS, epoch=EPOCH))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * BASE)


@pytest.mark.parametrize("text", TWINS)
def test_a_followed_run_has_the_rates_of_the_scheduler(text):
    given = optimizer()
    expected = run(given, Scheduler(given, text, steps=STEPS, epoch=EPOCH))[:, 0]
    follower = follow(parse(text), examples=4 * EPOCH - 1, batch_size=4, epochs=STEPS // EPOCH)
    assert follower.steps == STEPS
    np.testing.assert_array_equal([BASE * follower.factors(step)["lr"] for step in range(STEPS)], expected)


PLATEAUS = pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("plateau", {}),
        ("plateau(factor=0.5, patience=2, threshold=0.01)", {"factor": 0.5, "patience": 2, "threshold": 0.01}),
        (
            "plateau(factor=0.5, patience=1, cooldown=3, end=0.1)",
            {"factor": 0.5, "patience": 1, "cooldown": 3, "min_lr": 0.1 * BASE},
        ),
    ],
)
LOSSES = (np.random.default_rng(0).standard_normal(40) * 0.05 + 1 / np.arange(1, 41)).tolist()


@PLATEAUS
def test_a_plateau_is_found_where_pytorch_finds_it(text, settings):
    given = optimizer()
    twin = torchs.ReduceLROnPlateau(given, **settings)
    follower = follow(parse(text), examples=5, batch_size=1, epochs=40)
    for epoch, loss in enumerate(LOSSES):
        for step in range(5 * epoch, 5 * epoch + 5):
            assert BASE * follower.factors(step)["lr"] == pytest.approx(given.param_groups[0]["lr"], abs=1e-12)
        follower.observe(epoch, loss)
        twin.step(loss)
    assert given.param_groups[0]["lr"] < BASE


@PLATEAUS
def test_a_plateau_in_a_loop_of_ones_own_is_pytorchs(text, settings):
    mine, its = optimizer(), optimizer()
    scheduler, twin = Scheduler(mine, text, steps=200), torchs.ReduceLROnPlateau(its, **settings)
    for loss in LOSSES:
        for _ in range(5):
            assert mine.param_groups[0]["lr"] == pytest.approx(its.param_groups[0]["lr"], abs=1e-12)
            mine.step()
            scheduler.step()
        scheduler.observe(loss)
        twin.step(loss)
        assert scheduler.get_last_lr() == [mine.param_groups[0]["lr"]]
    assert mine.param_groups[0]["lr"] < BASE
