"""`fallline train` as a person uses it: what it prints, what it writes, how it stops and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from typer.main import get_command

from fallline.cli import app
from fallline.runs import trainer
from fallline.runs.options import Options
from tests.command_line import caller

PROBLEM = """
import torch
import fallline
from torch import nn

x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
problem = fallline.Problem(lambda: nn.Linear(4, 2), train=(x, (x[:, 0] > 0).long()), epochs=2, batch_size=8)
"""


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Run `fallline train mine.py ...` here, in a directory of its own; gives exit status, output and errors."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(PROBLEM)

    return caller(capsys, monkeypatch, "train", "mine.py")


def test_a_run_prints_its_scores_and_what_to_look_at_next(call, tmp_path):
    status, out, _ = call("--lr", 0.1, "--set", "weight_decay=0.1", "--schedule", "warmup(5%) > cosine", "--log", "csv")
    assert status == 0
    assert "mine: finished after 2 epochs" in out
    assert "test accuracy" in out
    assert "Look next at" in out
    kept = tmp_path / "runs" / "mine-adamw"
    assert {"last.safetensors", "best.safetensors", "model.safetensors", "history.jsonl", "history.csv"} == {
        path.name for path in kept.iterdir() if not path.name.startswith(".")
    }


def test_the_result_as_json(call):
    status, out, _ = call("--average", "ema", "--json")
    told = json.loads(out)
    assert status == 0
    assert told["settings"]["average"] == "ema"
    assert told["history"][-1]["epoch"] == 2


SETTINGS = {
    "--rule": ("sgdw", "rule", "sgdw"),
    "--lr": ("0.05", "settings", {"lr": 0.05, "momentum": 0.8}),
    "--set": ("momentum=0.8", "settings", {"lr": 0.05, "momentum": 0.8}),
    "--schedule": ("linear", "schedule", "linear"),
    "--average": ("polyak", "average", "polyak"),
    "--epochs": ("3", "epochs", 3),
    "--batch-size": ("12", "batch_size", 12),
    "--seed": ("5", "seed", 5),
    "--patience": ("7", "patience", 7),
    "--accumulate": ("2", "accumulate", 2),
    "--l1": ("0.25", "l1", 0.25),
    "--l2": ("0.125", "l2", 0.125),
    "--penalize": ("last", "penalize", ["last"]),
    "--precision": ("bf16", "precision", "bf16"),
    "--compile": (None, "compile", True),
    "--from": ("weights.pt", "weights", "weights.pt"),
    "--head": ("skip", "head", "skip"),
    "--freeze": ("first", "freeze", ["first"]),
    "--unfreeze-every": ("6", "unfreeze_every", 6),
    "--layer-factor": ("2.5", "layer_factor", 2.5),
    "--augment": ("mixup", "augment", "mixup"),
    "--label-smoothing": ("0.375", "label_smoothing", 0.375),
}
"""Option -> what it is given, and where that stands among a run's settings. Each has a value of its own."""
AROUND = {
    "--device": ("cpu", "device", "cpu"),
    "--workers": ("1", "workers", 1),
    "--save-every": ("4.5", "save_every", 4.5),
    "--log": ("csv", "log", ("csv",)),
    "--export": ("", "export", ()),
}
"""The same of those that change no number, among what a run is asked for."""
OWN = {"PROBLEM", "--out", "--fresh", "--data", "--target-column", "--json"}
"""What other tests are about."""
LAYERS = """
from collections import OrderedDict
import torch
import fallline
from torch import nn

def model():
    return nn.Sequential(OrderedDict(first=nn.Linear(4, 3), tanh=nn.Tanh(), last=nn.Linear(3, 2)))

x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
problem = fallline.Problem(model, train=(x, (x[:, 0] > 0).long()), epochs=2, batch_size=8)
"""


def test_every_option_reaches_the_training(call, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(LAYERS)
    torch.save({"first.weight": torch.ones(3, 4), "first.bias": torch.ones(3)}, tmp_path / "weights.pt")
    monkeypatch.setattr(torch, "compile", lambda model, **how: model)
    asked: list[Options] = []
    monkeypatch.setattr(trainer, "Options", lambda **given: asked.append(Options(**given)) or asked[-1])
    rows = {**SETTINGS, **AROUND}
    given = [part for option, (value, *_) in rows.items() for part in (option, value) if part is not None]
    status, out, errors = call(*given, "--json", "--out", "run")
    assert status == 0, errors
    told = json.loads(out)
    assert {option: told["settings"][name] for option, (_, name, _) in SETTINGS.items()} == {
        option: used for option, (*_, used) in SETTINGS.items()
    }
    assert {option: getattr(asked[0], name) for option, (_, name, _) in AROUND.items()} == {
        option: used for option, (*_, used) in AROUND.items()
    }
    assert {path.name for path in (tmp_path / "run").glob("[hm]*")} == {"history.csv", "history.jsonl"}
    assert told["history"][-1]["epoch"] == 3


def test_no_option_is_left_out():
    known = {option for each in get_command(app).commands["train"].params for option in each.opts}
    assert {option.upper() if option.isidentifier() else option for option in known} == {*SETTINGS, *AROUND, *OWN}


def table(path, kinds):
    """A CSV file with a number, words and gaps, and a column `kind` of so many kinds, which the number tells."""
    sizes = ["" if k % 7 == 4 else f"{k % kinds + 0.01 * k:.2f}" for k in range(60)]
    rows = [f"{size},{['north', 'south', ''][k % 5 % 3]},{'abcd'[k % kinds]}" for k, size in enumerate(sizes)]
    path.write_text("\n".join(["size,place,kind", *rows]) + "\n")


def test_a_table_is_trained_and_gone_on_from_with_other_classes(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    call = caller(capsys, monkeypatch, "train")
    table(tmp_path / "two.csv", 2)
    table(tmp_path / "three.csv", 3)
    status, out, errors = call("two.csv", "--target-column", "kind", "--epochs", 2)
    assert status == 0, errors
    assert "kind" in errors  # how it was read
    (kept,) = (tmp_path / "runs").iterdir()
    weights = kept / "model.safetensors"
    assert f"--from {weights.relative_to(tmp_path)}" in out
    for k, (source, more, said) in enumerate(
        [
            ("two.csv:kind", (), "tensors loaded from"),
            ("two.csv:kind", ("--head", "skip"), "The head stays fresh"),
            ("three.csv:kind", ("--unfreeze-every", 1), "shapes differ"),
        ]
    ):
        status, out, errors = call(source, "--from", weights, "--epochs", 1, "--out", f"run{k}", *more)
        assert status == 0, errors
        assert said in out
        assert "finished after 1 epoch" in out
    status, _, errors = call("three.csv:kind", "--from", weights, "--head", "load", "--out", "run3")
    assert status == 2
    assert "does not fit the model" in errors
    assert not (tmp_path / "run3").exists()


def test_a_folder_of_pictures_is_trained_with_augmentation(capsys, monkeypatch, tmp_path):
    image = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    for kind, shade in (("cat", 60), ("dog", 190)):
        (tmp_path / "pictures" / kind).mkdir(parents=True)
        for k in range(12):
            image.new("L", (8, 8), shade + 4 * k).save(tmp_path / "pictures" / kind / f"{k}.png")
    call = caller(capsys, monkeypatch, "train", "pictures")
    status, out, errors = call("--epochs", 1, "--augment", "flip > crop(1) > cutmix", "--label-smoothing", 0.1)
    assert status == 0, errors
    assert "Pictures are 8x8 pixels." in errors
    assert "pictures: finished after 1 epoch" in out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--rule", "adamv"], "unknown rule 'adamv'"),
        (["--set", "beta1"], "write NAME=VALUE"),
        (["--set", "beta1=high"], "beta1"),
        (["--set", "dropout=0.1"], "unknown setting 'dropout'"),
        (["--augment", "flop"], "Did you mean flip"),
        (["--schedule", "cosin"], "Did you mean cosine"),
        (["--from", "nothing.pt"], "there is no checkpoint"),
        (["--precision", "half"], "unknown precision 'half'"),
    ],
)
def test_mistakes_are_one_error_without_a_traceback(call, tmp_path, given, said):
    status, out, errors = call(*given)
    assert (status, out) == (2, "")
    _, _, error = errors.partition("error: ")  # after how the data were read
    assert said in error
    assert "Traceback" not in errors
    assert not (tmp_path / "runs").exists()


def test_a_run_that_diverges_ends_with_a_status_and_advice(call):
    status, out, _ = call("--rule", "sgd", "--lr", 1e9)
    assert status == 1
    assert "diverged" in out
    assert "fallline lr-range" in out


def test_the_same_command_is_refused_for_other_settings_until_told_to_start_afresh(call):
    assert call("--lr", 0.1)[0] == 0
    status, _, errors = call("--lr", 0.2)
    assert status == 2
    assert "--fresh" in errors
    assert call("--lr", 0.2, "--fresh")[0] == 0


@pytest.mark.parametrize("sent", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_signal_keeps_what_was_trained_and_the_same_command_goes_on(tmp_path, sent):
    (tmp_path / "mine.py").write_text(PROBLEM)
    command = [sys.executable, "-m", "fallline", "train", "mine.py", "--rule", "sgd", "--out", "run"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = subprocess.Popen(
        [*command, "--epochs", "100000", "--save-every", "1000"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    history: Path = tmp_path / "run" / "history.jsonl"
    while not history.exists() or history.read_text().count("\n") < 5:
        assert started.poll() is None
        time.sleep(0.02)
    started.send_signal(sent)
    out, errors = started.communicate()
    assert started.returncode == 128 + sent, errors
    assert "interrupted" in out
    assert "Go on with the same command: fallline train mine.py --rule sgd --out run --epochs 100000" in out
    assert (tmp_path / "run" / "last.safetensors").exists()
