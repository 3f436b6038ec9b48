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


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--rule", "adamv"], "unknown rule 'adamv'"),
        (["--set", "beta1"], "write NAME=VALUE"),
        (["--set", "beta1=high"], "beta1"),
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
