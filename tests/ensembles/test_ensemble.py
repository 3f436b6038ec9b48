"""What an ensemble predicts and how it scores, against NumPy and scikit-learn; what it keeps on disk."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score, log_loss
from torch import nn

from fallline.ensembles import Combination, Ensemble
from fallline.errors import InputError, RecordError
from fallline.problems import Problem
from fallline.training import evaluate


def members(problem: Problem, count: int = 3) -> list[nn.Module]:
    return [problem.build(seed) for seed in range(count)]


def test_a_prediction_is_the_mean_of_probabilities(make):
    problem = make()
    models = members(problem)
    ensemble = Ensemble.of(problem, models)
    x = problem.test.x
    expected = torch.stack([F.softmax(model(x), 1) for model in models]).mean(0)
    torch.testing.assert_close(ensemble.predict(x), expected)
    assert "probabilities" in ensemble.said


def test_scores_are_those_of_scikit_learn_for_each_and_for_all_together(make):
    problem = make()
    models = members(problem)
    scores = Ensemble.of(problem, models).score(problem)
    x, y = problem.test.x, problem.test.y.numpy()
    each = [F.softmax(model(x), 1).detach().double().numpy() for model in models]
    for p, score, calibration in zip(
        [*each, np.mean(each, 0)],
        [*scores.members, scores.ensemble],
        [*scores.calibrations, scores.calibration],
        strict=True,
    ):
        p = p / p.sum(1, keepdims=True)
        assert score.metric == pytest.approx(accuracy_score(y, p.argmax(1)))
        assert score.loss == pytest.approx(log_loss(y, p, labels=[0, 1, 2]), rel=1e-5)
        assert calibration.nll == pytest.approx(log_loss(y, p, labels=[0, 1, 2]), rel=1e-6)
    for model, score in zip(models, scores.members, strict=True):
        assert score == pytest.approx(evaluate(model, problem, problem.test), rel=1e-6)
    assert scores.mean.loss == pytest.approx(np.mean([score.loss for score in scores.members]))
    assert scores.gain == pytest.approx(scores.ensemble.metric - scores.mean.metric)
    assert scores.ensemble.loss <= scores.mean.loss  # by Jensen's inequality
    assert scores.error == pytest.approx(np.sqrt(scores.ensemble.metric * (1 - scores.ensemble.metric) / 35))


def test_the_divergence_is_what_the_loss_gains_when_labels_come_from_the_ensemble(make):
    """KL(member || ensemble) from its definition, on the whole of the test data."""
    problem = make()
    models = members(problem)
    scores = Ensemble.of(problem, models).score(problem)
    p = torch.stack([F.softmax(model(problem.test.x), 1) for model in models]).detach().double()
    expected = sum(F.kl_div(p.mean(0).log(), each, reduction="batchmean") for each in p) / 3
    assert scores.diversity.spread == pytest.approx(float(expected), rel=1e-5)


def regression(loss=F.mse_loss, outputs: int = 2, **changes) -> Problem:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 4, generator=generator)
    y = x @ torch.randn(4, outputs, generator=generator)
    return Problem(lambda: nn.Linear(4, outputs), (x, y), loss=loss, metric="mse", epochs=2, **changes)


def test_outputs_that_are_no_classes_are_averaged_themselves():
    problem = regression()
    models = members(problem)
    ensemble = Ensemble.of(problem, models)
    scores = ensemble.score(problem)
    assert ensemble.said == "the mean of the members' outputs"
    mean = torch.stack([model(problem.test.x) for model in models]).mean(0)
    torch.testing.assert_close(ensemble.predict(problem.test.x), mean.detach())
    assert scores.ensemble.loss == pytest.approx(F.mse_loss(mean, problem.test.y).item(), rel=1e-5)
    assert scores.ensemble.loss == pytest.approx(scores.mean.loss - scores.diversity.spread, rel=1e-5)
    assert scores.calibration is None
    assert scores.error is None


def binary(loss, model) -> Problem:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(80, 4, generator=generator)
    return Problem(model, (x, (x[:, :1] > 0).float()), loss=loss, epochs=2)


@pytest.mark.parametrize(
    ("loss", "model", "probabilities"),
    [
        (F.binary_cross_entropy_with_logits, lambda: nn.Linear(4, 1), torch.sigmoid),
        (nn.BCEWithLogitsLoss(), lambda: nn.Linear(4, 1), torch.sigmoid),
        (F.binary_cross_entropy, lambda: nn.Sequential(nn.Linear(4, 1), nn.Sigmoid()), lambda p: p),
    ],
    ids=["logits", "a module", "probabilities"],
)
def test_two_classes_in_one_output(loss, model, probabilities):
    problem = binary(loss, model)
    models = members(problem)
    scores = Ensemble.of(problem, models).score(problem)
    p = torch.stack([probabilities(model(problem.test.x)) for model in models]).mean(0).detach()
    assert scores.ensemble.loss == pytest.approx(F.binary_cross_entropy(p, problem.test.y).item(), rel=1e-5)
    assert scores.calibration.nll == pytest.approx(scores.ensemble.loss, rel=1e-5)
    assert scores.ensemble.metric == pytest.approx(((p > 0.5) == (problem.test.y > 0.5)).float().mean().item())


@pytest.mark.parametrize(
    ("loss", "last"),
    [
        (F.nll_loss, nn.LogSoftmax(1)),
        (partial(F.cross_entropy, label_smoothing=0.1), nn.Identity()),
        (lambda outputs, y: F.cross_entropy(outputs, y), nn.Identity()),
    ],
    ids=["log-probabilities", "smoothed labels", "a loss of one's own"],
)
def test_probabilities_are_averaged_whatever_the_loss_of_classes(make, loss, last):
    problem = make(lambda: nn.Sequential(nn.Linear(5, 3), last), loss=loss)
    models = members(problem)
    ensemble = Ensemble.of(problem, models)
    p = torch.stack([F.softmax(model(problem.test.x), 1) for model in models]).mean(0)
    torch.testing.assert_close(ensemble.predict(problem.test.x), p.detach())
    scores = ensemble.score(problem)
    assert scores.ensemble.loss == pytest.approx(loss(p.log(), problem.test.y).item(), rel=1e-5)
    assert scores.calibration.nll == pytest.approx(F.nll_loss(p.log(), problem.test.y).item(), rel=1e-5)


def test_positions_of_a_sequence_are_cases_and_ignored_labels_are_none():
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 7, (40, 6), generator=generator)
    y = x.clone()
    y[:, 0] = -100

    def loss(outputs, y):
        return F.cross_entropy(outputs.flatten(0, 1), y.flatten())

    problem = Problem(lambda: nn.Sequential(nn.Embedding(7, 5), nn.Linear(5, 7)), (x, y), loss=loss, metric="loss")
    models = members(problem)
    ensemble = Ensemble.of(problem, models)
    assert ensemble.combination == Combination("softmax", 2, -100)
    scores = ensemble.score(problem)
    assert scores.calibration.cases == scores.diversity.cases == len(problem.test) * 5
    p = torch.stack([F.softmax(model(problem.test.x), 2) for model in models]).mean(0)
    assert scores.ensemble.loss == pytest.approx(loss(p.log(), problem.test.y).item(), rel=1e-5)
    assert scores.calibration.nll == pytest.approx(scores.ensemble.loss, rel=1e-5)


def test_members_are_evaluated_without_dropout_and_the_random_state_stays(make):
    problem = make(lambda: nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.5), nn.Linear(8, 3)))
    ensemble = Ensemble.of(problem, members(problem))
    before = torch.get_rng_state()
    assert ensemble.score(problem).to_dict() == ensemble.score(problem).to_dict()
    assert torch.equal(before, torch.get_rng_state())


def test_other_data_and_other_splits(make):
    problem = make()
    ensemble = Ensemble.of(problem, members(problem))
    assert ensemble.score(problem, problem.valid).to_dict() == ensemble.score(problem, "valid").to_dict()
    with pytest.raises(InputError, match="Did you mean test"):
        ensemble.score(problem, "tests")
    with pytest.raises(InputError, match="bins=0 is not allowed"):
        ensemble.score(problem, bins=0)


def test_scores_are_plain_values_for_programs(make):
    problem = make()
    plain = Ensemble.of(problem, members(problem)).score(problem).to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert sum(part["cases"] for part in plain["calibration"]["reliability"]) == 35


def test_it_is_saved_and_loaded_as_it_was(make, tmp_path):
    problem = make(lambda: nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)))
    models = members(problem)
    models[0](problem.train.x)  # statistics of its own
    ensemble = Ensemble.of(problem, models, names=["a", "b", "c"], notes=["a note"])
    assert ensemble.save(tmp_path / "kept") == tmp_path / "kept" / "ensemble.json"
    for build in (problem, lambda: problem.build(7)):
        again = Ensemble.load(tmp_path / "kept", build)
        assert torch.equal(again.predict(problem.test.x), ensemble.predict(problem.test.x))
        assert (again.names, again.notes, again.combination) == (["a", "b", "c"], ["a note"], ensemble.combination)


def test_what_cannot_be_loaded_is_told(make, tmp_path):
    problem = make()
    with pytest.raises(InputError, match="there is no ensemble"):
        Ensemble.load(tmp_path, problem)
    Ensemble.of(problem, members(problem)).save(tmp_path)
    with pytest.raises(InputError, match="does not fit the model"):
        Ensemble.load(tmp_path, lambda: nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, 3)))
    (tmp_path / "member-002.safetensors").write_bytes(b"junk")
    with pytest.raises(RecordError, match=r"member-002\.safetensors is missing or damaged"):
        Ensemble.load(tmp_path, problem)
    index = tmp_path / "ensemble.json"
    index.write_text(index.read_text().replace("member-002", "../member-002"))
    with pytest.raises(RecordError, match="outside its directory"):
        Ensemble.load(tmp_path, problem)
    for text, said in (("{", "damaged"), ("[]", "damaged"), ('{"format": 2, "members": []}', "another version")):
        index.write_text(text)
        with pytest.raises(RecordError, match=said):
            Ensemble.load(tmp_path, problem)


def test_diversity_and_calibration_without_a_problem(make):
    problem = make()
    ensemble = Ensemble(members(problem))
    x, y = problem.test.x, problem.test.y
    scores = ensemble.score(problem)
    assert ensemble.diversity(x).disagreement == pytest.approx(scores.diversity.disagreement)
    assert ensemble.diversity(x).spread == pytest.approx(scores.diversity.spread)
    assert ensemble.calibration(x, y).ece == pytest.approx(scores.calibration.ece)
    values = Ensemble(members(problem), Combination("mean"))
    assert values.diversity(x).cases == 35 * 3
    with pytest.raises(InputError, match="averages outputs"):
        values.calibration(x, y)


def test_one_score_for_two_classes_is_no_probability_of_one_class():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(80, 4, generator=generator)

    def loss(outputs, y):
        return F.binary_cross_entropy_with_logits(outputs[:, 0], y.float())

    problem = Problem(lambda: nn.Linear(4, 1), (x, (x[:, 0] > 0).long()), loss=loss, metric="loss")
    assert Ensemble.of(problem, members(problem)).combination == Combination("mean")


def test_what_is_no_ensemble_is_refused(make):
    problem = make()
    with pytest.raises(InputError, match="at least one member"):
        Ensemble([])
    with pytest.raises(InputError, match="at least one member"):
        Ensemble.of(problem, [])
    with pytest.raises(InputError, match="members are"):
        Ensemble([problem])
    with pytest.raises(InputError, match="there are 1"):
        Ensemble(members(problem), names=["one"])
    with pytest.raises(InputError, match="Did you mean softmax"):
        Combination("softmx")
