from __future__ import annotations

import io
import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy
from rich.console import Console

from fallline.errors import InputError, RecordError
from fallline.rules import get
from fallline.study import Result
from fallline.study.comparison import compare
from fallline.study.progress import Watch
from fallline.study.record.opening import FILE
from fallline.study.record.record import Record
from fallline.training import Trial

from .standins import Problem, Training, closeness, noise, outcome, twin


def run(
    problem: Any = None, rules: Any = ("sgd", "adam", "lion"), training: Training | None = None, **kwargs: Any
) -> tuple[Result, Training]:
    training = training or Training()
    options = {"trials": 4, "seeds": 3, "progress": False, **kwargs}
    return compare(problem or Problem(), rules, _train=training, **options), training


def test_every_rule_gets_the_same_budget_and_paired_seeds() -> None:
    result, training = run()
    counts = Counter((t.rule.name, t.kind) for t in training.trained)
    assert counts == {
        (rule, kind): n for rule in ("sgd", "adam", "lion") for kind, n in (("search", 4), ("tuned", 3), ("default", 3))
    }
    assert {t.seed for t in training.trained if t.kind == "search"} == {0}
    for rule in result.rules:
        assert [t.seed for t in rule.tuned] == [t.seed for t in rule.default] == [1, 2, 3]
        assert {tuple(t.settings.items()) for t in rule.tuned} == {tuple(rule.best.settings.items())}
        assert all(t.settings == rule.rule.defaults for t in rule.default)
        assert all(t.test_metric is None for t in rule.search)
    assert result.complete
    assert result.trials == 4
    assert result.seeds == 3


def test_trials_take_turns_so_that_an_early_end_is_fair() -> None:
    _, training = run()
    search = [t.rule.name for t in training.trained if t.kind == "search"]
    assert search == ["sgd", "adam", "lion"] * 4
    final = [(t.seed, t.rule.name) for t in training.trained if t.kind != "search"]
    assert [seed for seed, _ in final] == sorted(seed for seed, _ in final)
    assert {rule for _, rule in final[:6]} == {"sgd", "adam", "lion"}


def test_a_smaller_budget_is_a_prefix() -> None:
    small, large = run(trials=4)[0], run(trials=9)[0]
    for rule in small.rules:
        other = next(r for r in large.rules if r.name == rule.name)
        assert [t.settings for t in other.search[:4]] == [t.settings for t in rule.search]
        assert other.best.score >= rule.best.score


@pytest.mark.parametrize("maximize", [True, False])
def test_selection_is_on_validation_data_ties_by_loss_then_by_order(maximize: bool) -> None:
    problem = Problem(maximize=maximize)
    result, training = run(problem, ["sgd"], trials=8)
    lrs = [t.settings["lr"] for t in training.trained if t.kind == "search"]
    wanted = (min if maximize else max)(lrs, key=lambda lr: abs(math.log10(lr / 0.01)))
    assert result.best.best.settings["lr"] == wanted
    (constant, _) = run(problem, ["sgd"], Training(lambda trial: 0.5))
    assert constant.best.best.number == 0


def test_among_shares_that_validation_cannot_tell_apart_the_lowest_loss_wins() -> None:
    """20 examples tell shares apart to about 0.09: 0.85 and 0.9 are level, 0.6 is not, however low its loss."""
    by_number = {0: (0.6, 0.01), 1: (0.9, 0.8), 2: (0.85, 0.3), 3: (0.85, 0.5)}

    def train(problem: Any, trials: Any, **_: Any) -> Any:
        for index, trial in enumerate(trials):
            metric, loss = by_number[trial.number] if trial.kind == "search" else (0.9, 0.3)
            ended = outcome(trial, metric)
            last = replace(ended.curve[-1], valid_loss=loss)
            yield [(index, replace(ended, curve=(*ended.curve[:-1], last)))]

    for share, wanted in ((True, 2), (False, 1)):
        result = compare(Problem(share=share), ["sgd"], trials=4, seeds=2, progress=False, _train=train)
        assert result.best.best.number == wanted
        assert ("one standard error" in " ".join(result.notes)) == share


def test_intervals_stay_within_what_is_possible() -> None:
    def quality(trial: Trial) -> float:
        return 1.0 if trial.seed % 2 else 0.97

    result, _ = run(Problem(share=True), ["sgd"], Training(quality), seeds=3)
    assert result.best.test_metric.high == 1.0
    assert result.best.seconds_to_target.low >= 0


def test_a_rule_that_is_better_by_a_known_margin_ranks_first_and_the_difference_is_shown() -> None:
    def quality(trial: Trial) -> float:
        ahead = 0.05 if trial.rule.name == "adam" else 0.0
        return closeness(trial) + ahead + 0.02 * noise("seed", trial.seed) + 0.002 * noise(trial.seed, trial.rule)

    result, _ = run(rules=["sgd", "adam"], training=Training(quality), trials=16, seeds=5)
    assert [r.name for r in result.rules] == ["adam", "sgd"]
    (difference,) = result.differences
    assert (difference.first, difference.second, difference.shown) == ("adam", "sgd", True)
    assert difference.estimate.low > 0
    assert difference.estimate.mean == pytest.approx(0.05, abs=0.03)
    assert difference.sentence.startswith("adam is better than sgd by 0.0")


def test_identical_rules_show_no_difference_in_most_repeats() -> None:
    def quality(trial: Trial) -> float:
        return 0.9 + 0.02 * noise("seed", trial.seed) + 0.01 * noise(trial.seed, trial.rule.name, trial.kind)

    rules = [get("sgd"), twin("sgd", "other")]
    shown = 0
    for seed in range(40):
        result, _ = run(rules=rules, training=Training(quality), trials=1, seeds=5, seed=seed)
        shown += result.differences[0].shown
    assert shown <= 7  # 2 are to be expected; more than 7 happen by chance once in a thousand times


def test_the_sentence_says_so_when_nothing_is_shown() -> None:
    result, _ = run(rules=["sgd", "adam"], training=Training(lambda t: 0.8 + 0.1 * noise(t.seed, t.rule.name)))
    (difference,) = result.differences
    assert not difference.shown
    assert difference.sentence.startswith("no difference shown between")
    single, _ = run(rules=["sgd", "adam"], seeds=1)
    assert "one seed gives no interval" in single.differences[0].sentence
    assert any("One seed gives no interval" in note for note in single.notes)
    assert math.isnan(single.best.test_metric.low)
    assert not single.differences[0].shown


def test_a_metric_to_minimize_says_better_for_less() -> None:
    def quality(trial: Trial) -> float:
        return (0.2 if trial.rule.name == "adam" else 0.4) + 0.001 * noise(trial.seed, trial.rule.name)

    result, _ = run(Problem(maximize=False), ["sgd", "adam"], Training(quality))
    assert result.best.name == "adam"
    assert result.differences[0].estimate.mean == pytest.approx(-0.2, abs=0.01)
    assert "adam is better than sgd by 0.2" in result.differences[0].sentence


def test_a_diverged_trial_is_worth_the_untrained_model() -> None:
    def quality(trial: Trial) -> float | None:
        return None if trial.rule.name == "sgd" and trial.settings["lr"] > 0.3 else 0.8

    result, _ = run(rules=["sgd", "adam"], training=Training(quality), trials=16)
    sgd = next(r for r in result.rules if r.name == "sgd")
    diverged = [t for t in sgd.search if t.diverged]
    assert 0 < sgd.diverged_share == len(diverged) / 16 < 1
    assert all(t.score == 0.1 and t.valid_loss == 0.9 for t in diverged)
    assert sgd.best.settings["lr"] <= 0.3
    assert sgd.expected_best[-1] == pytest.approx(0.8)

    result, _ = run(rules=["sgd", "adam"], training=Training(lambda t: None if t.rule.name == "sgd" else 0.8))
    sgd = result.rules[-1]
    assert sgd.name == "sgd"
    assert sgd.diverged_share == 1
    assert sgd.test_metric.mean == pytest.approx(0.1)
    assert sgd.reached_share == 0
    assert sgd.steps_to_target is None
    assert any("count as the untrained model: sgd 6 of 6" in note for note in result.notes)


def test_the_target_is_the_median_and_runs_that_miss_it_are_left_out_and_told() -> None:
    levels = {"sgd": 0.5, "adam": 0.7, "lion": 0.9}
    result, _ = run(training=Training(lambda t: levels[t.rule.name]))
    assert result.target == pytest.approx(0.7)
    reached = {r.name: (r.reached_share, r.steps_to_target) for r in result.rules}
    assert reached["sgd"] == (0.0, None)
    assert reached["adam"][1].mean == 30
    assert reached["lion"][1].mean == 30
    assert any("the median over rules" in note for note in result.notes)
    assert any("never reached the target" in note and "sgd 3 of 3" in note for note in result.notes)

    asked, _ = run(training=Training(lambda t: levels[t.rule.name]), target=0.3)
    lion = next(r for r in asked.rules if r.name == "lion")
    assert asked.target == 0.3
    assert lion.steps_to_target.mean == 10
    assert lion.seconds_to_target.mean == pytest.approx(0.1)
    assert lion.reached_share == 1


def test_expected_best_reports_every_budget() -> None:
    result, _ = run(trials=6)
    for rule in result.rules:
        assert len(rule.expected_best) == 6
        assert rule.expected_best[0] == pytest.approx(sum(t.score for t in rule.search) / 6)
        assert rule.expected_best[-1] == rule.best.score


def test_ctrl_c_keeps_what_is_finished_and_the_same_call_goes_on(tmp_path: Path) -> None:
    whole, _ = run()
    for stop in (0, 1, 7, 12, 15, 29):
        out = tmp_path / str(stop)
        first, trained = run(training=Training(stop_after=stop), out=out)
        assert not first.complete
        assert len(trained.trained) == stop
        assert str(out) in first.notes[0]
        assert f"{stop} of 30 trials are finished" in first.notes[1]
        assert len([t for r in first.rules for t in (*r.search, *r.tuned, *r.default)]) == stop
        sizes = [len(r.search) + len(r.tuned) + len(r.default) for r in first.rules]
        assert max(sizes) - min(sizes) <= 2
        json.loads(first.to_json())
        first.table()
        second, rest = run(out=out)
        assert second.complete
        assert len(rest.trained) == 30 - stop
        assert [r.name for r in second.rules] == [r.name for r in whole.rules]
        assert [r.test_metric for r in second.rules] == [r.test_metric for r in whole.rules]
        assert second.study.id == first.study.id


@pytest.mark.parametrize("kept", [True, False])
def test_ctrl_c_within_a_transaction(tmp_path: Path, kept: bool) -> None:
    stored = 0

    def interrupt(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        nonlocal stored
        stored += statement.startswith("INSERT INTO trials")
        if stored == 5:
            stored += 1
            raise KeyboardInterrupt

    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", interrupt)
    try:
        result, _ = run(out=tmp_path if kept else None)
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", interrupt)
    assert not result.complete
    assert sum(len(rule.search) for rule in result.rules) == 4


def test_an_interrupted_comparison_without_a_directory_says_so() -> None:
    result, _ = run(training=Training(stop_after=5))
    assert "with an out directory" in result.notes[0]


def test_a_larger_comparison_reuses_the_smaller(tmp_path: Path) -> None:
    run(out=tmp_path)
    _, more = run(out=tmp_path, trials=6)
    assert Counter(t.kind for t in more.trained)["search"] == 6
    _, again = run(out=tmp_path, trials=6)
    assert again.trained == []
    _, other = run(replace(Problem(), fingerprint="g" * 16), out=tmp_path)
    assert len(other.trained) == 30


def test_a_rule_without_a_search_space_is_trained_once() -> None:
    sgd = get("sgd")
    fixed = replace(sgd, name="fixed", hypers={n: replace(h, search=None) for n, h in sgd.hypers.items()})
    result, training = run(rules=[fixed, "adam"])
    assert sum(t.kind == "search" and t.rule is fixed for t in training.trained) == 1
    assert result.complete
    assert len(next(r for r in result.rules if r.name == "fixed").search) == 4
    assert any("Nothing to search" in note and "fixed" in note for note in result.notes)


def test_the_result_is_read_from_the_record(tmp_path: Path) -> None:
    result, _ = run(out=tmp_path)
    for where in (tmp_path, tmp_path / FILE, str(tmp_path)):
        loaded = Result.load(where)
        assert loaded.to_dict() == result.to_dict()
        assert loaded.rules[0].rule is get(loaded.rules[0].name)
    run(rules=["sgd", "adam"], out=tmp_path)
    assert Result.load(tmp_path, result.study.id).to_dict() == result.to_dict()
    assert len(Result.load(tmp_path).rules) == 2
    run(out=tmp_path)
    assert len(Result.load(tmp_path).rules) == 3
    with pytest.raises(InputError, match="unknown study"):
        Result.load(tmp_path, "nothing")


def test_a_record_is_readable_where_the_rule_is_not_known(tmp_path: Path) -> None:
    result, _ = run(rules=[twin("adam", "mine"), "sgd"], out=tmp_path)
    mine = next(r for r in Result.load(tmp_path).rules if r.name == "mine")
    assert mine.rule.space == get("adam").space
    assert mine.rule.defaults == get("adam").defaults
    assert mine.equation
    assert mine.bytes_per_parameter == 28
    assert mine.state_arrays == 2
    assert Result.load(tmp_path).to_dict() == result.to_dict()
    with pytest.raises(RecordError, match="read from a record"):
        mine.rule(1, 2)


def test_json_holds_everything_and_no_nan() -> None:
    def quality(trial: Trial) -> float | None:
        return None if trial.settings["lr"] > 0.3 else 0.8

    result, _ = run(training=Training(quality), seeds=1, trials=8)
    told = json.loads(result.to_json(), parse_constant=lambda name: pytest.fail(name))
    assert told["best"] == result.best.name
    assert len(told["rules"]) == 3
    rule = told["rules"][0]
    trial, kept = rule["tuned"][0], result.rules[0].tuned[0]
    assert [point["valid_loss"] for point in trial["curve"]] == [point.valid_loss for point in kept.curve]
    diverged = [t for r in told["rules"] for t in r["search"] if t["state"] == "diverged"]
    assert diverged
    assert all(t["curve"][1]["train_loss"] is None for t in diverged)
    assert rule["test_metric"] == {"mean": 0.8, "low": None, "high": None, "n": 1}
    assert rule["rule"]["hypers"]["lr"]["search"]["scale"] == "log"
    assert {"torch", "python", "fallline", "numpy", "numba"} <= rule["tuned"][0]["versions"].keys()
    assert {"cpu", "cores", "memory_bytes", "os"} <= rule["tuned"][0]["machine"].keys()


def test_the_table_says_the_answer() -> None:
    levels = {"sgd": 0.5, "adam": 0.7, "lion": 0.7}
    result, _ = run(training=Training(lambda t: levels[t.rule.name] + 0.01 * noise(t.seed, t.rule.name, t.kind)))
    console = Console(width=200, file=io.StringIO())
    console.print(result.table())
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "synthetic: 4 trials and 3 seeds" in text
    assert "no difference" in text
    assert "0 of 4" in text
    assert "never" in text
    assert "100 µs" in text
    assert "beta1" in text


def test_notes_name_values_at_the_edge_and_mixed_environments(tmp_path: Path, monkeypatch: Any) -> None:
    def quality(trial: Trial) -> float:
        return 0.5 + 0.01 * math.log10(trial.settings["lr"])

    result, _ = run(rules=["sgd"], training=Training(quality, stop_after=40), trials=64, out=tmp_path)
    monkeypatch.setattr("fallline.study.work.versions", lambda: {"torch": "0.1"})
    result, _ = run(rules=["sgd"], training=Training(quality), trials=64, out=tmp_path)
    assert any("edge of their search range" in note and "lr of sgd" in note for note in result.notes)
    assert any("Not all trials were run in one environment" in n and "torch" in n for n in result.notes)
    assert result.notes[-1] == "Data are made up."


BAD = [
    ({"rules": ["sgd", "adamm"]}, "unknown rule 'adamm'.*adam"),
    ({"rules": []}, "rules is empty"),
    ({"rules": "sgd,adam,sgd"}, "sgd more than once"),
    ({"rules": [3]}, "rules contains 3"),
    ({"trials": 0}, "trials=0 is not allowed"),
    ({"trials": 2.5}, "trials=2.5 is not allowed"),
    ({"trials": True}, "trials=True"),
    ({"seeds": 0}, "seeds=0 is not allowed"),
    ({"seed": -1}, "seed=-1 is not allowed"),
    ({"target": math.nan}, "target=nan is not allowed"),
    ({"target": "high"}, "target='high' is not allowed"),
    ({"out": "/proc/fallline"}, "cannot be written to"),
    ({"problem": 5}, "problem must be a fallline.Problem or the name of one; it is a int"),
]


@pytest.mark.parametrize(("wrong", "message"), BAD)
def test_bad_input_is_told_before_any_training(wrong: dict[str, Any], message: str) -> None:
    training = Training()
    with pytest.raises(InputError, match=message):
        run(training=training, **wrong)
    assert training.trained == []


def test_a_damaged_record_is_told_before_any_training(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"nothing of the kind" * 100)
    training = Training()
    with pytest.raises(RecordError, match="move it away"):
        run(out=tmp_path, training=training)
    assert training.trained == []


def test_a_training_that_fails_keeps_what_was_finished(tmp_path: Path) -> None:
    def quality(trial: Trial) -> float:
        if trial.number == 2:
            raise RuntimeError("the model broke")
        return 0.5

    with pytest.raises(RuntimeError, match="broke"):
        run(training=Training(quality), out=tmp_path)
    with Record.read(tmp_path) as record:
        assert len(record.trials(record.study_ids()[-1])) == 6


def test_the_bar_shows_rule_count_and_best_of_trials_in_any_order() -> None:
    result, _ = run(rules=["sgd", "adam"])
    plan = SimpleNamespace(planned=20, metric_name="accuracy", maximize=True)
    console = Console(width=120, file=io.StringIO(), force_terminal=True)
    with Watch(None, plan, 3, console) as watch:  # type: ignore[arg-type]
        watch.found(4)
        watch.epoch("a", "sgd", 2)
        watch.epoch("b", "adam", 1)
        watch.done("b", result.rules[0].tuned[0])
        watch.say("a line")
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "5/20" in shown
    assert "a line" in shown
    assert f"({result.best.name})" in shown


def test_nothing_is_written_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    run(progress=None, training=Training(stop_after=20))
    shown = capsys.readouterr()
    assert shown.out == shown.err == ""
