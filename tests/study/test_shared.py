"""Several processes that make the same comparison into one record share its work."""

from __future__ import annotations

import multiprocessing
import random
import signal
import socket
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fallline.study import Result, compare
from fallline.study.record import claims
from fallline.study.record.record import Record
from fallline.study.work import Work
from fallline.training import Trial

from .children import OPTIONS, Study, numbers, problem
from .standins import Problem, Training, closeness

ONE_BY_ONE: dict[str, Any] = {"stack": "off", "processes": 1}


def test_two_processes_share_the_work_and_do_nothing_twice(tmp_path: Path) -> None:
    children = [Study(tmp_path, trials=8, **ONE_BY_ONE) for _ in range(2)]
    told = [child.told(10**9) for child in children]
    assert [child.end() for child in children] == [0, 0]
    # 2 rules, 8 search trials, a tuned and a default run: 20 trials of 5 points each
    assert sum(told) == 100
    assert all(told)
    result = Result.load(tmp_path)
    assert result.complete
    assert numbers(result) == numbers(compare(problem(), **{**OPTIONS, **ONE_BY_ONE, "trials": 8}))


def test_what_a_killed_process_had_begun_is_taken_over(tmp_path: Path) -> None:
    options: dict[str, Any] = {"trials": 9, "pruner": "halving", "stack": 5}
    children = [Study(tmp_path, **options) for _ in range(2)]
    children[0].told(6)
    children[0].kill()
    assert children[1].end() == 0
    result = Result.load(tmp_path)
    assert result.complete
    assert numbers(result) == numbers(compare(problem(), **{**OPTIONS, **options}))


def test_trials_of_another_process_are_waited_for_until_it_dies(tmp_path: Path, monkeypatch: Any) -> None:
    options: dict[str, Any] = {"rules": ["sgd", "adam"], "trials": 4, "seeds": 1, "progress": False}
    whole = compare(Problem(), _train=Training(), **options)
    other = multiprocessing.get_context("forkserver").Process(target=signal.pause)
    other.start()
    name = f"{socket.gethostname()}:{other.pid}:{claims._start(other.pid or 0)}"
    waited: list[int] = []

    class Joined(Training):
        """A training that another process joins when it begins: it claims the trials of adam."""

        def __call__(self, problem: Any, trials: Any, *, names: Any, **others: Any) -> Any:
            if not self.trained:
                with Record.create(tmp_path) as record:
                    theirs = {key for trial, key in zip(trials, names, strict=True) if trial.rule.name == "adam"}
                    assert record.claim(record.study_ids()[-1], theirs, name) == theirs
            return super().__call__(problem, trials, names=names, **others)

    training = Joined()

    def wait(seconds: float) -> None:
        waited.append(len(training.trained))
        if len(waited) == 2:
            other.kill()
            other.join()

    monkeypatch.setattr("fallline.study.conduct.Work", partial(Work, wait=wait))
    result = compare(Problem(), out=tmp_path, _train=training, **options)
    assert waited == [4, 4]  # all of sgd's were trained, none of adam's
    assert result.complete
    assert len(training.trained) == 12
    assert [r.test_metric for r in result.rules] == [r.test_metric for r in whole.rules]


def test_a_bracket_is_trained_by_one_process(tmp_path: Path) -> None:
    """Trials that compete are compared in one process, even when another joins."""
    seen: Counter[str] = Counter()

    def quality(trial: Trial) -> float:
        seen[f"{trial.rule.name} {trial.kind} {trial.number}"] += 1
        return closeness(trial)

    options: dict[str, Any] = {"trials": 9, "seeds": 1, "pruner": "halving", "progress": False, "out": tmp_path}
    for _ in range(2):
        compare(Problem(), ["sgd", "adam"], _train=Training(quality), **options)
    assert max(seen.values()) == 1


@pytest.mark.slow
def test_three_processes_of_which_one_is_killed_now_and_then(tmp_path: Path) -> None:
    draws = random.Random(1)
    options: dict[str, Any] = {"trials": 24, "sampler": "tpe", "batch": 6, **ONE_BY_ONE}
    children = [Study(tmp_path, **options) for _ in range(3)]
    for _ in range(8):
        victim = draws.randrange(3)
        children[victim].told(draws.randrange(1, 20))
        children[victim].kill()
        children[victim] = Study(tmp_path, **options)
    assert [child.end() for child in children] == [0, 0, 0]
    assert numbers(Result.load(tmp_path)) == numbers(compare(problem(), **{**OPTIONS, **options}))
