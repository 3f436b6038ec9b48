"""Soups of checkpoints against their definition."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import update_bn

from fallline import ensembles
from fallline.ensembles import soups
from fallline.ensembles.cook import cook, cook_files
from fallline.errors import InputError
from fallline.training import evaluate


def test_a_uniform_soup_is_the_mean_of_weights_from_models_mappings_and_files(tmp_path):
    torch.manual_seed(0)
    models = [nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)) for _ in range(3)]
    models[0](torch.randn(8, 3))
    save_file(models[1].state_dict(), tmp_path / "a.safetensors")
    torch.save({"model": models[2].state_dict()}, tmp_path / "b.pt")
    soup = soups.uniform([models[0], tmp_path / "a.safetensors", tmp_path / "b.pt"])
    for name, value in soup.weights.items():
        each = [model.state_dict()[name] for model in models]
        if value.is_floating_point():
            torch.testing.assert_close(value, torch.stack(each).mean(0))
            assert value.dtype == each[0].dtype
        else:
            assert torch.equal(value, each[0])
    assert (soup.used, soup.score) == ((0, 1, 2), None)
    model = soup.into(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)))
    assert torch.equal(model[0].weight, soup.weights["0.weight"])


def numbers(*values: float) -> list[dict[str, torch.Tensor]]:
    return [{"w": torch.tensor([value])} for value in values]


@pytest.mark.parametrize(
    ("values", "used"),
    [
        # best is 1.2 (0.2 off); with 0.5 the mean is 0.85, with 2.0 it is worse and 2.0 stays out
        ((0.5, 2.0, 1.2), (2, 0)),
        ((1.0, 1.0, 4.0), (0, 1)),
        ((3.0,), (0,)),
        ((0.0, 2.5), (0, 1)),
    ],
)
@pytest.mark.parametrize("maximize", [True, False])
def test_a_greedy_soup_keeps_what_helps_from_the_best_down(values, used, maximize):
    """The score is the distance to 1."""
    sign = -1 if maximize else 1
    soup = soups.greedy(numbers(*values), lambda w: sign * abs(float(w["w"]) - 1), maximize=maximize)
    assert soup.used == used
    mean = sum(values[k] for k in used) / len(used)
    assert float(soup.weights["w"]) == pytest.approx(mean)
    assert soup.score == pytest.approx(sign * abs(mean - 1), abs=1e-6)
    assert soup.alone == pytest.approx([sign * abs(value - 1) for value in values])


def test_a_greedy_soup_on_validation_data_is_no_worse_there_than_its_best_member(make):
    problem = make(epochs=12)
    made = ensembles.fge(problem, 3, progress=False)
    score = soups.validation(problem)
    soup = soups.greedy(made.members, score, maximize=problem.metric.maximize)
    alone = [evaluate(member, problem, problem.valid).metric for member in made.members]
    assert soup.score >= max(alone)
    model = soup.into(problem.build(0))
    assert evaluate(model, problem, problem.valid).metric == pytest.approx(soup.score)


def test_batch_norms_learn_the_statistics_of_the_soup(make):
    problem = make(lambda: nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)))
    made = ensembles.independent(problem, 2, progress=False)
    weights = soups.uniform(made.members).weights
    ready = soups.ready(problem.build(0), weights, problem)
    expected = soups.Soup(weights, ()).into(problem.build(0))
    update_bn([problem.train.x], expected)
    torch.testing.assert_close(ready[1].running_mean, expected[1].running_mean, rtol=1e-4, atol=1e-5)
    assert torch.equal(ready[0].weight, weights["0.weight"])


def test_checkpoints_of_different_models_are_refused():
    with pytest.raises(InputError, match="at least one checkpoint"):
        soups.uniform([])
    with pytest.raises(InputError, match="checkpoints 0 and 1 are of different models: v"):
        soups.uniform([*numbers(1.0), {"w": torch.ones(1), "v": torch.ones(1)}])
    with pytest.raises(InputError, match="of different models: 0"):
        soups.uniform([nn.Sequential(nn.Linear(2, 3)), nn.Sequential(nn.Linear(4, 3))])


@pytest.mark.parametrize("kind", ["greedy", "uniform"])
def test_a_soup_of_files_is_kept_as_it_was_scored(make, tmp_path, kind):
    problem = make(lambda: nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)), epochs=4)
    made = ensembles.fge(problem, 3, progress=False)
    files = [tmp_path / f"{k}.safetensors" for k in range(3)]
    for file, member in zip(files, made.members, strict=True):
        save_file(member.state_dict(), file)
    cooked = cook_files(files, problem, kind=kind, progress=False)
    expected = cook(made.members, made.names, problem, kind=kind, progress=False)
    assert cooked.score == expected.score
    assert cooked.soup.alone == expected.soup.alone
    assert len(cooked.used) == 3 if kind == "uniform" else cooked.soup.score >= max(cooked.soup.alone)
    model = soups.Soup(cooked.weights, ()).into(problem.build(0)).eval()
    assert evaluate(model, problem, problem.test) == cooked.score


def test_a_soup_needs_checkpoints_of_the_problems_model(make, tmp_path):
    problem = make()
    save_file(problem.build(0).state_dict(), tmp_path / "a.safetensors")
    save_file(nn.Linear(2, 2).state_dict(), tmp_path / "b.safetensors")
    with pytest.raises(InputError, match="two checkpoints or more; 1 was given"):
        cook_files([tmp_path / "a.safetensors"], problem)
    with pytest.raises(InputError, match=r"b\.safetensors"):
        cook_files([tmp_path / "a.safetensors", tmp_path / "b.safetensors"], problem)
    with pytest.raises(InputError, match=r"unknown kind of soup 'greddy'\. Did you mean greedy"):
        cook([problem.build(0)] * 2, ["a", "b"], problem, kind="greddy")
