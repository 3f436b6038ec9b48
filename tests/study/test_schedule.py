"""A comparison under a schedule: its place in plan and record, and going on with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fallline import InputError, Result, compare, resume
from fallline.problems import load
from fallline.study.record.record import Record
from fallline.study.resuming import _plan

FILE = """
import torch
import fallline
from torch import nn

x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
problem = fallline.Problem(lambda: nn.Linear(4, 2), (x, (x[:, 0] > 0).long()), epochs=2, batch_size=8)
"""
OPTIONS = {"rules": ["sgd", "adamw"], "trials": 2, "seeds": 1, "stack": "off", "processes": 1, "progress": False}


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(FILE)
    return "mine.py:problem"


def losses(result: Result) -> list[float]:
    return [trial.curve[-1].valid_loss for rule in result.rules for trial in rule.tuned]


def test_a_study_is_one_of_its_schedule(spec):
    plain, same = compare(spec, **OPTIONS), compare(spec, schedule="none", **OPTIONS)
    other = compare(spec, schedule="warmup(50%) > cosine", **OPTIONS)
    assert plain.study.id == same.study.id != other.study.id
    assert losses(plain) == losses(same) != losses(other)
    own = compare(load(spec).scheduled("warmup(50%)>cosine"), **OPTIONS)
    assert own.study.id == other.study.id


def test_it_goes_on_with_the_schedule_that_it_was_given(spec, tmp_path):
    whole = compare(spec, schedule="one_cycle", out=tmp_path / "out", **OPTIONS)
    with Record.read(tmp_path / "out") as record:
        assert _plan(record, None).problem["schedule"] == "one_cycle"
    again = resume(tmp_path / "out")
    assert again.study.id == whole.study.id
    assert again.complete


def test_what_the_schedule_sets_itself_is_told(spec):
    result = compare(spec, schedule="one_cycle", **OPTIONS)
    assert "Every trial follows the schedule one_cycle." in result.notes
    assert "The schedule sets momentum itself: a trial's own value makes no difference." in result.notes
    assert "The schedule's momentum changes nothing in sgd: there is no such setting." in result.notes


def test_a_schedule_that_does_not_fit_is_refused_before_training(spec):
    with pytest.raises(InputError, match="of the run's 10 updates"):
        compare(spec, schedule="warmup(100) > cosine", **OPTIONS)
