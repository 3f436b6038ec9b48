"""The same problem with other batches, other labels, other values of keyword arguments."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fallline import models
from fallline.augmentation import Mixup
from fallline.errors import InputError
from fallline.problems import Arrays, Problem, Stream, choice, linear, load, when, whole
from fallline.study.practice import again, kept
from tests.runs.problems import Noisy

X = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


def noisy(x: torch.Tensor, y: torch.Tensor, *, noise: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    return x + noise, y


def model(width: int = 8, dropout: float = 0.0, tanh: bool = False, inner: int | None = None) -> nn.Module:
    between = nn.Tanh() if tanh else nn.ReLU()
    return nn.Sequential(nn.Linear(4, inner or width), between, nn.Dropout(dropout), nn.Linear(inner or width, 2))


@pytest.fixture(scope="module")
def problem() -> Problem:
    return Problem(model, (X, Y), augment=noisy)


def test_another_augmentation_stands_in_place_of_the_problems_own(problem: Problem) -> None:
    mixed = problem.augmented_by("mixup(0.3)")
    assert mixed.augment.steps == (Mixup(0.3, classes=2),)
    assert mixed.augmented(X, Y, {})[1].shape == (60, 2)
    assert mixed.notes[-1] == "Training batches are changed by mixup(0.3)."
    without = problem.augmented_by(None)
    assert without.augmented(X, Y, {}) == (X, Y)
    assert problem.augmented_by("none").fingerprint == without.fingerprint == Problem(model, (X, Y)).fingerprint
    assert problem.augmented_by(noisy).fingerprint == problem.fingerprint
    assert len({problem.fingerprint, mixed.fingerprint, without.fingerprint}) == 3


@pytest.mark.parametrize(
    "loss",
    [F.cross_entropy, partial(F.cross_entropy, weight=torch.tensor([1.0, 3.0])), nn.CrossEntropyLoss()],
    ids=["function", "partial", "module"],
)
def test_labels_are_smoothed_in_training_alone(loss) -> None:
    plain = Problem(model, (X, Y), loss=loss)
    smooth = plain.smoothed(0.2)
    scores = torch.randn(60, 2, generator=torch.Generator().manual_seed(1))
    weight = torch.tensor([1.0, 3.0]) if isinstance(loss, partial) else None
    expected = F.cross_entropy(scores, Y, weight, label_smoothing=0.2)
    torch.testing.assert_close(smooth.loss_of({})(scores, Y), expected)
    torch.testing.assert_close(plain.loss_of({})(scores, Y), smooth.loss(scores, Y))
    assert smooth.fingerprint != plain.fingerprint


def test_losses_that_know_no_labels_are_not_smoothed() -> None:
    values = Problem(lambda: nn.Linear(4, 1), (X, X[:, :1]), loss=F.mse_loss, metric="mse")
    with pytest.raises(InputError, match="label_smoothing is for cross-entropy; the problem's loss, mse_loss"):
        values.smoothed(0.1)


def test_keyword_arguments_are_set_for_every_trial(problem: Problem) -> None:
    changed = problem.with_settings({"dropout": 0.5, "tanh": "on", "noise": 2, "inner": 5})
    built = changed.build(0)
    assert (built[0].out_features, type(built[1]), built[2].p) == (5, nn.Tanh, 0.5)
    assert torch.equal(changed.augmented(X, Y, {})[0], X + 2)
    assert changed.keywords["model"] == {"width": 8, "dropout": 0.5, "tanh": True, "inner": 5}
    assert problem.build(0)[2].p == 0.0
    assert changed.with_settings({"dropout": 0.1}).build(0)[2].p == 0.1
    assert changed.with_settings({"inner": "none"}).build(0)[0].out_features == 8
    assert len({problem.fingerprint, changed.fingerprint, problem.with_settings({"dropout": 0.5}).fingerprint}) == 3


def test_what_is_set_is_searched_no_more() -> None:
    searched = Problem(model, (X, Y), space={"width": whole(4, 16), "dropout": linear(0, 0.5)})
    changed = searched.with_settings({"width": 5})
    assert list(changed.space) == ["dropout"]
    assert changed.build(0, {"dropout": 0.25})[0].out_features == 5
    space = {"tanh": choice(True, False), "dropout": when(linear(0, 0.5), tanh=True)}
    with pytest.raises(InputError, match="tanh cannot be set: the search of dropout depends on it"):
        Problem(model, (X, Y), space=space).with_settings({"tanh": True})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"dropot": 0.1}, r"unknown setting 'dropot'\. Did you mean dropout\? Known: .*label_smoothing.*noise"),
        ({"dropout": "much"}, "dropout='much' is not allowed; a number is needed"),
        ({"dropout": 2.0}, "dropout=2.0"),
        ({"width": 8.5}, "width=8.5 is not allowed; a whole number is needed"),
        ({"tanh": "maybe"}, "allowed are on and off"),
        ({"noise": None}, "noise=None is not allowed; allowed are numbers, words, on and off"),
    ],
)
def test_what_cannot_be_set_is_refused(problem: Problem, settings, said) -> None:
    with pytest.raises(InputError, match=said):
        problem.with_settings(settings)


def test_a_finished_module_has_nothing_to_set_but_its_loss() -> None:
    made = Problem(nn.Linear(4, 1), (X, X[:, :1]), loss=lambda outputs, y: F.mse_loss(outputs, y), metric="loss")
    with pytest.raises(InputError, match=r"have no keyword argument with a plain default \(`def model\(dropout="):
        made.with_settings({"dropout": 0.1})


def test_settings_are_divided_between_rule_and_problem(problem: Problem) -> None:
    assert problem.divided({"lr": 0.1, "dropout": 0.2}, ["lr"]) == ({"lr": 0.1}, {"dropout": 0.2})
    assert problem.divided({"dropout": 0.2}, ["dropout"]) == ({"dropout": 0.2}, {})
    with pytest.raises(InputError, match=r"unknown setting 'droput'.*dropout, .*lr"):
        problem.divided({"droput": 0.1}, ["lr"])


@pytest.mark.parametrize(("name", "setting"), [("digits", {"dropout": 0.2}), ("breast_cancer", {"batch_norm": "on"})])
def test_the_built_in_problems_open_their_models(name: str, setting) -> None:
    pytest.importorskip("sklearn")
    kinds = {type(module) for module in load(name).with_settings(setting).build(0)}
    assert kinds & {nn.Dropout, nn.BatchNorm1d}


def test_models_of_pictures_are_reached_through_partial() -> None:
    x = torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    made = Problem(partial(models.resnet, 8, 2, 1, width=4), (x, Y))
    deep = made.changed(augment="flip > crop(1)", settings={"stochastic_depth": 0.5}).build(0)
    assert [m.rate for m in deep.modules() if hasattr(m, "rate")] == pytest.approx([0.5 / 3, 1 / 3, 0.5])


def test_a_table_takes_them_too(tmp_path) -> None:
    pytest.importorskip("pandas")
    rows = "\n".join(f"{a:.3f},{b:.3f},{'yes' if a > b else 'no'}" for a, b in np.random.default_rng(0).random((80, 2)))
    (tmp_path / "table.csv").write_text(f"a,b,wins\n{rows}\n")
    table = load(f"{tmp_path / 'table.csv'}:wins")
    changed = table.changed(augment="mixup", label_smoothing=0.1, settings={"dropout": 0.1})
    assert again(load(table.source), kept(changed)).fingerprint == changed.fingerprint != table.fingerprint
    assert kept(changed) == {"augment": "mixup", "settings": {"label_smoothing": 0.1, "dropout": 0.1}}


def test_splits_of_a_problem_are_data_for_another(problem: Problem) -> None:
    other = Problem(model, problem.train, problem.valid, problem.test)
    assert isinstance(other.train, Arrays)
    assert torch.equal(other.train.x, problem.train.x)
    assert other.sizes == problem.sizes
    stream = Stream(Noisy(30))
    assert Problem(model, stream, stream, stream).train is stream
