"""Comparisons in processes of their own, killed while they run: nothing finished is lost, the numbers stay the same."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from fallline.study import Result, compare
from fallline.study.conduct import CHECKPOINTS
from fallline.study.record.record import Record

from .children import OPTIONS, Study, numbers, problem

WAYS: dict[str, dict[str, Any]] = {
    "one by one": {"stack": "off", "processes": 1},
    "stacked": {"stack": 5},
    "of several shapes": {"stack": 5, "searched": True},
    "halving": {"stack": 5, "pruner": "halving", "trials": 9},
    "learning": {"stack": 5, "sampler": "tpe", "trials": 8, "batch": 3},
}


def undisturbed(searched: bool = False, **options: Any) -> Result:
    return compare(problem(searched), **{**OPTIONS, **options})


def recorded(out: Path) -> dict[Any, Any]:
    """The finished trials of a record, which may not have been begun."""
    try:
        with Record.read(out) as record:
            studies = record.study_ids()
            return {(t.rule, t.kind, t.number): t.started for t in (record.trials(studies[-1]) if studies else ())}
    except ValueError:
        return {}


def killed_again_and_again(out: Path, instants: list[int], searched: bool = False, **options: Any) -> int:
    """Kill a comparison after so many epochs, and the one that goes on with it, ...; returns how many were killed."""
    killed = 0
    for instant in instants:
        child = Study(out, searched, often=True, **options)
        ended = child.told(instant) < instant
        child.kill()
        before = recorded(out)
        killed += not ended
        assert not ended or before
    result = compare(problem(searched), out=out, **{**OPTIONS, **options})
    after = recorded(out)
    assert {key: after[key] for key in before} == before
    assert result.complete
    assert not (out / CHECKPOINTS).exists()
    assert numbers(result) == numbers(undisturbed(searched, **options))
    return killed


@pytest.mark.parametrize("way", WAYS)
def test_a_comparison_that_is_killed_ends_with_the_numbers_of_one_that_is_not(tmp_path: Path, way: str) -> None:
    assert killed_again_and_again(tmp_path, [7, 12], **WAYS[way])


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_killed_at_twenty_random_instants(tmp_path: Path, way: str) -> None:
    draws = random.Random(way)
    assert killed_again_and_again(tmp_path, [draws.randrange(1, 12) for _ in range(20)], **WAYS[way]) >= 5
