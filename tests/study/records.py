"""A study to keep, for the tests of the record."""

from __future__ import annotations

import math

from fallline.study.plan import Plan, trial_key
from fallline.study.record.record import Record
from fallline.study.result import TrialRecord
from fallline.training import Point

PLAN = Plan(
    "digits",
    "accuracy",
    True,
    None,
    2,
    1,
    0,
    ({"name": "sgd", "fingerprint": "x", "hypers": []},),
    {"fingerprint": "p"},
)
POINTS = (Point(0, 0, 0.0, None, 2.3, 0.1), Point(1, 10, 0.1 + 0.2, math.inf, math.nan, 1 / 3))
TRIAL = TrialRecord(
    rule="sgd",
    kind="search",
    number=0,
    seed=0,
    settings={"lr": 0.1},
    state="finished",
    reason="",
    curve=POINTS,
    steps=10,
    seconds=0.3,
    step_seconds=1e-5,
    test_loss=None,
    test_metric=None,
    versions={"python": "3.11"},
    machine={"cores": 2},
    started="2024-01-01T00:00:00+00:00",
    own={"width": 64, "dropout": 0.1 + 0.2, "augment": "flip", "norm": True},
)


def key_of(trial: TrialRecord) -> str:
    return trial_key("p", trial.rule, "x", trial.kind, trial.seed, trial.settings)


def fill(record: Record, *trials: TrialRecord) -> str:
    """Start the study of `PLAN`, plan the trials and store them."""
    study = record.start(PLAN, {"python": "3.11"}, {"cores": 2})
    record.plan(study, [(t.rule, t.kind, t.number, key_of(t)) for t in trials])
    record.add_many([(key_of(trial), "p", "x", trial) for trial in trials])
    return study
