"""The learning-rate range test: what it suggests, what it refuses, and that it leaves everything as it was."""

from __future__ import annotations

import io
import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn
from torch.utils.data import Dataset

import fallline
from fallline.errors import InputError
from fallline.problems import Problem, derive, generator, load
from fallline.rules import get
from fallline.study import lr_range
from fallline.study.range_test.curve import Follower, read
from fallline.training import Trial, train

RATES = tuple(np.geomspace(1e-5, 10, 300).tolist())


def valley(rate: float, lowest: float = 0.1) -> float:
    """A loss that falls from 2 to 0.5 at `lowest` and rises again, steepest in between."""
    away = math.log10(rate / lowest)
    return 2 - 1.5 * math.exp(-(away**2)) if away < 0 else 0.5 + 3 * away**2


def swept(loss: Any, *, noise: float = 0.0, ends: int | None = None) -> Any:
    """A stand-in for the sweep: the loss as a function of the rate, and of the seed."""

    def sweep(
        problem: Any, rule: Any, settings: Any, rates: Sequence[float], seeds: Sequence[int], on_step: Any
    ) -> None:
        for index, seed in enumerate(seeds):
            rng = np.random.default_rng(seed)
            for number, rate in enumerate(rates):
                if number == ends and index == len(seeds) - 1:
                    raise KeyboardInterrupt
                if on_step(index, number, loss(rate) + noise * rng.normal()):
                    break

    return sweep


class Steps(nn.Module):
    """A network that remembers in buffers, draws random numbers, and has a mode."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


@pytest.fixture
def problem() -> Problem:
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    return Problem(Steps, train=(x, (x[:, 0] > 0).long()), epochs=2, name="half-space")


@pytest.mark.parametrize("density", [60, 300, 900])
def test_the_rates_of_a_known_curve_are_found_however_dense_the_sweep(density: int) -> None:
    rates = np.geomspace(1e-5, 10, density).tolist()
    follower = Follower(rates)
    for rate in rates:
        if follower.add(valley(rate)):
            break
    found = read(0, rates, follower)
    assert found.minimum is not None
    # the average of the last 0.6 decades comes late, by less than that
    assert 0 < math.log10(found.minimum / 0.1) < 0.6
    assert 0 < math.log10(found.steepest / (0.1 * 10 ** -math.sqrt(0.5))) < 0.7
    assert found.diverges > found.minimum
    assert len(found.losses) < len(rates)
    assert not found.at_end


def test_smoothing_is_the_average_with_its_start_corrected() -> None:
    follower = Follower(RATES)
    losses = np.random.default_rng(0).normal(2, 0.1, 100)
    for loss in losses:
        follower.add(float(loss))
    beta = math.exp(-6 / 299 / 0.6)
    weights = beta ** np.arange(99, -1, -1.0)
    assert follower.smoothed[-1] == pytest.approx(weights @ losses / weights.sum())
    assert follower.smoothed[0] == pytest.approx(losses[0])


def test_a_negative_loss_is_no_reason_to_end() -> None:
    follower = Follower(RATES)
    assert not any(follower.add(-1 - k / 100 + 0.05 * (k % 2)) for k in range(200))
    assert follower.add(math.nan)
    assert follower.add(50.0) or follower.add(500.0)


def test_the_suggestion_is_a_tenth_of_the_lowest_with_an_interval_over_seeds(problem: Problem) -> None:
    found = lr_range(problem, "sgd", seeds=5, progress=False, _sweep=swept(valley, noise=0.05))
    lowest = [each.minimum for each in found.sweeps]
    assert found.suggestion.mean == pytest.approx(math.exp(np.mean(np.log(lowest))) / 10)
    assert found.suggestion.low < found.suggestion.mean < found.suggestion.high
    assert found.suggestion.n == 5
    assert [each.seed for each in found.sweeps] == [0, 1, 2, 3, 4]
    assert "Begin with lr = " in found.advice
    # seeds that agree to the grid are no certainty
    agreed = lr_range(problem, "sgd", seeds=5, progress=False, _sweep=swept(valley))
    assert agreed.suggestion.low < agreed.suggestion.mean < agreed.suggestion.high
    single = lr_range(problem, "sgd", seeds=1, progress=False, _sweep=swept(valley))
    assert not single.suggestion.has_interval
    assert any("One seed gives no interval" in note for note in single.notes)


def test_where_nothing_is_learned_nothing_is_suggested(problem: Problem, tmp_path: Path) -> None:
    found = lr_range(problem, "sgd", seeds=2, progress=False, _sweep=swept(lambda rate: 0.7, noise=0.1))
    assert found.suggestion is None
    assert found.advice.startswith("No suggestion")
    assert "No suggestion" in found.report(tmp_path / "page.html").read_text()
    found.plot(tmp_path / "figure.png")


def test_a_loss_that_still_falls_at_the_end_is_told(problem: Problem) -> None:
    found = lr_range(problem, "sgd", high=0.05, progress=False, _sweep=swept(valley))
    assert any("still falling at the largest rate" in note for note in found.notes)
    assert found.diverges is None


def test_ctrl_c_keeps_what_was_swept(problem: Problem) -> None:
    found = lr_range(problem, "sgd", seeds=3, progress=False, _sweep=swept(valley, ends=20))
    assert not found.complete
    assert [len(each.losses) for each in found.sweeps][-1] == 20
    assert found.sweeps[-1].minimum is None
    assert found.suggestion.n == 2
    assert any("Interrupted: 3 of 3" in note for note in found.notes)
    nothing = lr_range(problem, "sgd", seeds=1, progress=False, _sweep=swept(valley, ends=0))
    assert nothing.sweeps == ()
    assert "interrupted" in nothing.advice
    with pytest.raises(InputError, match="nothing to draw"):
        nothing.plot()


@pytest.mark.parametrize("rule", ["sgd", "adamw", "lion", "powersign", "adagrad", "nadam"])
def test_real_sweeps_of_any_rule(problem: Problem, rule: str) -> None:
    found = lr_range(problem, rule, seeds=2, steps=60, progress=False)
    assert found.complete
    assert found.rates[0] == pytest.approx(get(rule).space["lr"].low / 10)
    assert found.rates[-1] == pytest.approx(get(rule).space["lr"].high * 10)
    first, second = found.sweeps
    assert first.losses != second.losses
    assert lr_range(problem, rule, seeds=2, steps=60, progress=False) == found
    # a seed's sweep is its own, whichever others it is made with
    alone = lr_range(problem, rule, seeds=1, steps=60, seed=1, progress=False).sweeps[0]
    assert alone.seed == second.seed
    assert alone.losses[:15] == pytest.approx(second.losses[:15], rel=2e-3)


def test_a_sweep_is_training_with_a_rate_that_grows(problem: Problem) -> None:
    """Written out with `torch.optim`, from the same weights and in the same order."""
    plain = Problem(lambda: nn.Linear(3, 2), train=(problem.train.x, problem.train.y), name="linear")
    found = lr_range(plain, "sgd", seeds=1, low=1e-3, high=1e-1, steps=20, progress=False)
    model = plain.build(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    losses = []
    orders = [generator(derive(0, "order", epoch)) for epoch in range(1, 8)]
    batches = [batch for order in orders for batch in plain.train.batches(32, torch.device("cpu"), order)]
    for rate, (x, y) in zip(np.geomspace(1e-3, 1e-1, 20), batches, strict=False):
        optimizer.param_groups[0]["lr"] = float(rate)
        optimizer.zero_grad()
        loss = plain.loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert found.sweeps[0].losses == pytest.approx(losses, rel=1e-5)


class Counted(Dataset):
    """Map-style data that says in which order it was asked."""

    def __init__(self) -> None:
        self.x = torch.randn(80, 3, generator=torch.Generator().manual_seed(0))
        self.asked: list[int] = []

    def __len__(self) -> int:
        return 80

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        self.asked.append(int(index))
        return self.x[index], int(self.x[index, 0] > 0)


@pytest.mark.parametrize("interrupted", [False, True])
def test_everything_is_left_as_it_was(interrupted: bool) -> None:
    """Weights, buffers, mode, gradients and hooks of a model that was given as it is; data; random state."""
    model = Steps()
    model(torch.randn(8, 3)).sum().backward()
    model.layers[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    gradients = [p.grad.clone() for p in model.parameters()]
    modes = [module.training for module in model.modules()]
    data = Counted()
    problem = Problem(model, train=data, valid=data, test=data, name="given")
    x = data.x.clone()
    torch.manual_seed(3), np.random.seed(3), random.seed(3)  # noqa: NPY002
    state = torch.get_rng_state().clone()
    if interrupted:

        def stop(module: nn.Module, inputs: Any) -> None:
            if module.layers[1].num_batches_tracked > 10:
                raise KeyboardInterrupt

        hook = model.register_forward_pre_hook(stop)
    found = lr_range(problem, "adam", seeds=2, steps=30, progress=False)
    assert found.complete is not interrupted
    if interrupted:
        hook.remove()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(data.x, x)
    drawn = torch.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002
    torch.manual_seed(3), np.random.seed(3), random.seed(3)  # noqa: NPY002
    assert drawn == (torch.rand(1).item(), np.random.rand(), random.random())  # noqa: NPY002
    data.asked.clear()
    orders = []
    for _ in range(2):
        list(problem.train.batches(16, torch.device("cpu"), torch.Generator().manual_seed(5)))
        orders.append(data.asked[:])
        data.asked.clear()
    assert orders[0] == orders[1]


def test_a_model_that_fails_on_broken_weights_has_diverged(problem: Problem) -> None:
    class Strict(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if not bool(torch.isfinite(self.weight).all()):
                raise ValueError("weights are not finite")
            return super().forward(x) * 1e3

    strict = Problem(lambda: Strict(3, 2), train=(problem.train.x, problem.train.y), name="strict")
    found = lr_range(strict, "sgd", seeds=2, steps=40, low=1e-3, high=1e30, progress=False)
    assert found.complete
    assert all(len(each.losses) < 40 for each in found.sweeps)


@fallline.rule
def without_lr(p: Any, g: Any, *, t: int, rate: float = 0.1) -> Any:
    """No learning rate by that name."""
    return p - rate * g


BAD = [
    ({"rule": "adamm"}, "unknown rule 'adamm'.*adam"),
    ({"rule": without_lr}, "'without_lr' has no learning rate `lr`.*rate"),
    ({"rule": "rprop"}, "'rprop' uses lr to start its step sizes alone"),
    ({"problem": "digit"}, "unknown problem 'digit'.*digits"),
    ({"problem": 3}, "problem must be a fallline.Problem"),
    ({"low": 0}, "low=0 is not allowed"),
    ({"low": -1e-3}, "low=-0.001 is not allowed"),
    ({"high": math.inf}, "high=inf is not allowed"),
    ({"high": "much"}, "high='much' is not allowed"),
    ({"low": 1.0, "high": 0.1}, "high must be at least ten times low"),
    ({"low": 1.0, "high": 5.0}, "low=1 and high=5 are not allowed"),
    ({"steps": 5}, "steps=5 is not allowed; allowed are whole numbers from 20 up"),
    ({"steps": 20.5}, "steps=20.5"),
    ({"seeds": 0}, "seeds=0 is not allowed"),
    ({"seed": -1}, "seed=-1 is not allowed"),
    ({"settings": {"lr": 0.1}}, "lr=0.1 is not allowed among the settings"),
    ({"settings": {"beta1": 1.5}}, "beta1=1.5 is not allowed for adamw"),
    ({"settings": {"beta3": 0.5}}, "unknown hyper-parameter of adamw 'beta3'"),
]


@pytest.mark.parametrize(("wrong", "message"), BAD)
def test_bad_input_is_told_before_any_training(problem: Problem, wrong: dict[str, Any], message: str) -> None:
    def never(*_: Any, **__: Any) -> None:
        pytest.fail("trained")

    with pytest.raises(InputError, match=message):
        lr_range(**{"problem": problem, "progress": False, "_sweep": never, **wrong})


def test_the_page_the_table_the_figure_and_the_json(problem: Problem, tmp_path: Path) -> None:
    found = lr_range(
        problem, "adamw", seeds=3, settings={"beta1": 0.5}, progress=False, _sweep=swept(valley, noise=0.05)
    )
    page = found.report(tmp_path / "lr-range.html").read_text()
    rate = float(f"{found.suggestion.mean:.2g}")
    assert f"fallline.optim.AdamW(model.parameters(), lr={rate!r}, beta1=0.5)" in page
    assert "http-equiv" in page
    assert 'src="http' not in page
    told = json.loads(found.to_json(), parse_constant=lambda name: pytest.fail(name))
    assert told["suggestion"]["mean"] == found.suggestion.mean
    assert [each["seed"] for each in told["sweeps"]] == [0, 1, 2]
    assert told["settings"]["beta1"] == 0.5
    console = Console(width=120, file=io.StringIO())
    console.print(found.table())
    assert "learning-rate range test" in console.file.getvalue()  # type: ignore[attr-defined]
    for suffix in (".png", ".svg", ".pdf"):
        found.plot(tmp_path / f"figure{suffix}")
        assert (tmp_path / f"figure{suffix}").stat().st_size > 1000
    with pytest.raises(InputError, match=r"must end in \.png"):
        found.plot(tmp_path / "figure.bmp")


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["sgd", "momentum", "adam", "adamw", "rmsprop"])
def test_the_suggestion_trains_digits_nearly_as_well_as_the_best_rate(rule: str) -> None:
    """Within two points of test accuracy of the best of nine rates across the search range, over three fresh seeds."""
    digits = load("digits")
    suggested = lr_range(digits, rule, progress=False).suggestion.mean
    space = get(rule).space["lr"]
    rates = [suggested, *np.geomspace(space.low, space.high, 9).tolist()]
    trials = [Trial(get(rule), {"lr": rate}, seed, "tuned") for rate in rates for seed in (11, 12, 13)]
    scores: dict[float, list[float]] = {rate: [] for rate in rates}
    for ended in train(digits, trials):
        for index, outcome in ended if isinstance(ended, list) else [ended]:
            scores[trials[index].settings["lr"]].append(outcome.test_metric)
    means = {rate: np.mean(values) for rate, values in scores.items()}
    assert means[suggested] > max(means.values()) - 0.02
