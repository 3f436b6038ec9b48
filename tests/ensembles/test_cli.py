"""`fallline ensemble` as a person uses it."""

from __future__ import annotations

import json

import pytest

from fallline import ensembles
from fallline.training import evaluate
from fallline.training.alone import Alone
from tests.command_line import caller

PROBLEM = """
import torch
import fallline
from torch import nn

x = torch.randn(120, 4, generator=torch.Generator().manual_seed(0))
y = (x[:, 0] + 0.3 * x[:, 1] > 0).long()
problem = fallline.Problem(lambda: nn.Linear(4, 2), train=(x, y), epochs=4, batch_size=8)
def model(dropout=0.0):
    return nn.Sequential(nn.Dropout(dropout), nn.Linear(4, 2))

deep = fallline.Problem(model, train=(x, y), epochs=4, batch_size=8)
values = fallline.Problem(
    lambda: nn.Linear(4, 1), train=(x, x[:, :1]), loss=nn.functional.mse_loss, metric="mse", epochs=4
)
"""


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Run `fallline ensemble ...` in a directory with a problem of one's own; gives exit status, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "170")
    (tmp_path / "mine.py").write_text(PROBLEM)

    return caller(capsys, monkeypatch, "ensemble")


@pytest.mark.parametrize("kind", ["snapshot", "independent", "fge"])
def test_it_trains_scores_keeps_and_says_where_to_look(call, kind, tmp_path):
    status, out, err = call("mine.py:problem", "--kind", kind, "--members", 3, "--lr", 0.05)
    assert status == 0
    assert "held out for it" in err
    for part in (
        f"mine:problem: {kind} ensemble of adamw, test data",
        "mean of members",
        "reliability of the ensemble",
        "A prediction is the mean of the members' probabilities",
        "Two members predict different classes in",
        "expected calibration error, 15 bins",
        "Look next at single predictions:",
    ):
        assert part in out, part
    place = tmp_path / "ensembles" / f"mine-problem-adamw-{kind}"
    assert f"Written to {place.relative_to(tmp_path)}: 3 members, ensemble.json" in out
    assert len(list(place.glob("*.safetensors"))) == 3


def test_it_answers_programs_with_json(call):
    arguments = ("mine.py:problem", "--members", 2, "--lr", 0.1, "--set", "beta1=0.8", "--json", "--out", "here")
    status, out, _ = call(*arguments)
    told = json.loads(out)
    assert status == 0
    assert told["names"] == ["seed 0, step 20", "seed 0, step 40"]
    assert told["complete"] is True
    assert told["ensemble"]["metric"] > 0.5
    assert call(*arguments)[1] == out


def test_one_model_in_place_of_the_members(call, tmp_path):
    arguments = ("mine.py:problem", "--kind", "fge", "--members", 3, "--lr", 0.1, "--soup", "--out", "here")
    status, out, _ = call(*arguments)
    assert status == 0
    assert "One model: " in out
    told = json.loads(call(*arguments, "--json")[1])["soup"]
    from fallline import problems, transfer

    problem = problems.load("mine.py:problem")
    model = problem.build(0)
    transfer.load_weights(model, tmp_path / "here" / "soup.safetensors")
    assert tuple(evaluate(model, problem, problem.test)) == (told["loss"], told["metric"])
    assert evaluate(model, problem, problem.valid).metric == told["valid"]


def test_members_are_trained_as_the_flags_say(call):
    practice = ("--average", "ema(0.9)", "--batch-size", 16, "--augment", "mixup", "--label-smoothing", 0.1)
    arguments = ("mine.py:deep", "--kind", "fge(share=0.5)", "--members", 2, "--set", "dropout=0.2", *practice)
    status, out, _ = call(*arguments, "--json", "--out", "here")
    told = json.loads(out)
    assert status == 0
    assert told["names"] == ["seed 0, step 14", "seed 0, step 20"]
    status, _, err = call(*arguments, "--augment", "none", "--out", "here")
    assert status == 2
    assert "'augment': 'mixup'" in err
    status, out, _ = call(*arguments, "--out", "here", "--soup")
    assert status == 0
    assert ".with_settings({'dropout': 0.2})" in out


def test_a_soup_of_checkpoints(call, capsys, monkeypatch, tmp_path):
    call("mine.py:problem", "--kind", "fge", "--members", 3, "--lr", 0.1, "--out", "here")
    soup, files = caller(capsys, monkeypatch, "soup"), sorted((tmp_path / "here").glob("*.safetensors"))
    status, out, _ = soup("mine.py:problem", *files, "--kind", "uniform", "--out", "soups/one.safetensors")
    assert status == 0
    assert "the mean of the weights of 3 members" in out
    assert "fallline train mine.py:problem --from soups/one.safetensors" in out
    status, out, _ = soup("mine.py:problem", *files, "--json")
    told = json.loads(out)
    assert told["valid"] >= max(told["alone"].values())
    assert (tmp_path / told["file"]).exists()
    status, _, err = soup("mine.py:problem", files[0])
    assert status == 2
    assert "error: a soup needs two checkpoints or more" in err


def test_values_are_scored_without_calibration(call):
    status, out, _ = call("mine.py:values", "--members", 2)
    assert status == 0
    assert "A prediction is the mean of the members' outputs." in out
    assert "ambiguity" in out
    assert "ECE" not in out


def test_ctrl_c_keeps_finished_members_and_says_how_to_go_on(call, monkeypatch):
    def stopped_at(count):
        def advance(self, pause, advance=Alone.advance):
            whole = advance(self, pause)
            if self.course.steps >= count:
                raise KeyboardInterrupt
            return whole

        return advance

    arguments = ("mine.py:problem", "--members", 2, "--out", "here")
    with monkeypatch.context() as patch:
        patch.setattr(Alone, "advance", stopped_at(1))
        status, out, err = call(*arguments)
        assert (status, out) == (130, "")
        assert "the same command goes on from there" in err
    with monkeypatch.context() as patch:
        patch.setattr(Alone, "advance", stopped_at(20))
        status, out, _ = call(*arguments)
        assert status == 130
        assert "Interrupted: 1 of 2 members are finished." in out
        assert "Go on with the same command." in out
    status, out, _ = call(*arguments)
    assert status == 0
    assert "Interrupted" not in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("mine.py:problem", "--kind", "snapshots"), "unknown kind of ensemble 'snapshots'. Did you mean snapshot?"),
        (("mine.py:problem", "--members", 0), "members=0 is not allowed"),
        (("mine.py:problem", "--members", 90), "a run has only 40 updates"),
        (("mine.py:problem", "--rule", "adamm"), "Did you mean adam"),
        (("mine.py:problem", "--set", "lr"), "write NAME=VALUE"),
        (("mine.py:problem", "--set", "beta=0.9"), "unknown setting 'beta'"),
        (("mine.py:problem", "--set", "beta1=high"), "beta1"),
        (("mine.py:problem", "--augment", "flop"), "Did you mean flip"),
        (("mine.py:problem", "--average", "emma"), "Did you mean ema"),
        (("mine.py:problem", "--kind", "fge(lo=1)"), "argument of fge 'lo'"),
        (("mine.py:problem", "--bins", 0), "bins=0 is not allowed"),
        (("mine.py:problem", "--schedule", "cosine"), "leave it out"),
        (("mine.py:nothing",), "has nothing called 'nothing'"),
        (("digitz",), "Did you mean digits"),
    ],
)
def test_mistakes_are_one_line_without_a_traceback(call, tmp_path, arguments, said):
    status, out, err = call(*arguments)
    assert status == 2
    assert out == ""
    last = err.splitlines()[-1]
    assert last.startswith("error: ")
    assert said in last
    assert "Traceback" not in err
    assert not list(tmp_path.rglob("*.safetensors"))


def test_what_the_last_line_says_works(call, tmp_path):
    call("mine.py:problem", "--members", 2, "--out", "here")
    from fallline import problems

    problem = problems.load("mine.py:problem")
    predicted = ensembles.Ensemble.load("here", problem).predict(problem.test.x)
    assert predicted.shape == (len(problem.test), 2)
