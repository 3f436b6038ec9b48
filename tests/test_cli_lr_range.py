"""`fallline lr-range` as a person uses it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.command_line import caller

PROBLEM = """
import os
from pathlib import Path
import torch
import fallline
from torch import nn

x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
y = (x[:, 0] > 0).long()

class Net(nn.Linear):
    def forward(self, x):
        if self.training and "MARKER" in os.environ:
            with open(os.environ["MARKER"], "a") as marker:
                marker.write(".")
        return super().forward(x)

problem = fallline.Problem(lambda: Net(4, 2), train=(x, y), epochs=2)

@fallline.rule
def half_step(p, g, *, t, lr=0.1):
    return p - lr / 2 * g
"""


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Run `fallline lr-range ...` in a directory of its own; gives exit status, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "170")
    (tmp_path / "my_model.py").write_text(PROBLEM)
    (tmp_path / "a_file").write_text("")

    return caller(capsys, monkeypatch, "lr-range")


def test_a_suggestion_for_ones_own_problem_and_rule(call, tmp_path):
    args = ("my_model.py:problem", "--rule", "my_model.py:half_step", "--seeds", 2, "--steps", 60)
    status, out, errors = call(*args)
    assert status == 0
    assert errors.startswith(" - No valid data was given: 12 of the 60")
    assert "half_step on my_model:problem: learning-rate range test" in out
    assert "Begin with lr = " in out
    assert "Look next at the page: results/lr-range.html" in out
    assert "fallline compare my_model.py:problem --rules my_model.py:half_step" in out
    assert "half_step" in (tmp_path / "results" / "lr-range.html").read_text()
    status, out, _ = call(*args, "--json")
    told = json.loads(out)
    assert status == 0
    assert len(told["sweeps"]) == 2
    assert told["rates"][0] == pytest.approx(1e-4)


def test_a_table_is_named_as_for_the_other_verbs(call, tmp_path):
    lines = "".join(f"{k * 37 % 11},{k * 1.5}\n" for k in range(60))
    (tmp_path / "houses.csv").write_text(f"rooms,the price\n{lines}")
    limits = ("--steps", 20, "--seeds", 1)
    status, out, told = call("houses.csv", "--target-column", "the price", *limits)
    assert status == 0
    assert "Regression: 'the price' holds numbers" in told
    assert "fallline compare houses.csv --target-column 'the price' --rules adamw" in out
    status, out, _ = call("houses.csv:the price", *limits)
    assert status == 0
    assert "fallline compare 'houses.csv:the price' --rules adamw" in out


def test_other_settings_and_the_range_are_taken(call):
    limits = ("--low", 1e-4, "--high", 1, "--steps", 40, "--seeds", 1, "--seed", 7)
    told = json.loads(call("my_model.py:problem", "--set", "beta1=0.5", "--set", "eps=1e-6", *limits, "--json")[1])
    assert told["settings"]["beta1"] == 0.5
    assert told["settings"]["eps"] == 1e-6
    assert (told["rates"][0], told["rates"][-1], len(told["rates"])) == (pytest.approx(1e-4), pytest.approx(1), 40)
    assert [each["seed"] for each in told["sweeps"]] == [7]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["digit"], "unknown problem 'digit'. Did you mean digits?"),
        (["digits", "--rule", "adamm"], "unknown rule 'adamm'. Did you mean adam"),
        (["digits", "--set", "beta1"], "--set beta1 is not allowed; write NAME=VALUE"),
        (["digits", "--set", "beta1=high"], "--set beta1=high is not allowed"),
        (["digits", "--set", "beta1=0.5", "--set", "beta1=0.6"], "--set gives beta1 more than once"),
        (["digits", "--set", "lr=0.1"], "the test varies it from low to high"),
        (["digits", "--low", "1", "--high", "0.1"], "high must be at least ten times low"),
        (["digits", "--steps", "3"], "steps=3 is not allowed"),
        (["my_model.py:problem", "--steps", "20", "--out", "a_file/results"], "a_file"),
    ],
)
def test_a_mistake_gets_one_clear_error(call, args, message):
    status, out, errors = call(*args)
    assert (status, out) == (2, "")
    assert errors.splitlines()[-1].startswith("error: ")
    assert message in errors


@pytest.mark.skipif(os.name == "nt", reason="sends a signal")
def test_ctrl_c_keeps_what_was_swept(call, tmp_path):
    marker = tmp_path / "marker"
    command = [sys.executable, "-c", "from fallline.cli import main; main()", "lr-range", "my_model.py:problem"]
    command += ["--rule", "sgd", "--seeds", "2", "--steps", "1000000"]
    process = subprocess.Popen(
        command, env={**os.environ, "MARKER": str(marker)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not (marker.exists() and marker.stat().st_size > 2000):
        os.sched_yield()
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "Interrupted" in out
    assert "Interrupted" in (tmp_path / "results" / "lr-range.html").read_text()
