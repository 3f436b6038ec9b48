"""`fallline.optim.LBFGS` in place of `torch.optim.LBFGS`: arguments, numbers, checkpoints."""

from __future__ import annotations

import copy
import inspect

import pytest
import torch

from fallline import optim
from tests.optim.full_batch.functions import CASES, Run, rosenbrock

SEARCHING = {"line_search_fn": "strong_wolfe"}
FIXED = [{"lr": 1e-3}, {"lr": 1e-2, "history_size": 3, "max_iter": 7}]
SEARCHED = [SEARCHING, {**SEARCHING, "history_size": 3, "lr": 0.5, "max_iter": 7}]


def both(name, settings, dtype, seed):
    """The two, and torch's, started at one point near a case's own."""
    case = CASES[name]
    generator = torch.Generator().manual_seed(seed)
    start = torch.tensor(case.start) + 0.5 * torch.randn(len(case.start), generator=generator)
    return [Run(cls, case.function, start.to(dtype), **settings) for cls in (optim.LBFGS, torch.optim.LBFGS)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("settings", FIXED, ids=["long", "short"])
@pytest.mark.parametrize("name", CASES)
def test_without_a_search_every_number_is_the_same(name, settings, dtype):
    for seed in range(2):
        ours, theirs = both(name, settings, dtype, seed)
        for _ in range(3):
            assert ours.step() == theirs.step()
            assert torch.equal(ours.x, theirs.x)
            assert ours.evaluations == theirs.evaluations


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_of_several_tensors_and_forgotten_pairs_every_number_is_the_same(dtype):
    """Of condition 100,000, where single precision has few digits left of the last directions."""
    curvatures = [torch.logspace(-5, 0, 999).view(37, 27), torch.logspace(-2, 0, 5)]
    results = []
    for cls in (optim.LBFGS, torch.optim.LBFGS):
        params = [torch.ones_like(c, dtype=dtype).requires_grad_() for c in curvatures]
        optimizer = cls(params, max_iter=25, history_size=4, tolerance_change=0)

        def closure(params=params, optimizer=optimizer):
            optimizer.zero_grad()
            loss = sum((c * p**2).sum() for p, c in zip(params, curvatures, strict=True))
            loss.backward()
            return loss

        losses = [optimizer.step(closure).item() for _ in range(3)]
        results.append((losses, [p.tolist() for p in params]))
    assert results[0] == results[1]


@pytest.mark.parametrize("settings", SEARCHED, ids=["long", "short"])
@pytest.mark.parametrize("name", CASES)
def test_with_a_search_the_steps_and_evaluations_are_the_same(name, settings):
    for seed in range(3):
        ours, theirs = both(name, settings, torch.float64, seed)
        for _ in range(2):
            torch.testing.assert_close(ours.step(), theirs.step(), rtol=1e-7, atol=1e-12)
            torch.testing.assert_close(ours.x, theirs.x, rtol=1e-6, atol=1e-9)
            assert ours.evaluations == theirs.evaluations


def test_a_network_is_fitted_by_the_same_steps_in_single_precision():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    x = torch.randn(50, 3)
    losses = []
    for cls in (optim.LBFGS, torch.optim.LBFGS):
        trained = copy.deepcopy(model)
        optimizer = cls(trained.parameters(), **SEARCHING)

        def closure(trained=trained, optimizer=optimizer):
            optimizer.zero_grad()
            loss = (trained(x) - x.sin().sum(1, keepdim=True)).square().mean()
            loss.backward()
            return loss

        losses.append([float(optimizer.step(closure).detach()) for _ in range(3)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)
    assert losses[0][-1] < 0.02


@pytest.mark.parametrize("settings", [*FIXED, *SEARCHED], ids=["long", "short", "searched", "searched short"])
def test_a_checkpoint_of_one_is_a_checkpoint_of_the_other(settings, tmp_path):
    ours, theirs = both("rosenbrock10", settings, torch.float64, 0)
    for name, run in (("ours", ours), ("theirs", theirs)):
        run.step()
        torch.save(run.optimizer.state_dict(), tmp_path / name)
    ours.optimizer.load_state_dict(torch.load(tmp_path / "theirs", weights_only=True))
    theirs.optimizer.load_state_dict(torch.load(tmp_path / "ours", weights_only=True))
    for _ in range(2):
        torch.testing.assert_close(ours.step(), theirs.step(), rtol=1e-7, atol=1e-12)
        torch.testing.assert_close(ours.x, theirs.x, rtol=1e-6, atol=1e-9)
    kept = [run.optimizer.state[run.p] for run in (ours, theirs)]
    assert kept[0].keys() | {"al"} == kept[1].keys() | {"al"}  # a scratch list of torch's
    assert kept[0]["n_iter"] == kept[1]["n_iter"]
    assert kept[0]["func_evals"] == kept[1]["func_evals"]


def test_arguments_and_defaults_are_those_of_torch():
    ours, theirs = (inspect.signature(cls.__init__).parameters for cls in (optim.LBFGS, torch.optim.LBFGS))
    assert list(ours) == [*theirs, "stochastic"]
    assert [ours[name].default for name in theirs] == [parameter.default for parameter in theirs.values()]
    assert ours["stochastic"].default is False


def test_complex_parameters_are_stepped_as_pairs():
    start = torch.tensor([1 + 2j, -1 + 0.5j], dtype=torch.complex128)
    target = torch.tensor([0.5j, 2 + 1j], dtype=torch.complex128)
    runs = [
        Run(cls, lambda z: ((z - target).abs() ** 4).sum() + (z[0] * z[1].conj()).abs() ** 2, start, **SEARCHING)
        for cls in (optim.LBFGS, torch.optim.LBFGS)
    ]
    for _ in range(3):
        for run in runs:
            run.step()
        torch.testing.assert_close(runs[0].x, runs[1].x, rtol=1e-7, atol=1e-9)


def test_sparse_gradients_and_missing_ones_are_stepped_as_dense_ones():
    results = []
    for cls in (optim.LBFGS, torch.optim.LBFGS):
        torch.manual_seed(0)
        table, idle = torch.nn.Embedding(4, 2, sparse=True), torch.nn.Parameter(torch.ones(3))
        optimizer = cls([*table.parameters(), idle], lr=0.1)

        def closure(table=table, optimizer=optimizer):
            optimizer.zero_grad()
            loss = (table(torch.tensor([0, 2])) - 1).square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        results.append((table.weight.detach().clone(), idle.detach().clone()))
    torch.testing.assert_close(results[0], results[1])
    assert torch.equal(results[0][1], torch.ones(3))


def test_a_search_goes_around_where_the_loss_is_not_finite():
    def barrier(x):
        return (x - 0.1 * x.log()).sum() + 100 * ((x - 2) ** 2).sum()

    run = Run(optim.LBFGS, barrier, torch.tensor([30.0, 4.0]).double(), lr=50.0, max_iter=40, **SEARCHING)
    run.step()
    assert run.gradient.abs().max() < 1e-4


def test_a_long_way_down_a_narrow_valley_ends_at_the_minimum():
    run = Run(optim.LBFGS, rosenbrock, torch.full((50,), -1.0).double(), max_iter=400, **SEARCHING)
    run.step()
    assert run.gradient.abs().max() < 1e-3
