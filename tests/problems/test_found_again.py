"""A study of the user's own data goes on from its record alone; a changed one is another problem."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

from fallline import cli, compare, resume
from fallline.problems import load
from fallline.study.record.record import Record


@pytest.fixture
def table(tmp_path):
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.normal(size=60), "b": random.choice(list("xy"), 60)})
    frame["y: z"] = frame["a"] + random.normal(size=60)
    frame.to_csv(tmp_path / "t.csv", index=False)
    return tmp_path / "t.csv"


def test_the_record_finds_the_table_and_its_target_from_anywhere(table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    problem = load("t.csv", target="y: z")
    assert problem.source == f"{table}:y: z"
    monkeypatch.chdir("/")
    again = load(problem.source)
    assert (again.fingerprint, again.source, again.notes) == (problem.fingerprint, problem.source, problem.notes)


def test_a_changed_value_is_a_changed_problem(table):
    before = load(str(table), target="y: z").fingerprint
    frame = pd.read_csv(table)
    frame.loc[7, "a"] += 0.5
    frame.to_csv(table, index=False)
    assert load(str(table), target="y: z").fingerprint != before


def test_a_study_of_a_table_goes_on_from_its_record(table, tmp_path):
    result = compare(f"{table}:y: z", "sgd", trials=1, seeds=1, out=tmp_path / "out", progress=False)
    assert "Regression: 'y: z'" in " ".join(result.notes)
    with Record.read(tmp_path / "out") as record:
        _, plan = record.study(record.study_ids()[-1])
    assert plan.source == f"{table}:y: z"
    assert resume(tmp_path / "out").rules[0].test_metric.mean == result.rules[0].test_metric.mean


def test_the_command_line_takes_the_target(table, tmp_path, monkeypatch, capsys):
    def call(target):
        given = ["--rules", "sgd", "--trials", "1", "--seeds", "1", "--out", str(tmp_path / "out")]
        monkeypatch.setattr(sys, "argv", ["fallline", "compare", str(table), "--target-column", target, *given])
        cli.main()

    with pytest.raises(SystemExit) as ended:
        call("y z")
    assert ended.value.code == 2
    assert "error: unknown target column of t.csv: 'y z'. Did you mean y: z?" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        call("y: z")
    assert not ended.value.code
    said = capsys.readouterr()
    assert "Regression: 'y: z'" in said.err
    assert "test mae" in said.out
