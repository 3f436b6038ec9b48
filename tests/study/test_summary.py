"""From trials to results: what pruning, adaptive samplers and the problem's own hyper-parameters change."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fallline.problems.space import choice, describe, whole
from fallline.rules import get
from fallline.study.described import describe as describe_rule
from fallline.study.findings.statistics import expected_best
from fallline.study.findings.summary import select, summarize
from fallline.study.plan import Plan, trial_key
from fallline.study.record.record import Record
from fallline.study.result import Result, TrialRecord
from fallline.training import Point

SIZES = {"train": 100, "valid": 50, "test": 50}
PLAN = Plan(
    "made up",
    "accuracy",
    True,
    0.5,
    5,
    2,
    0,
    tuple(describe_rule(get(name)) for name in ("sgd", "adam")),
    {"fingerprint": "p", "sizes": SIZES, "share": True, "epochs": 3},
    own=describe({"width": whole(16, 64), "norm": choice("batch", "none")}, {"width": 32, "norm": "none"}),
)
OWN = {"width": 64, "norm": "batch"}


def trial(rule: str, kind: str, number: int, score: float, state: str = "finished", **more: Any) -> TrialRecord:
    """A trial of three epochs; a pruned one ends after the first."""
    ends = 1 if state == "pruned" else 3
    curve = tuple(
        Point(e, 10 * e, 0.1 * e, None if e == 0 else 1 - score, 1 - score, 0.1 if e == 0 else score)
        for e in range(ends + 1)
    )
    settings = {**get(rule).defaults, "lr": 0.01 * (number + 1)}
    values: dict[str, Any] = {"settings": settings, "own": OWN, "state": state, "curve": curve, **more}
    test = None if kind == "search" else score
    return TrialRecord(
        rule=rule,
        kind=kind,
        number=number,
        seed=0 if kind == "search" else 1000 + number,
        reason="",
        steps=10 * ends,
        seconds=0.1,
        step_seconds=1e-4,
        test_loss=None if test is None else 1 - test,
        test_metric=test,
        versions={"python": "3.11"},
        machine={"cores": 2},
        started="2026-01-02T03:04:05+00:00",
        **values,
    )


SEARCH = (
    trial("sgd", "search", 0, 0.6),
    trial("sgd", "search", 1, 0.99, "pruned"),
    trial("sgd", "search", 2, 0.9),
    trial("sgd", "search", 3, 0.3, "pruned"),
    trial("sgd", "search", 4, 0.95, "diverged"),
)
FINAL = [trial(rule, kind, i, 0.9) for rule in ("sgd", "adam") for kind in ("tuned", "default") for i in range(2)]


def result_of(plan: Plan, trials: list[TrialRecord], tmp_path: Path, execution: dict[str, Any] | None = None) -> Result:
    with Record.create(tmp_path) as record:
        study = record.start(plan, {"python": "3.11"}, {"cores": 2})
        keys = [trial_key("p", t.rule, "x", t.kind, t.seed + t.number, t.settings, t.own) for t in trials]
        record.plan(study, [(t.rule, t.kind, t.number, key) for t, key in zip(trials, keys, strict=True)])
        record.add_many([(key, "p", "x", t) for t, key in zip(trials, keys, strict=True)])
        if execution is not None:
            record.keep_execution(study, execution)
        return summarize(record, study)


def test_only_a_trial_that_ran_to_its_end_is_chosen() -> None:
    chosen = select(SEARCH, PLAN)
    assert chosen is not None
    assert chosen.number == 2
    assert select([t for t in SEARCH if t.pruned], PLAN) is None
    lost = select([t for t in SEARCH if t.diverged or t.pruned], PLAN)
    assert lost is not None
    assert lost.diverged


def test_a_pruned_trial_counts_with_its_last_score(tmp_path: Path) -> None:
    sgd = next(r for r in result_of(PLAN, [*SEARCH, *FINAL], tmp_path).rules if r.name == "sgd")
    assert sgd.expected_best == expected_best([0.6, 0.99, 0.9, 0.3, 0.1], maximize=True)
    assert sgd.diverged_share == 1 / 5
    assert sgd.search[1].last.epoch == 1


def test_the_trials_of_an_adaptive_sampler_have_one_order(tmp_path: Path) -> None:
    sgd = next(r for r in result_of(replace(PLAN, sampler="tpe"), [*SEARCH], tmp_path).rules if r.name == "sgd")
    assert sgd.expected_best == (0.6, 0.99, 0.99, 0.99, 0.99)


def test_notes_say_how_it_was_searched_and_trained(tmp_path: Path) -> None:
    plan = replace(PLAN, sampler="tpe", pruner="halving")
    told = " ".join(
        result_of(
            plan,
            [*SEARCH, *FINAL],
            tmp_path,
            {"width": 1, "processes": 2, "compiled": False, "reason": "the model branches on its data."},
        ).notes
    )
    assert "its own and the problem's own search space, chosen by a tree-structured Parzen estimator" in told
    assert "of 15 epochs each rule trained sgd 11, adam" in told
    assert "ended early (halving): 2 of 5. Such a trial cannot be chosen" in told
    assert "one by one on 2 processes. They were not stacked: the model branches on its data." in told
    assert "reaches 50 %, as asked for" in told
    assert "width of sgd (64 in whole numbers from 16 to 64)" in told  # at the edge


def test_notes_of_a_plain_study_say_no_more_than_is_so(tmp_path: Path) -> None:
    result = result_of(
        replace(PLAN, own=()),
        [replace(t, own={}) for t in [*SEARCH[:1], *FINAL]],
        tmp_path,
        {"width": 64, "processes": 1, "compiled": True, "reason": ""},
    )
    told = " ".join(result.notes)
    assert "5 search trials from its own search space, drawn at random" in told
    assert "Trials were trained 64 at a time as one program, compiled." in told
    assert "pruned" not in told
    assert "not stacked" not in told


def test_shares_are_percentages_everywhere(tmp_path: Path) -> None:
    ahead = [replace(t, test_metric=0.6) if (t.rule, t.kind) == ("adam", "tuned") else t for t in FINAL]
    result = result_of(PLAN, [*SEARCH, *ahead], tmp_path)
    console = Console(width=120, file=io.StringIO())
    console.print(result.table())
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "test accuracy (%)" in text
    assert "90.0" in text
    assert "to 50 %" in text
    assert "1 of 5" in text
    assert "2 pruned" in text
    assert "width 64" in text
    assert "norm batch" in text
    (difference,) = result.differences
    assert difference.sentence.startswith("sgd is better than adam by 30 points in test accuracy (95 % interval ")
    raw = replace(PLAN, problem={**PLAN.problem, "share": False})
    assert (
        result_of(raw, [*SEARCH, *ahead], tmp_path / "raw")
        .differences[0]
        .sentence.startswith("sgd is better than adam by 0.3 in test accuracy")
    )


def test_equal_scores_of_few_examples_are_no_certainty(tmp_path: Path) -> None:
    """Two seeds that both get 45 of 50 right leave the mean open by about one example's share."""
    metric = result_of(PLAN, [*SEARCH, *FINAL], tmp_path).rules[0].test_metric
    assert metric is not None
    assert metric.low < 0.9 < metric.high


def test_json_holds_curves_and_own_settings(tmp_path: Path) -> None:
    told = result_of(PLAN, [*SEARCH, *FINAL], tmp_path).to_dict()
    sgd = next(rule for rule in told["rules"] if rule["name"] == "sgd")
    assert sgd["search"][1]["own"] == OWN
    assert [point["epoch"] for point in sgd["search"][1]["curve"]] == [0, 1]
    assert told["study"]["id"] == result_of(PLAN, [], tmp_path).study_id


@pytest.mark.parametrize(("state", "pruned", "diverged"), [("pruned", True, False), ("diverged", False, True)])
def test_states(state: str, pruned: bool, diverged: bool) -> None:
    made = trial("sgd", "search", 0, 0.7, state)
    assert (made.pruned, made.diverged) == (pruned, diverged)
    assert made.score == (0.7 if pruned else 0.1)
    assert made.every_setting["width"] == 64
