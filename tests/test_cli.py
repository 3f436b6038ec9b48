"""The command line as a person uses it: what it prints, what it refuses, and how."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fallline.rules import REGISTRY
from tests.command_line import caller

PROBLEM = """
import torch
import fallline
from torch import nn

x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
y = (x[:, 0] > 0).long()
problem = fallline.Problem(lambda: nn.Linear(4, 2), train=(x, y), epochs=2)

@fallline.rule
def half_step(p, g, *, t, lr=0.1):
    return p - lr / 2 * g
"""


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Run `fallline ...` here, in a directory of its own; gives exit status, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "170")

    before = dict(REGISTRY)
    yield caller(capsys, monkeypatch)
    REGISTRY.clear()
    REGISTRY.update(before)


@pytest.fixture
def my_model(tmp_path):
    path = tmp_path / "my_model.py"
    path.write_text(PROBLEM)
    return path


def test_help_does_not_wait_for_pytorch():
    code = "import sys, fallline.cli; print([m for m in ('torch', 'numpy', 'numba', 'rich.table') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_rules_are_listed_a_line_each(call):
    status, out, _ = call("rules")
    assert status == 0
    for name, rule in REGISTRY.items():
        assert any(line.startswith(f"{name} ") and rule.summary in line for line in out.splitlines()), name


def test_a_rule_is_shown_in_full(call):
    status, out, _ = call("rules", "show", "adamw")
    assert status == 0
    for part in (
        "Loshchilov & Hutter 2019",
        "fallline.optim.AdamW",
        "θ_t = θ̃_t - η · m̂_t / (√(v̂_t) + ε)",
        "0.5 to 0.99 (1 - value on a log scale)",
        "from 0 to 1, 1 excluded",
        "State tensors: m, v.",
        "28 bytes for a float32 parameter",
        "def adam(p, g, m, v, *, t,",
        "def decoupled(step, p, g, *state,",
    ):
        assert part in out, part


def test_rules_for_programs(call):
    sheet = json.loads(call("rules", "show", "nadam", "--json")[1])
    assert sheet["states"] == ["m", "v", "mu_product"]
    assert sheet["hypers"]["beta2"] == {
        "default": 0.999,
        "allowed": "from 0 to 1, 1 excluded",
        "search": {"low": 0.9, "high": 0.9999, "scale": "one_minus_log"},
    }
    assert len(json.loads(call("rules", "--json")[1])) == len(REGISTRY)
    assert call("rules", "show", "sgd", "--latex")[1] == "\\theta_{t} = \\theta_{t-1} - \\eta \\, g_{t}\n"


def test_a_comparison_of_ones_own_problem_and_rule(call, my_model, tmp_path):
    args = (
        "compare",
        f"{my_model}:problem",
        "--rules",
        "sgd,half_step",
        "--trials",
        2,
        "--seeds",
        2,
        "--out",
        "results",
    )
    status, out, _ = call(*args)
    assert status == 0
    assert "half_step" in out
    assert "Look next at the report: results/report.html" in out
    page = (tmp_path / "results" / "report.html").read_text()
    assert "half_step" in page
    status, out, errors = call(*args, "--json")
    assert (status, errors) == (0, "")
    result = json.loads(out)
    assert {rule["name"] for rule in result["rules"]} == {"sgd", "half_step"}
    assert all(len(rule["tuned"]) == 2 for rule in result["rules"])


SEARCHES = [
    ("--sampler", "tpe", "--batch", 2),
    ("--sampler", "quasi-random", "--stack", "off", "--processes", 1),
    ("--pruner", "halving", "--eta", 2, "--min-epochs", 1, "--stack", 3),
    ("--pruner", "hyperband", "--eta", 2, "--memory", "8GiB"),
    ("--sampler", "grid", "--record", "sqlite:///studies.db"),
]


@pytest.mark.parametrize("options", SEARCHES)
def test_every_way_to_search(call, my_model, tmp_path, options):
    args = ("compare", f"{my_model}:problem", "--rules", "sgd,adam", "--trials", 4, "--seeds", 1, *options)
    status, out, errors = call(*args, "--json")
    assert (status, errors) == (0, "")
    result = json.loads(out)
    assert result["complete"]
    assert all(len(rule["search"]) == 4 for rule in result["rules"])
    states = {trial["state"] for rule in result["rules"] for trial in rule["search"]}
    assert ("pruned" in states) == ("--pruner" in options)
    assert (tmp_path / "results" / "report.html").exists()
    assert (tmp_path / "studies.db").exists() == ("--record" in options)


def test_nothing_is_left_to_resume(call, my_model):
    call("compare", f"{my_model}:problem", "--rules", "sgd", "--trials", 1, "--seeds", 1)
    status, out, errors = call("resume")
    assert (status, errors) == (0, "")
    assert "complete already: nothing was left to train" in out
    assert "sgd" in out
    assert json.loads(call("resume", "results", "--json")[1])["complete"]


def test_a_rule_of_ones_own_is_shown(call, my_model):
    status, out, _ = call("rules", "show", f"{my_model}:half_step")
    assert status == 0
    assert "θ_t = θ_{t-1} - η / 2 · g_t" in out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["compare", "digit"], "unknown problem 'digit'. Did you mean digits?"),
        (["compare", "digits", "--rules", "adamm"], "unknown rule 'adamm'. Did you mean adam"),
        (["compare", "digits", "--rules", "adam,adam"], "rules names adam more than once"),
        (["compare", "digits", "--trials", "0"], "trials=0 is not allowed"),
        (["compare", "digits", "--seeds", "0"], "seeds=0 is not allowed"),
        (["compare", "none.py:problem"], "none.py"),
        (["compare", "my_model.py:problm"], "my_model.py has nothing called 'problm'. Did you mean 'problem'?"),
        (["compare", "broken.py:problem"], "broken.py"),
        (["compare", "digits", "--out", "a_file/results"], "a_file"),
        (["compare", "digits", "--sampler", "bayes"], "unknown sampler 'bayes'"),
        (["compare", "digits", "--pruner", "halvin"], "unknown pruner 'halvin'. Did you mean halving?"),
        (["compare", "digits", "--pruner", "halving", "--eta", "1"], "eta=1 is not allowed"),
        (["compare", "digits", "--pruner", "hyperband", "--batch", "4"], "batch does not go with pruner='hyperband'"),
        (["compare", "digits", "--memory", "8 apples"], "memory='8 apples' is not allowed; allowed are bytes, or"),
        (["compare", "digits", "--stack", "many"], "stack='many' is not allowed"),
        (["compare", "digits", "--processes", "0"], "processes=0 is not allowed"),
        (["compare", "digits", "--record", "results"], "record='results' is no database URL"),
        (["resume"], "there is no record at results"),
        (["resume", "nowhere"], "there is no record at nowhere"),
        (["resume", "--record", "nosuch://somewhere"], "nosuch://"),
        (["compare", "fashion_mnist", "--data", "empty"], "empty"),
        (["rules", "show", "admw"], "unknown rule 'admw'. Did you mean adamw"),
        (["rules", "show", "my_model.py:nothing"], "my_model.py has nothing called 'nothing'"),
    ],
)
def test_a_mistake_gets_one_clear_error(call, my_model, tmp_path, args, message):
    (tmp_path / "broken.py").write_text("import fallline\nproblem = fallline.Problm()\n")
    (tmp_path / "a_file").write_text("")
    (tmp_path / "empty").mkdir()
    status, out, errors = call(*args)
    assert status == 2
    assert out == ""
    assert errors.startswith("error: ")
    assert message in errors
    assert "Traceback" not in errors


def test_a_damaged_record_is_an_error_in_words(call, my_model, tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "record.sqlite").write_bytes(b"SQLite format 3\0" + b"damaged" * 1000)
    status, _, errors = call("compare", f"{my_model}:problem", "--rules", "sgd", "--out", "results")
    assert status == 2
    assert "record.sqlite" in errors
    assert "Traceback" not in errors


@pytest.mark.skipif(os.name == "nt", reason="sends a signal")
def test_ctrl_c_keeps_what_is_trained_and_resume_goes_on(call, my_model, tmp_path):
    from fallline.study import Result

    command = [sys.executable, "-c", "from fallline.cli import main; main()"]
    command += [
        "compare",
        f"{my_model}:problem",
        "--rules",
        "sgd,adam",
        "--trials",
        "40",
        "--seeds",
        "2",
        "--out",
        "out",
    ]
    record = Path(tmp_path / "out" / "record.sqlite")
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and finished(record) < 5:
        os.sched_yield()
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "Go on with `fallline resume out`" in out + errors
    interrupted = Result.load(tmp_path / "out")
    assert not interrupted.complete
    kept = {(t.rule, t.number): t.started for rule in interrupted.rules for t in rule.search}
    assert len(kept) >= 5
    assert call("resume", "out")[0] == 0
    whole = Result.load(tmp_path / "out")
    assert whole.complete
    after = {(t.rule, t.number): t.started for rule in whole.rules for t in rule.search}
    assert {key: after[key] for key in kept} == kept


def finished(record: Path) -> int:
    """Trials in a record that another process writes."""
    import sqlite3

    try:
        with sqlite3.connect(f"file:{record}?mode=ro", uri=True) as connection:
            return int(connection.execute("select count(*) from trials").fetchone()[0])
    except sqlite3.Error:
        return 0
