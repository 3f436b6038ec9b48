"""One optimizer step beside those of `torch.optim`, pytorch_optimizer, optimi and HeavyBall: `make bench`.

Writes `benchmarks/RESULTS.md`: for every rule that has a peer and three models the time of a step as a share of each
peer's, the share of the streaming kernel's bandwidth, and the time to the first step.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from fallline.kernels import cost
from fallline.rules import get

from . import peers
from .shapes import MODELS
from .step_rows import Row, left_out, table, verdicts
from .stream import Stream
from .timing import Timing, machine, nothing, side_by_side

REPEATS = {"digits MLP": (200, 41), "ResNet-18": (2, 31), "GPT-2 small": (1, 7)}
RESULTS = Path(__file__).with_name("RESULTS.md")
KEPT = Path(__file__).parents[1] / "build" / "steps.jsonl"
"""Rows as they were measured, for a benchmark that is interrupted."""
LOSERS = 2.0
"""Peers this many times slower than the fastest are timed once and leave."""
BUDGET = 6.0
"""Seconds for a rule on a model, about."""
LONGEST = 60.0
"""Seconds a step above which a model is too large for a rule's measurement."""
COLD = 1.0
"""Seconds above which a step is its own warming-up."""
COMPILED, OURS_COMPILED = 60.0, 4.0
"""Seconds that a peer's first step, and ours, may take on top, to be compiled."""


@dataclass(frozen=True)
class Place:
    """Where steps are measured: how to wait for it, how often each model's are repeated, the yardstick."""

    device: str
    wait: Callable[[], None]
    repeats: dict[str, tuple[int, int]]
    stream: Callable[[int, int], Callable[[], object]]
    """`stream(length, written)`: moves as many bytes as a step that writes so many of its arrays."""
    compiled: float = OURS_COMPILED
    """Seconds that our first step may take on top, to be compiled."""


CPU = Place("cpu", nothing, REPEATS, Stream)


def measure(
    rules: list[str], models: list[str], place: Place = CPU, known: Collection[tuple[str, str]] = ()
) -> Iterator[Row]:
    """Every rule on every model that it can step in reasonable time, but for the (rule, model) that are `known`."""
    for model in models:
        if all((rule, model) in known for rule in rules):
            continue
        params = [torch.nn.Parameter(torch.randn(shape, device=place.device).mul_(0.1)) for shape in MODELS[model]()]
        for p in params:
            p.grad = torch.randn_like(p)
        for _ in range(20):  # or the first rule would pay for memory that the machine has yet to give
            place.stream(sum(p.numel() for p in params), 3)()
        for rule in (rule for rule in rules if (rule, model) not in known):
            row = _row(rule, model, peers.suitable(rule, params), place)
            if row is not None:
                yield row
            gc.collect()


def _row(rule: str, model: str, params: list[torch.Tensor], place: Place) -> Row | None:
    length = sum(p.numel() for p in params)
    our_step = peers.ours(rule, params)
    if _seconds(our_step, place.wait, place.compiled) > LONGEST:
        return None
    alone = {}
    for name, make in peers.peers(rule, params):
        try:
            alone[name] = _seconds(make(), place.wait, COMPILED)
        except (TypeError, RuntimeError, ValueError, NotImplementedError) as error:
            # the class has no such way, or not for such tensors
            print(f"{model} {rule}: without {name}: {str(error)[:200]}", file=sys.stderr)
            continue
        gc.collect()
    if not alone:
        return None
    close = {name: seconds for name, seconds in alone.items() if seconds <= LOSERS * min(alone.values())}
    # the stream next to ours in every round, since the machine's bandwidth drifts
    works = {"ours": our_step, "stream": place.stream(length, cost(get(rule)).writes)}
    works |= {name: make() for name, make in peers.peers(rule, params) if name in close}
    repeats, rounds = place.repeats[model]
    rounds = max(3, min(rounds, int(BUDGET / (repeats * sum(close.values()))) | 1))
    warms = min(alone.values()) < COLD
    timed = side_by_side(works, repeats, rounds, place.wait, warms)
    lost = {
        name: Timing((seconds,) * len(timed["ours"].rounds)) for name, seconds in alone.items() if name not in close
    }
    return Row(
        rule, model, timed.pop("ours"), {**lost, **{k: v for k, v in timed.items() if k != "stream"}}, timed["stream"]
    )


def _seconds(step: Callable[[], object], wait: Callable[[], None], compiled: float) -> float:
    """A look at how long a step takes once it is warm; of one that takes very long, the first is told."""
    for k in range(3):
        wait()
        start = time.perf_counter()
        step()
        wait()
        seconds = time.perf_counter() - start
        if seconds > (COLD if k else compiled + LONGEST):
            break
    return seconds


FIRST_STEP = """
import time, torch, fallline
from fallline import optim
p = torch.ones(1000, requires_grad=True); p.grad = torch.ones(1000)
start = time.perf_counter()
optim.Adam([p]).step()
print(time.perf_counter() - start)
"""


def first_steps(times: int = 3) -> tuple[float, float]:
    """Seconds from making an optimizer to the end of its first step, in a new process: cold, and from the cache."""
    cold, cached = [], []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(_first_step(cache))
            cached.append(_first_step(cache))
    return sorted(cold)[times // 2], sorted(cached)[times // 2]


def _first_step(cache: str) -> float:
    env = {**os.environ, "FALLLINE_CACHE_DIR": cache}
    out = subprocess.run([sys.executable, "-c", FIRST_STEP], env=env, check=True, capture_output=True, text=True)
    return float(out.stdout)


def bound_memory() -> None:
    """Have what takes more memory than the machine has fail, and be left out, where it would end the benchmark."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    resource.setrlimit(resource.RLIMIT_DATA, (whole, whole))


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", nargs="+", default=peers.rules(), choices=peers.rules())
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--no-write", action="store_true", help="print the table and leave RESULTS.md as it is")
    parser.add_argument("--go-on", action="store_true", help="keep what an interrupted benchmark has measured")
    parser.add_argument("--page-only", action="store_true", help="write the page of what was measured so far")
    given = parser.parse_args()
    bound_memory()
    console = Console(stderr=True)
    KEPT.parent.mkdir(exist_ok=True)
    if not (given.go_on or given.page_only):
        KEPT.unlink(missing_ok=True)
    rows = [Row.from_json(line) for line in KEPT.read_text().splitlines()] if KEPT.exists() else []
    known = {(row.rule, row.model) for row in rows}
    for row in () if given.page_only else measure(given.rules, given.models, known=known):
        rows.append(row)
        with KEPT.open("a") as file:
            print(row.to_json(), file=file)
        console.print(
            f"{row.model:12} {row.rule:26} {row.ours.seconds * 1e3:9.3f} ms  {row.ratio:5.2f} of {row.fastest:8}"
            f" {row.of_stream:5.0%} of stream",
            highlight=False,
            soft_wrap=True,
        )
    cold, cached = first_steps()
    page = "\n".join(
        [
            "# One step of every rule\n",
            "Command: `make bench`. Medians of ratios, all paths in one process, in both orders; gradients stay where",
            'they are, so that only the step is timed. "Of streaming" is the time of a plain kernel that streams',
            "as many flat arrays, one addition for each (`benchmarks/stream.py`), as a share of the step's. Where a",
            "rule or a peer takes matrices alone, the tensors that are stepped are told beside it, with their size.\n",
            f"Machine: {machine()}.\n",
            *verdicts(rows, cold, cached),
            *left_out(rows, given.rules, given.models, LONGEST),
            "",
            table(rows),
        ]
    )
    print(page)
    if not given.no_write:
        RESULTS.write_text(page)


if __name__ == "__main__":
    main()
