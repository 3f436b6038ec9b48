"""A study's trials in other tools: tables in three formats, pandas, Optuna; and the verbs that show and write them."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pandas
import pytest
from typer.testing import CliRunner

from fallline.cli import app
from fallline.errors import InputError
from fallline.problems.space import choice, describe, when, whole
from fallline.rules import get
from fallline.rules.hyper import linear
from fallline.study import Result
from fallline.study.described import describe as describe_rule
from fallline.study.export import _FORMS, columns, curve_columns, save, to_optuna
from fallline.study.plan import Plan
from fallline.study.record.opening import FILE
from fallline.study.record.record import Record
from fallline.study.result import TrialRecord
from fallline.training import Point

from .records import TRIAL, key_of

SPACE = {"width": whole(8, 64), "act": choice("relu", "leaky"), "slope": when(linear(0, 0.5), act="leaky")}
PLAN = Plan(
    problem_name="tiny",
    metric_name="accuracy",
    maximize=True,
    target=None,
    trials=4,
    seeds=1,
    seed=0,
    rules=tuple(describe_rule(get(name)) for name in ("sgd", "adam")),
    problem={"fingerprint": "p", "sizes": {"train": 100, "valid": 20, "test": 20}, "share": True},
    own=describe(SPACE, {"width": 8, "act": "relu", "slope": 0.1}),
)


def made() -> Iterator[TrialRecord]:
    for rule, gain in (("sgd", 0.0), ("adam", 0.1)):
        for number in range(4):
            lr = 0.01 * (number + 1) + gain / 100
            settings = {**get(rule).defaults, "lr": lr}
            score = 0.5 + gain + 0.05 * number
            curve = (
                Point(0, 0, 0.0, None, 2.3, 0.1),
                Point(1, 10, 0.25, 1.5, 1.0, 0.3),
                Point(2, 20, 0.5, 1, 0.9, score),
            )
            own = (
                {"width": 8 * (number + 1), "act": "leaky", "slope": 0.2} if number % 2 else {"width": 8, "act": "relu"}
            )
            trial = replace(
                TRIAL, rule=rule, number=number, seed=0, settings=settings, own=own, curve=curve, steps=20, seconds=0.5
            )
            if number == 3 and rule == "sgd":
                trial = replace(
                    trial,
                    state="diverged",
                    reason="NaN, or so",
                    curve=(*curve[:1], replace(curve[2], valid_metric=math.nan)),
                )
            if number == 0:
                trial = replace(trial, state="pruned", reason="at epoch 1", curve=curve[:2])
            yield trial
        for kind in ("tuned", "default"):
            test = 0.6 + gain
            yield replace(
                trial, kind=kind, number=0, seed=1, state="finished", curve=curve, test_loss=0.4, test_metric=test
            )


TRIALS = list(made())


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a record of one complete study and of a larger one that is not."""
    folder = tmp_path_factory.mktemp("results")
    with Record.create(folder) as record:
        for plan in (replace(PLAN, trials=16), PLAN):
            study = record.start(plan, {"python": "3.11", "torch": "2.6"}, {"cores": 2})
            record.plan(study, [(t.rule, t.kind, t.number, key_of(t)) for t in TRIALS if plan is PLAN or t.number < 2])
        record.add_many([(key_of(t), "p", "x", t) for t in TRIALS])
    return folder


@pytest.fixture
def result(out: Path) -> Result:
    return Result.load(out)


def trial_of(row: dict[str, Any]) -> TrialRecord:
    return next(t for t in TRIALS if (t.rule, t.kind, t.number) == (row["rule"], row["kind"], row["number"]))


def test_a_frame_has_a_row_for_every_trial(result: Result) -> None:
    frame = result.frame()
    assert len(frame) == len(TRIALS) == 12
    assert list(frame.columns[:6]) == ["study", "rule", "kind", "number", "seed", "state"]
    for row in frame.to_dict("records"):
        trial = trial_of(row)
        assert row["lr"] == trial.settings["lr"]
        assert row["width"] == trial.own["width"]
        assert row["slope"] == trial.own.get("slope") or math.isnan(row["slope"])
        assert row["state"] == trial.state
        assert row["score"] == trial.score
        assert (row["python_version"], row["machine_cores"]) == ("3.11", 2)
    adam, sgd = (frame[frame.rule == name] for name in ("adam", "sgd"))
    assert adam.beta1.notna().all()
    assert sgd.beta1.isna().all()
    assert frame[frame.kind == "search"].test_metric.isna().all()


def test_a_frame_of_curves_has_a_row_for_every_point(result: Result) -> None:
    frame = result.frame(curves=True)
    assert len(frame) == sum(len(t.curve) for t in TRIALS)
    assert frame.groupby(["rule", "kind", "number"]).size().to_dict() == {
        (t.rule, t.kind, t.number): len(t.curve) for t in TRIALS
    }
    assert frame.train_loss.isna().sum() == len(TRIALS)
    adam = frame[(frame.rule == "adam") & (frame.kind == "search") & (frame.number == 1)]
    assert list(adam.valid_metric) == [point.valid_metric for point in TRIALS[7].curve]
    assert frame.epoch.dtype.kind == frame.step.dtype.kind == "i"


def test_names_that_are_taken_are_told_apart(result: Result) -> None:
    odd = replace(TRIALS[1], settings={"lr": 0.1, "score": 1.0}, own={"lr": 0.5, "seed": 7, "mixed": "auto"})
    other = replace(odd, own={"mixed": 3})
    rule = replace(result.rules[0], search=(odd, other), tuned=(), default=())
    table = columns(replace(result, rules=(rule,)))
    assert table["lr"] == [0.1, 0.1]
    assert table["setting_score"] == [1.0, 1.0]
    assert table["own_lr"] == [0.5, None]
    assert table["own_seed"] == [7, None]
    assert table["score"] == [odd.score, odd.score]
    assert table["mixed"] == ["auto", 3]


@pytest.mark.parametrize("make", [columns, curve_columns])
def test_every_format_holds_the_table(result: Result, make: Any, tmp_path: Path) -> None:
    table = make(result)
    for form in ("parquet", "csv", "json"):
        save(table, form, tmp_path / f"it.{form}")
    read = pandas.read_parquet(tmp_path / "it.parquet")
    assert list(read.columns) == list(table)
    with (tmp_path / "it.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    plain = json.loads((tmp_path / "it.json").read_text())
    for name, values in table.items():
        assert [row[name] for row in rows] == ["" if value is None else str(value) for value in values]
        exact = [None if isinstance(value, float) and not math.isfinite(value) else value for value in values]
        assert [row[name] for row in plain] == exact
        if name in ("score", "lr", "seconds"):
            assert read[name].to_list() == values


def test_columns_of_several_types_and_no_rows_can_be_written(tmp_path: Path) -> None:
    save({"mixed": [1, "auto", None, True]}, "parquet", tmp_path / "it")
    assert pandas.read_parquet(tmp_path / "it")["mixed"].fillna("none").to_list() == ["1", "auto", "none", "True"]
    save({"nothing": []}, "json", tmp_path / "it")
    assert json.loads((tmp_path / "it").read_text()) == []


def test_optuna_finds_the_same_best_trial(result: Result, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'optuna.db'}"
    names = to_optuna(result, storage)
    assert names == [f"{PLAN.study_id}/adam", f"{PLAN.study_id}/sgd"]
    opened = optuna.storages.RDBStorage(storage)
    adam, sgd = (optuna.load_study(study_name=name, storage=opened) for name in names)
    assert adam.direction == optuna.study.StudyDirection.MAXIMIZE
    best = TRIALS[9]
    assert adam.best_trial.number == 3
    assert adam.best_value == best.score == 0.75
    assert adam.best_params.keys() == {"lr", "beta1", "beta2", "width", "act", "slope"}
    assert adam.best_params["width"] == 32
    assert adam.best_trial.intermediate_values == {point.epoch: point.valid_metric for point in best.curve}
    assert adam.trials[2].params.keys() == {"lr", "beta1", "beta2", "width", "act"}
    assert adam.trials[1].distributions["lr"] == optuna.distributions.FloatDistribution(1e-5, 0.1, log=True)
    assert adam.trials[1].distributions["act"] == optuna.distributions.CategoricalDistribution(("relu", "leaky"))
    assert [t.state.name for t in sgd.trials] == ["PRUNED", "COMPLETE", "COMPLETE", "FAIL"]
    assert sgd.trials[3].user_attrs["reason"] == "NaN, or so"
    assert sgd.best_trial.user_attrs["settings"] == TRIALS[2].settings
    assert (adam.trials[1].duration or 0).total_seconds() == 0.5  # type: ignore[union-attr]
    assert adam.user_attrs["test accuracy, tuned"]["mean"] == pytest.approx(0.7)
    opened.engine.dispose()


def test_optuna_gets_all_studies_or_none(result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = optuna.storages.InMemoryStorage()
    other = replace(result, rules=result.rules[::-1])
    add = optuna.Study.add_trials

    def fail(self: optuna.Study, trials: Any) -> None:
        if self.study_name.endswith("/adam"):
            raise KeyboardInterrupt
        add(self, trials)

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "add_trials", fail)
        with pytest.raises(KeyboardInterrupt):
            to_optuna(other, storage)
    assert optuna.get_all_study_summaries(storage) == []
    to_optuna(other, storage)
    with pytest.raises(InputError, match="already; name another"):
        to_optuna(other, storage)
    with pytest.raises(InputError, match="cannot be used by Optuna"):
        to_optuna(other, "nosuch://somewhere")
    (tmp_path / "it.db").write_bytes(b"something else" * 1000)
    with pytest.raises(InputError, match="cannot be used by Optuna"):
        to_optuna(other, f"sqlite:///{tmp_path / 'it.db'}")


@pytest.mark.parametrize(("package", "extra"), [("pandas", "export"), ("optuna", "search")])
def test_a_missing_package_is_told(result: Result, package: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"pip install 'fallline\[{extra}\]'"):
        result.frame() if package == "pandas" else to_optuna(result, "sqlite://")


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_the_verb_writes_files_whole_or_not_at_all(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "trials.csv"
    assert f"12 trials of {PLAN.study_id}" in run("export", out, "--out", path)
    before = path.read_text()
    assert "points" in run("export", out, "--out", path, "--curves")
    assert path.read_text() != before
    larger = replace(PLAN, trials=16).study_id
    assert larger in run("export", out, "--out", tmp_path / "it", "--format", "json", "--study", larger)
    assert {row["study"] for row in json.loads((tmp_path / "it").read_text())} == {larger}

    def full(table: object, path: Path) -> None:
        path.write_text("half of it")
        raise OSError(28, "No space left on device")

    before = path.read_text()
    monkeypatch.setitem(_FORMS, "csv", full)
    with pytest.raises(InputError, match="No space left"):
        run("export", out, "--out", path)
    assert path.read_text() == before
    assert list(path.parent.iterdir()) == [path]
    for arguments in (["--out", tmp_path / "it"], ["--out", "it.xlsx"], ["--out", "it.csv", "--study", "none"]):
        with pytest.raises(InputError):
            run("export", out, *arguments)


def test_the_verb_adds_to_an_optuna_file(out: Path, tmp_path: Path) -> None:
    path = tmp_path / "optuna.db"
    assert f"optuna-dashboard sqlite:///{path}" in run("export", out, "--out", path)
    larger = replace(PLAN, trials=16).study_id
    run("export", out, "--format", "optuna", "--out", f"sqlite:///{path}", "--study", larger)
    with pytest.raises(InputError, match="already"):
        run("export", out, "--out", path)
    opened = optuna.storages.RDBStorage(f"sqlite:///{path}")
    assert len(optuna.get_all_study_names(opened)) == 4
    opened.engine.dispose()
    assert list(tmp_path.iterdir()) == [path]


def test_the_verb_lists_studies(out: Path, tmp_path: Path) -> None:
    larger, study = json.loads(run("studies", out, "--json"))
    assert (study["id"], study["done"], study["planned"], study["complete"]) == (PLAN.study_id, 12, 12, True)
    assert (study["best_rule"], study["best_score"]) == ("adam", pytest.approx(0.7))
    assert (larger["done"], larger["planned"], larger["complete"]) == (8, 36, False)
    shown = run("studies", out)
    assert "unfinished" in shown
    assert f"fallline export {out} --study {PLAN.study_id}" in shown
    url = f"sqlite:///{out / FILE}"
    assert json.loads(run("studies", "--record", url, "--json")) == [larger, study]
    with Record.create(tmp_path):
        pass
    assert "holds no study" in run("studies", tmp_path)
