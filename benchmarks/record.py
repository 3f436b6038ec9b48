"""A large record: its size, the time to write it, to open it and to write its report.

python -m benchmarks.record [--trials 10000] [--points 100]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from fallline.rules import get
from fallline.study import Result
from fallline.study.described import describe
from fallline.study.plan import Plan, trial_key
from fallline.study.record.opening import FILE
from fallline.study.record.record import Item, Record
from fallline.study.record.recover import recover
from fallline.study.result import TrialRecord
from fallline.training import Point

RULES = ("sgd", "momentum", "adam", "adamw")
SEEDS = 5
TOGETHER = 64
VERSIONS, MACHINE = {"python": "3.11", "torch": "2.6"}, {"cpu": "made up", "cores": 2}


def plan(trials: int) -> Plan:
    """Four rules that share the trials."""
    return Plan(
        problem_name="made up",
        metric_name="accuracy",
        maximize=True,
        target=None,
        trials=trials // len(RULES) - 2 * SEEDS,
        seeds=SEEDS,
        seed=0,
        rules=tuple(describe(get(name)) for name in RULES),
        problem={"fingerprint": "p" * 16, "sizes": {"train": 1000, "valid": 250, "test": 250}, "share": True},
    )


def finished(of: Plan, points: int) -> Iterator[Item]:
    """Every trial of a plan, with curves whose digits are all used."""
    draw = np.random.default_rng(0)
    for rule in map(get, RULES):
        text = next(str(known["fingerprint"]) for known in of.rules if known["name"] == rule.name)
        for kind, count in (("search", of.trials), ("tuned", of.seeds), ("default", of.seeds)):
            for number in range(count):
                settings = {name: float(space.sample(draw.random())) for name, space in rule.space.items()}
                settings = {**rule.defaults, **settings}
                noise = draw.random((points, 4)).tolist()
                curve = tuple(
                    Point(e, 10 * e, e + s, a if e else None, b, 0.9 * e / points + 0.1 * c)
                    for e, (s, a, b, c) in enumerate(noise)
                )
                test = None if kind == "search" else draw.random()
                trial = TrialRecord(
                    rule=rule.name,
                    kind=kind,
                    number=number,
                    seed=number,
                    settings=settings,
                    state="finished",
                    reason="",
                    curve=curve,
                    steps=10 * points,
                    seconds=draw.random(),
                    step_seconds=1e-4 * draw.random(),
                    test_loss=test,
                    test_metric=test,
                    versions=VERSIONS,
                    machine=MACHINE,
                    started="2025-01-01T00:00:00.000+00:00",
                )
                key = trial_key("p" * 16, rule.name, text, kind, number, settings)
                yield key, "p" * 16, text, trial


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print the seconds that something took."""
    started = time.perf_counter()
    yield
    print(f"{what}: {time.perf_counter() - started:.2f} s")


def main() -> None:
    """Write a record, load it, write its report; the process's largest memory at the end."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--trials", type=int, default=10_000)
    options.add_argument("--points", type=int, default=100)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory)
        of = plan(given.trials)
        items = list(finished(of, given.points))
        with timed(f"write {len(items):,} trials, {TOGETHER} a transaction"), Record.create(out) as record:
            study = record.start(of, VERSIONS, MACHINE)
            record.plan(study, [(t.rule, t.kind, t.number, key) for key, *_, t in items])
            for i in range(0, len(items), TOGETHER):
                record.add_many(items[i : i + TOGETHER])
        print(f"size: {(out / FILE).stat().st_size / 1e6:.1f} MB")
        with timed("open to write"), Record.create(out):
            pass
        with timed("read the trials"), Record.read(out) as record:
            record.trials(study)
        with timed("Result.load"):
            result = Result.load(out)
        with timed("write the report"):
            page = result.report(out / "report.html")
        print(f"report: {page.stat().st_size / 1e6:.1f} MB")
        with timed("fallline recover"):
            saved = recover(out, out / "recovered")
        assert saved.trials == len(items)
    print(f"largest memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
