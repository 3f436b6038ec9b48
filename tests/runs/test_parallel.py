"""Several processes share a run: the numbers of one process, one that writes, a resume, bytes counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from fallline.runs import train
from fallline.runs.feed import Share
from fallline.runs.parallel import Peers
from tests.child import Child

from . import problems
from .children import ranks, together

OPTIONS: dict[str, Any] = {"rule": "adamw", "lr": 0.01, "average": "ema(0.9)", "schedule": "cosine"}


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [1, 2, 10, 16])
def test_shares_are_even_and_make_up_the_batch(count: int, size: int) -> None:
    batch = torch.arange(size)
    shares = [Share(rank, count) for rank in range(count)]
    parts = [share(batch)[: share.examples(size)] for share in shares]
    assert torch.equal(torch.cat(parts), batch)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert all(len(share(batch)) for share in shares)


def test_two_processes_give_the_numbers_of_one_and_tell_what_they_exchange(tmp_path: Path) -> None:
    out = tmp_path / "run"
    children = together("plain", out, **OPTIONS)
    assert [child.end() for child in children] == [0, 0]
    alone = train(problems.plain(), **OPTIONS)
    shared = load_file(out / "model.safetensors")
    for name, value in alone.model.state_dict().items():
        torch.testing.assert_close(shared[name], value, rtol=1e-4, atol=1e-5)
    rows = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [row.step for row in alone.history]
    for row, mine in zip(rows[1:], alone.history[1:], strict=True):
        assert row["valid_loss"] == pytest.approx(mine.valid_loss, rel=1e-4)
        assert row["train_loss"] == pytest.approx(mine.train_loss, rel=1e-4)
        assert row["valid_metric"] == pytest.approx(mine.valid_metric)
    told = json.loads((tmp_path / "run.json").read_text())
    exchanged = 4 * sum(p.numel() for p in alone.model.parameters())  # a float for every parameter
    assert told["bytes_per_update"] == exchanged
    assert f"2 processes; each gave {exchanged} bytes of gradients an update to be summed" in told["summary"]
    assert alone.bytes_per_update == 0
    assert "processes" not in alone.summary()


@pytest.mark.parametrize(("processes", "sent"), [(2, 1_000), (4, 1_500), (8, 1_750)])
def test_what_a_ring_sends_is_told(processes: int, sent: int) -> None:
    # a ring sums in n - 1 steps and hands out in as many, each of a part in n
    run = replace(train(problems.plain(), epochs=1), processes=processes, bytes_per_update=1_000.0)
    assert f"{processes} processes; each gave 1,000 bytes" in run.summary()
    assert f"which is {sent:,} bytes sent and as many received" in run.summary()


def train_and_look_for_threads(environment: dict[str, str], writer: Any) -> None:
    """Tell with a byte that no thread of the group is left, while all that came out is."""
    os.environ.update(environment)
    torch.set_num_threads(1)
    alive: list[Any] = []
    wrap = Peers.wrap

    def noted(self: Peers, *given: Any, **options: Any) -> Any:
        alive.append(wrap(self, *given, **options))
        return alive[-1]

    Peers.wrap = noted  # type: ignore[method-assign]
    alive.append(train(problems.plain(), progress=False, **OPTIONS))
    names = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
    os.write(writer.fileno(), b"." if len(alive) == 2 and not any("gloo" in name for name in names) else b"")


@pytest.mark.skipif(sys.platform != "linux", reason="asks the system for its threads")
def test_a_group_ends_with_the_run_whoever_keeps_the_model() -> None:
    children = [Child(train_and_look_for_threads, environment) for environment in ranks(2)]
    assert [child.told(1) for child in children] == [1, 1]
    assert [child.end() for child in children] == [0, 0]


@pytest.mark.slow
def test_processes_that_are_killed_go_on_undisturbed(tmp_path: Path) -> None:
    for child in together("signs", tmp_path / "a", **OPTIONS):
        assert child.end() == 0
    children = together("signs", tmp_path / "b", **OPTIONS)
    children[0].told(4)
    for child in children:
        child.kill()
    for child in together("signs", tmp_path / "b", **OPTIONS):
        assert child.end() == 0
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in "ab")
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert losses(tmp_path / "a") == losses(tmp_path / "b")


def losses(out: Path) -> list[tuple[float, float]]:
    """The losses of a history."""
    rows = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    return [(row["train_loss"], row["valid_loss"]) for row in rows]


PROBLEM = """
import torch
from torch import nn
import fallline

x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
problem = fallline.Problem(lambda: nn.Linear(4, 2), train=(x, (x[:, 0] > 0).long()), epochs=2, batch_size=8)
"""


@pytest.mark.slow
def test_torchrun_shares_a_run_and_reports_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PROBLEM)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    started = subprocess.run(
        [*torchrun, "-m", "fallline", "train", "mine.py", "--out", "run", "--json"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert started.returncode == 0, started.stderr
    told = json.loads(started.stdout)  # by one of the two alone
    assert told["processes"] == 2
    assert told["bytes_per_update"] == 4 * (4 * 2 + 2)  # a float for every parameter
