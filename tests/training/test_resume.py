"""Training that is stopped at any moment and gone on with: the same bits as if nothing had happened."""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fallline.problems import Problem
from fallline.rules import get
from fallline.training import Execution, Outcome, Rungs, Trial, checkpoint, train
from tests.child import Child

from .stopping import stop_every, train_in_pieces


def bits(outcome: Outcome) -> list[object]:
    """Everything but the times."""
    points = [(p.epoch, p.step, p.train_loss, p.valid_loss, p.valid_metric) for p in outcome.curve]
    return [outcome.state, outcome.reason, points, outcome.steps, outcome.test_loss, outcome.test_metric]


def problem(epochs: int = 4, augmented: bool = False, examples: int = 150) -> Problem:
    """Dropout, batch norm and a model that draws noise itself: whatever resuming could get wrong."""

    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm = nn.Linear(5, 8), nn.BatchNorm1d(8)
            self.drop, self.last = nn.Dropout(0.2), nn.Linear(8, 3)

        def forward(self, x):
            h = self.norm(self.first(x)).tanh()
            if self.training:
                h = h + 0.1 * torch.randn_like(h)
            return self.last(self.drop(h))

    def jitter(x, y):
        return x + 0.1 * torch.randn_like(x), y

    generator = torch.Generator().manual_seed(0)
    y = torch.randint(0, 3, (examples,), generator=generator)
    x = torch.randn(3, 5, generator=generator)[y] + 0.5 * torch.randn(examples, 5, generator=generator)
    return Problem(Noisy, (x, y), batch_size=10, epochs=epochs, augment=jitter if augmented else None)


def trials(count: int = 6) -> list[Trial]:
    names = ("adam", "sgd", "nadam", "lion")
    return [
        Trial(get(names[k % 4]), {"lr": 0.01 if k != 5 else 1e25}, k % 3, ("search", "tuned")[k % 2], k)
        for k in range(count)
    ]


NAMES = [f"trial {k}" for k in range(6)]


@pytest.mark.parametrize("augmented", [False, True])
@pytest.mark.parametrize("execution", [Execution(), Execution(width=6), Execution(width=4)], ids=str)
def test_stopped_between_steps_it_ends_with_the_same_bits(tmp_path, monkeypatch, execution, augmented):
    made = problem(augmented=augmented)
    undisturbed = dict(chain.from_iterable(train(made, trials(), execution=execution)))
    stop_every(7, monkeypatch)
    resumed = train_in_pieces(made, trials(), tmp_path, execution=execution)
    assert {k: bits(v) for k, v in resumed.items()} == {k: bits(v) for k, v in undisturbed.items()}
    assert list(tmp_path.iterdir()) == []


def test_rungs_decide_the_same_after_every_interrupt(tmp_path):
    made = problem(epochs=4)
    every = [Trial(get("adam"), {"lr": 0.001 * 2**k}, k, "search", k) for k in range(6)]

    def rungs(left):
        def survivors(epoch, curves):
            ranked = sorted(curves, key=lambda k: curves[k][-1].valid_loss)
            return set(ranked[: len(ranked) // 2])

        return Rungs((1, 2), survivors)

    for execution in (Execution(width=6), Execution(width=4), Execution()):
        undisturbed = dict(chain.from_iterable(train(made, every, execution=execution, rungs=rungs(range(6)))))
        stops = [0]

        def stop_now_and_then(index, point, stops=stops):
            stops[0] += 1
            if stops[0] % 5 == 4:
                raise KeyboardInterrupt

        given = {"execution": execution, "on_epoch": stop_now_and_then}
        finished = train_in_pieces(made, every, tmp_path, rungs, **given)
        assert {k: bits(v) for k, v in finished.items()} == {k: bits(v) for k, v in undisturbed.items()}
        assert list(tmp_path.iterdir()) == []


def train_the_rest(directory: Path, execution: Execution) -> dict[int, list[object]]:
    """Train what is not in the record, here a file for each list of trials that ended together; all that is in it."""
    recorded = {int(k): v for path in directory.glob("*.json") for k, v in json.loads(path.read_text()).items()}
    left = [k for k in range(6) if k not in recorded]
    given = {"execution": execution, "keep": directory / "checkpoints", "names": [NAMES[k] for k in left]}
    for ended in train(problem(epochs=30), [trials()[k] for k in left], **given):
        found = {left[place]: bits(outcome) for place, outcome in ended}
        path = directory / f"{min(found)}.json"
        path.with_suffix(".tmp").write_text(json.dumps(found))
        path.with_suffix(".tmp").replace(path)
        recorded |= {k: json.loads(json.dumps(v)) for k, v in found.items()}
    return recorded


def train_often_kept(directory: str, execution: Execution, writer: Any) -> None:
    """The same, with a checkpoint as soon as the last one is written; what begins is told."""
    torch.set_num_threads(1)
    checkpoint._SECONDS, checkpoint._SHARE = 0.0, 0.5
    os.write(writer.fileno(), b".")
    train_the_rest(Path(directory), execution)


@pytest.mark.parametrize("execution", [Execution(width=6), Execution(processes=2)], ids=str)
def test_killed_at_any_instant_it_ends_with_the_same_bits(tmp_path, execution):
    (tmp_path / "undisturbed").mkdir()
    (tmp_path / "killed").mkdir()
    undisturbed = train_the_rest(tmp_path / "undisturbed", execution)
    killed = tmp_path / "killed"
    chance = np.random.default_rng(0)
    for _ in range(3 if execution.processes < 2 else 2):
        child = Child(train_often_kept, str(killed), execution)
        assert child.told(1) == 1
        wait_for_a_checkpoint(killed / "checkpoints", child, chance.uniform(0, 0.5))
        child.kill()
    assert len(list(killed.glob("*.json"))) < 6
    assert train_the_rest(killed, execution) == undisturbed
    assert list((killed / "checkpoints").iterdir()) == []


def be_killed_while_writing(directory: str, _: Any) -> None:
    kept = checkpoint.Checkpoints(Path(directory), NAMES)
    kept.save({}, {})
    os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
    kept.save({}, {})


def test_what_a_killed_process_was_writing_goes_with_the_checkpoint(tmp_path):
    assert Child(be_killed_while_writing, str(tmp_path)).end() == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2
    checkpoint.Checkpoints(tmp_path, NAMES).remove()
    assert list(tmp_path.iterdir()) == []


def wait_for_a_checkpoint(directory: Path, child: Child, seconds: float) -> None:
    """Wait until there is one, then for some more time."""
    until = time.monotonic() + 60
    while not list(directory.glob("*.safetensors")) and child.process.is_alive():
        assert time.monotonic() < until
    until = time.monotonic() + seconds
    while time.monotonic() < until and child.process.is_alive():
        pass


def test_a_full_disk_costs_the_checkpoint_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_SECONDS", 0.0)
    made, execution = problem(), Execution(width=6)
    undisturbed = dict(chain.from_iterable(train(made, trials(), execution=execution)))

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.warns(UserWarning, match="no checkpoint could be written.*No space left"):
        got = dict(chain.from_iterable(train(made, trials(), execution=execution, keep=tmp_path, names=NAMES)))
    assert {k: bits(v) for k, v in got.items()} == {k: bits(v) for k, v in undisturbed.items()}
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_checkpoint_is_not_taken_for_one(tmp_path):
    made, execution = problem(), Execution(width=6)
    undisturbed = dict(chain.from_iterable(train(made, trials(), execution=execution)))
    (tmp_path / "broken.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    got = dict(chain.from_iterable(train(made, trials(), execution=execution, keep=tmp_path, names=NAMES)))
    assert {k: bits(v) for k, v in got.items()} == {k: bits(v) for k, v in undisturbed.items()}


def test_only_the_trials_that_may_start_are_trained():
    made = problem(epochs=1)
    asked: list[list[int]] = []

    def odd(indices):
        asked.append(list(indices))
        return [k for k in indices if k % 2]

    for execution in (Execution(width=3), Execution(), Execution(processes=2)):
        asked.clear()
        got = dict(chain.from_iterable(train(made, trials(), execution=execution, may_start=odd)))
        assert sorted(got) == [1, 3, 5]
        assert sorted(chain.from_iterable(asked)) == list(range(6))
