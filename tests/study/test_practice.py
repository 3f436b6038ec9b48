"""A comparison with patience, penalties, other batches, settings and weights: its place in plan and record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from fallline import InputError, Result, compare, resume
from fallline.problems import load
from fallline.training import train
from tests.command_line import caller

FILE = """
import torch
import fallline
from torch import nn

x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))

def model(width=6):
    return nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 2))

problem = fallline.Problem(model, (x, (x[:, 0] > 0).long()), epochs=6, batch_size=8)
"""
OPTIONS = {"rules": ["sgd", "adamw"], "trials": 2, "seeds": 1, "stack": "off", "processes": 1, "progress": False}


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(FILE)
    save_file(load("mine.py:problem").build(9).state_dict(), "base.safetensors")
    return "mine.py:problem"


def losses(result: Result) -> list[float]:
    return [trial.test_loss for rule in result.rules for trial in rule.tuned]


PRACTICES = {
    "patience": {"patience": 1},
    "penalty": {"l1": 0.01, "l2": 0.1, "penalize": "0"},
    "start": {"weights": "base.safetensors", "head": "skip", "freeze": "0"},
    "layers": {"unfreeze_every": 2, "layer_factor": 2.0},
    "batches and settings": {"augment": "mixup", "label_smoothing": 0.1, "settings": {"width": 5}},
}


def until_ctrl_c(problem: Any, trials: Any, *, on_epoch: Any, **others: Any) -> Any:
    """The training, ended by Ctrl-C in its second epoch."""

    def watch(index: int, point: Any) -> None:
        on_epoch(index, point)
        if point.epoch == 2:
            raise KeyboardInterrupt

    return train(problem, trials, on_epoch=watch, **others)


@pytest.mark.parametrize("practice", PRACTICES)
def test_a_study_is_one_of_its_practice_and_goes_on_with_it(spec, tmp_path, monkeypatch, practice):
    plain, whole = compare(spec, **OPTIONS), compare(spec, **PRACTICES[practice], **OPTIONS)
    assert whole.study.id != plain.study.id
    assert losses(whole) != losses(plain)
    begun = compare(spec, out="out", _train=until_ctrl_c, **PRACTICES[practice], **OPTIONS)
    assert not begun.complete
    monkeypatch.chdir(tmp_path.parent)
    again = resume(tmp_path / "out", progress=False)
    assert again.study.id == whole.study.id
    assert losses(again) == losses(whole)


def test_trials_count_with_their_best_epochs(spec):
    result = compare(spec, patience=1, **OPTIONS)
    trials = [trial for rule in result.rules for trial in (*rule.search, *rule.tuned, *rule.default)]
    assert any(trial.state == "stopped early" for trial in trials)
    for trial in trials:
        assert trial.score == max(point.valid_metric for point in trial.curve[1:])
    early = sum(trial.state == "stopped early" for trial in trials)
    said = f"Training ended after 1 epoch without a better validation accuracy ({early} of {len(trials)} trials)"
    assert any(note.startswith(said) for note in result.notes)


def test_a_pruner_is_refused_beside_a_patience(spec):
    with pytest.raises(InputError, match="both end trials early"):
        compare(spec, patience=2, pruner="halving", **{**OPTIONS, "trials": 9})


def test_penalize_needs_a_penalty(spec):
    with pytest.raises(InputError, match="give l1 or l2"):
        compare(spec, penalize="0", **OPTIONS)


def test_the_command_line_has_it_all(spec, capsys, monkeypatch, tmp_path):
    call = caller(capsys, monkeypatch, "compare", spec, "--rules", "sgd", "--trials", 1, "--seeds", 1, "--stack", "off")
    given = ["--patience", 1, "--l1", 0.01, "--l2", 0.1, "--penalize", "2", "--augment", "mixup", "--set", "width=6"]
    given += ["--from", "base.safetensors", "--freeze", "0", "--unfreeze-every", 1, "--layer-factor", 2]
    status, out, _ = call(*given, "--json")
    told = json.loads(out)
    assert status == 0
    problem = told["study"]["problem"]
    assert problem["patience"] == 1
    assert problem["augment"] == "mixup"
    assert problem["settings"] == {"width": 6}
    assert problem["penalty"] == {"l1": 0.01, "l2": 0.1, "penalize": ["2"]}
    learning = {"freeze": ["0"], "unfreeze_every": 1, "layer_factor": 2.0}
    assert problem["start"] == {"weights": str(tmp_path / "base.safetensors"), "head": "auto", **learning}
    assert "In every trial these do not learn: 0." in told["notes"]
    status, _, errors = call("--patience", "long")
    assert status == 2
    assert "patience='long' is not allowed" in errors
