"""A comparison in a process of its own, killed while it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fallline.study.comparison import compare
from fallline.study.record import Record
from fallline.training import Trial

from .standins import Problem, Training, closeness

SETTINGS = {"rules": ["sgd", "adam"], "trials": 200, "seeds": 2, "progress": False}


def finished_ones_are_told(trial: Trial) -> float:
    """Called before each trial, when the one before it has been committed."""
    if TOLD:
        os.write(1, f"{TOLD[-1]}\n".encode())
    TOLD.append(f"{trial.rule.name} {trial.kind} {trial.number}")
    return closeness(trial)


TOLD: list[str] = []


@pytest.mark.parametrize("after", [1, 60])
def test_a_process_that_is_killed_loses_no_finished_trial(tmp_path: Path, after: int) -> None:
    command = [sys.executable, "-m", f"{__package__}.test_killed", str(tmp_path)]
    path = os.pathsep.join([str(Path(__file__).parents[__package__.count(".") + 1]), *filter(None, sys.path)])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}) as child:
        assert child.stdout is not None
        told = [child.stdout.readline().strip() for _ in range(after)]
        child.send_signal(signal.SIGKILL)
        told += child.stdout.read().split("\n")[:-1]
    assert child.returncode == -signal.SIGKILL

    with Record.read(tmp_path) as record:
        kept = record.trials(record.study_ids()[-1])
    assert set(told) <= {f"{t.rule} {t.kind} {t.number}" for t in kept}
    training = Training(closeness)
    resumed = compare(Problem(), out=tmp_path, _train=training, **SETTINGS)  # type: ignore[arg-type]
    assert len(training.trained) == 408 - len(kept)
    assert resumed.complete
    undisturbed = compare(Problem(), _train=Training(closeness), **SETTINGS)  # type: ignore[arg-type]
    assert [r.test_metric for r in resumed.rules] == [r.test_metric for r in undisturbed.rules]


if __name__ == "__main__":
    compare(Problem(), out=sys.argv[1], _train=Training(finished_ones_are_told), **SETTINGS)  # type: ignore[arg-type]
