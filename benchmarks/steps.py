"""One optimizer step beside those of `torch.optim`, pytorch_optimizer, optimi and HeavyBall: `make bench`.

Writes `benchmarks/RESULTS.md`: for every rule that has a peer and three models the time of a step as a share of each
peer's, the share of the streaming kernel's bandwidth, and the time to the first step.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from fallline.kernels import cost
from fallline.rules import get

from . import peers
from .shapes import MODELS
from .stream import Stream
from .timing import Timing, machine, nothing, side_by_side

REPEATS = {"digits MLP": (200, 41), "ResNet-18": (2, 31), "GPT-2 small": (1, 7)}
RESULTS = Path(__file__).with_name("RESULTS.md")
LIMIT_PEER, LIMIT_ADAM, LIMIT_STREAM = 1.05, 0.35, 0.95
LOSERS = 2.0
"""Peers this many times slower than the fastest are timed once and leave."""
BUDGET = 6.0
"""Seconds for a rule on a model, about."""
LONGEST = 8.0
"""Seconds a step above which a model is too large for a rule's measurement."""
COMPILED = 40.0
"""Seconds that a first step may take, to be compiled."""
ADAM_FAMILY = {"adam", "amsgrad", "adamw", "adamax", "nadam", "radam"}


@dataclass(frozen=True)
class Row:
    """One rule on one model."""

    rule: str
    model: str
    ours: Timing
    peers: dict[str, Timing]
    stream: Timing

    @property
    def fastest(self) -> str:
        """The peer path with the least median time."""
        return min(self.peers, key=lambda name: self.peers[name].seconds)

    def share(self, column: str) -> str:
        """Our time as a share of the fastest way's of a library; empty where it has none."""
        names = [name for name in self.peers if peers.column(name) == column]
        if not names:
            return ""
        return f"{self.ours.ratio(self.peers[min(names, key=lambda name: self.peers[name].seconds)]):.2f}"

    @property
    def ratio(self) -> float:
        """Our time as a share of the fastest peer's."""
        return self.ours.ratio(self.peers[self.fastest])

    @property
    def of_stream(self) -> float:
        """The share of the streaming kernel's bandwidth."""
        return self.stream.ratio(self.ours)

    @property
    def bandwidth(self) -> float:
        """Bytes a second that the step moves, counting every array read and written once."""
        length = sum(math.prod(shape) for shape in MODELS[self.model]())
        return length * cost(get(self.rule)).bytes_per_parameter / self.ours.seconds


@dataclass(frozen=True)
class Place:
    """Where steps are measured: how to wait for it, how often each model's are repeated, the yardstick."""

    device: str
    wait: Callable[[], None]
    repeats: dict[str, tuple[int, int]]
    stream: Callable[[int, int], Callable[[], object]]
    """`stream(length, written)`: moves as many bytes as a step that writes so many of its arrays."""


CPU = Place("cpu", nothing, REPEATS, Stream)


def measure(rules: list[str], models: list[str], place: Place = CPU) -> Iterator[Row]:
    """Every rule on every model that it can step in reasonable time."""
    for model in models:
        params = [torch.nn.Parameter(torch.randn(shape, device=place.device).mul_(0.1)) for shape in MODELS[model]()]
        for p in params:
            p.grad = torch.randn_like(p)
        for _ in range(20):  # or the first rule would pay for memory that the machine has yet to give
            place.stream(sum(p.numel() for p in params), 3)()
        for rule in rules:
            row = _row(rule, model, peers.suitable(rule, params), place)
            if row is not None:
                yield row
            gc.collect()


def _row(rule: str, model: str, params: list[torch.Tensor], place: Place) -> Row | None:
    length = sum(p.numel() for p in params)
    our_step = peers.ours(rule, params)
    if _seconds(our_step, place.wait) > LONGEST:
        return None
    alone = {}
    for name, make in peers.peers(rule, params):
        try:
            alone[name] = _seconds(make(), place.wait)
        except (TypeError, RuntimeError, ValueError, NotImplementedError):
            continue  # the class has no such way, or not for such tensors
        gc.collect()
    if not alone:
        return None
    close = {name: seconds for name, seconds in alone.items() if seconds <= LOSERS * min(alone.values())}
    # the stream next to ours in every round, since the machine's bandwidth drifts
    works = {"ours": our_step, "stream": place.stream(length, cost(get(rule)).writes)}
    works |= {name: make() for name, make in peers.peers(rule, params) if name in close}
    repeats, rounds = place.repeats[model]
    rounds = max(3, min(rounds, int(BUDGET / (repeats * sum(close.values()))) | 1))
    timed = side_by_side(works, repeats, rounds, place.wait)
    lost = {
        name: Timing((seconds,) * len(timed["ours"].rounds)) for name, seconds in alone.items() if name not in close
    }
    return Row(
        rule, model, timed.pop("ours"), {**lost, **{k: v for k, v in timed.items() if k != "stream"}}, timed["stream"]
    )


def _seconds(step: Callable[[], object], wait: Callable[[], None]) -> float:
    """A look at how long a step takes once it is warm; of one that takes very long, the first is told."""
    for _ in range(3):
        wait()
        start = time.perf_counter()
        step()
        wait()
        seconds = time.perf_counter() - start
        if seconds > COMPILED:
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


def table(rows: list[Row]) -> str:
    """The rows as Markdown, a table a model."""
    parts = []
    for model in dict.fromkeys(row.model for row in rows):
        unit, scale = ("µs", 1e6) if model == "digits MLP" else ("ms", 1e3)
        tensors = MODELS[model]()
        count = sum(math.prod(shape) for shape in tensors)
        parts.append(f"### {model}: {count:,} parameters in {len(tensors)} tensors\n")
        parts.append(
            f"| rule | step, {unit} | {' | '.join(f'of {c}' for c in peers.COLUMNS)} | of the fastest "
            "| of streaming | GB/s |"
        )
        parts.append("| --- |" + " ---: |" * (len(peers.COLUMNS) + 4))
        for row in (r for r in rows if r.model == model):
            shares = [row.share(column) for column in peers.COLUMNS]
            cells = [row.rule, f"{row.ours.seconds * scale:.1f}", *shares, f"**{row.ratio:.2f}**"]
            parts.append("| " + " | ".join([*cells, f"{row.of_stream:.0%}", f"{row.bandwidth / 1e9:.0f}"]) + " |")
        parts.append("")
    return "\n".join(parts)


def left_out(rows: list[Row], rules: list[str], models: list[str]) -> list[str]:
    """What was not measured, a line a model."""
    lines = []
    for model in models:
        measured = {row.rule for row in rows if row.model == model}
        missing = [rule for rule in rules if rule not in measured]
        if missing:
            lines.append(f"- {model}: not measured, a step takes over {LONGEST:.0f} s: {', '.join(missing)}")
    return lines


def verdicts(rows: list[Row], cold: float, cached: float) -> list[str]:
    """Each target, what was reached, and whether it was met."""
    worst = max(rows, key=lambda row: row.ratio)
    adam = [r for r in rows if r.model == "ResNet-18" and r.rule in ADAM_FAMILY and "default" in r.peers]
    large = [r for r in rows if r.model == "GPT-2 small"]
    lines = [_verdict(f"at most {LIMIT_PEER} times the fastest peer, everywhere", worst.ratio, LIMIT_PEER, worst)]
    if adam:
        slowest = max(adam, key=lambda row: row.ours.ratio(row.peers["default"]))
        share = slowest.ours.ratio(slowest.peers["default"])
        lines.append(_verdict(f"Adam family at most {LIMIT_ADAM} times the default path", share, LIMIT_ADAM, slowest))
    if large:
        least = min(large, key=lambda row: row.of_stream)
        text = f"at least {LIMIT_STREAM:.0%} of the streaming kernel's bandwidth"
        lines.append(_verdict(text, -least.of_stream, -LIMIT_STREAM, least))
    lines.append(f"- first step cold at most 1.5 s: {cold:.2f} s ({'met' if cold <= 1.5 else 'not met'})")
    lines.append(f"- first step from the cache at most 0.5 s: {cached:.2f} s ({'met' if cached <= 0.5 else 'not met'})")
    return lines


def _verdict(target: str, reached: float, limit: float, row: Row) -> str:
    met = "met" if reached <= limit else "not met"
    return f"- {target}: {abs(reached):.2f} at worst ({row.rule}, {row.model}): {met}"


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", nargs="+", default=peers.rules(), choices=peers.rules())
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--no-write", action="store_true", help="print the table and leave RESULTS.md as it is")
    given = parser.parse_args()
    console = Console(stderr=True)
    rows: list[Row] = []
    for row in measure(given.rules, given.models):
        rows.append(row)
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
            "as many flat arrays, one addition for each (`benchmarks/stream.py`), as a share of the step's.\n",
            f"Machine: {machine()}.\n",
            *verdicts(rows, cold, cached),
            *left_out(rows, given.rules, given.models),
            "",
            table(rows),
        ]
    )
    print(page)
    if not given.no_write:
        RESULTS.write_text(page)


if __name__ == "__main__":
    main()
