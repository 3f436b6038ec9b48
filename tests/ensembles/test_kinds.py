"""When members are taken, and at which rates they were trained, against the papers' formulas."""

from __future__ import annotations

import math

import pytest

from fallline.ensembles.kinds import KINDS, options_of, read
from fallline.errors import InputError


def rates(plan) -> list[float]:
    follower = plan.problem.follow()
    return [follower.factors(step).get("lr", 1.0) for step in range(follower.steps)]


@pytest.mark.parametrize("members", [1, 2, 4, 6])
def test_snapshots_follow_the_cyclic_cosine_of_their_paper(make, members):
    """Huang et al. 2017, equation 2, with t from 1 and cycles of T/M updates; a snapshot at the end of each."""
    plan = KINDS["snapshot"](make(), members, 3)
    total, length = 48, 48 // members
    paper = [(math.cos(math.pi * ((t - 1) % length) / length) + 1) / 2 for t in range(1, total + 1)]
    assert rates(plan) == pytest.approx(paper, abs=1e-9)
    assert plan.steps == tuple(range(length, total + 1, length))
    assert plan.seeds == (3,)


@pytest.mark.parametrize("members", [5, 7, 20])
def test_cycles_that_do_not_divide_the_run_are_equally_long_and_end_with_it(make, members):
    plan = KINDS["snapshot"](make(), members, 0)
    assert len(plan.steps) == members
    assert plan.steps[-1] == 48
    found = rates(plan)
    lengths = [b - a for a, b in zip((0, *plan.steps), plan.steps, strict=False)]
    assert max(lengths) - min(lengths) <= 1
    for start, end in zip((0, *plan.steps), plan.steps, strict=False):
        cycle = found[start:end]
        assert cycle == sorted(cycle, reverse=True)  # falls until the member is taken
        assert start == 0 or found[start] > found[start - 1]


@pytest.mark.parametrize(("members", "share"), [(1, 0.8), (3, 0.8), (3, 0.5), (2, 0.9)])
def test_fast_geometric_cycles_are_those_of_their_paper(make, members, share):
    """Garipov et al. 2018: alpha(i) from t(i) = (mod(i - 1, c) + 1) / c; members where it is at its minimum."""
    high, low, total = 0.5, 0.1, 240
    plan = KINDS["fge"](make(epochs=30), members, 0, share=share, high=high, low=low)
    found, half = rates(plan), round((1 - share) * total / (2 * members - 1))
    first, c = total - half * (2 * members - 1), 2 * half
    assert found[:first] == pytest.approx(
        [high + (1 - high) * (1 + math.cos(math.pi * k / first)) / 2 for k in range(first)]
    )
    paper = []
    for i in range(1, total - first + 1):
        t = ((i - 1) % c + 1) / c
        paper.append((1 - 2 * t) * high + 2 * t * low if t <= 0.5 else (2 - 2 * t) * low + (2 * t - 1) * high)
    assert found[first:] == pytest.approx(paper)
    assert [found[step - 1] for step in plan.steps] == pytest.approx([low] * members)
    assert plan.steps[-1] == total
    assert first == pytest.approx(share * total, abs=members)


def test_independent_members_are_ends_of_the_problem_s_own_runs(make):
    problem = make(schedule="warmup(10%) > cosine")
    plan = KINDS["independent"](problem, 3, 5)
    assert plan.problem is problem
    assert (plan.seeds, plan.steps) == ((5, 6, 7), (48,))
    assert plan.members == [(0, 48), (1, 48), (2, 48)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("snapshot", ("snapshot", {})),
        ("independent()", ("independent", {})),
        ("fge(0.5, low=0.05)", ("fge", {"share": 0.5, "low": 0.05})),
        ("fge(high=1)", ("fge", {"high": 1.0})),
    ],
)
def test_a_kind_is_read_with_its_options(text, expected):
    assert read(text) == expected
    assert read(text)[1].keys() <= options_of(expected[0]).keys()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("snapshots", "unknown kind of ensemble 'snapshots'. Did you mean snapshot"),
        ("fge(lo=0.1)", "argument of fge 'lo'"),
        ("fge(low=5%)", "a comma or \\) should stand"),
        ("fge(low=small)", "low of fge='small' is not allowed; a number is needed"),
        ("snapshot(0.5)", r"snapshot was given too much; it is snapshot\(\)"),
        ("fge > snapshot", "nothing more should stand after 'fge'"),
        (None, "kind must be a text"),
    ],
)
def test_what_is_no_kind_is_refused(text, said):
    with pytest.raises(InputError, match=said):
        read(text)


@pytest.mark.parametrize(
    ("kind", "members", "options", "said"),
    [
        ("snapshot", 25, {}, "a run has only 48 updates"),
        ("fge", 20, {}, "a run has only 48 updates"),
        ("fge", 2, {"share": 0}, "share=0 is not allowed"),
        ("fge", 2, {"low": 2}, "low=2 is not allowed"),
        ("fge", 2, {"share": 1.0}, "a run has only 48 updates"),
    ],
)
def test_more_members_than_updates_allow_are_refused(make, kind, members, options, said):
    with pytest.raises(InputError, match=said):
        KINDS[kind](make(), members, 0, **options)
