"""One optimizer step on a CUDA device beside those of other libraries: `make bench-gpu`.

Writes `benchmarks/GPU.md`: for every rule that has a peer and the two larger models the time of a step as a share of
each peer's, and the share of the bandwidth of a device-to-device copy. Rows are kept as they are measured; `--go-on`
takes a benchmark up again that was interrupted, and `--rules` and `--models` divide it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from . import peers
from .step_rows import Row, left_out, table, verdict
from .steps import LONGEST, Place, measure
from .timing import machine

MODELS = ("ResNet-18", "GPT-2 small")
REPEATS = {"ResNet-18": (50, 21), "GPT-2 small": (20, 21)}
RESULTS = Path(__file__).with_name("GPU.md")
KEPT = Path(__file__).parents[1] / "build" / "gpu_steps.jsonl"
LIMIT_FUSED, LIMIT_FOREACH = 1.05, 0.6
COMPILED = 60.0
"""Seconds that our first step may take on top: Triton compiles every pass."""


def copying(device: str, length: int, written: int) -> Callable[[], object]:
    """A copy that moves as many bytes as a step which reads `written` + 1 float32 arrays and writes `written`."""
    moved = length * (2 * written + 1) // 2
    source, target = (torch.zeros(moved, device=device) for _ in range(2))
    return lambda: target.copy_(source)


def on(device: str, wait: Callable[[], None]) -> Place:
    """A device as a place to measure at; `wait` returns when it has done what it was given."""
    return Place(device, wait, REPEATS, partial(copying, device), COMPILED)


def verdicts(rows: list[Row]) -> list[str]:
    """Each target, what was reached, and whether it was met."""
    fused = [row for row in rows if "fused" in row.peers]
    foreach = [row for row in rows if "fused" not in row.peers and "foreach" in row.peers]
    lines = []
    for path, beside, limit in (("fused", fused, LIMIT_FUSED), ("foreach", foreach, LIMIT_FOREACH)):
        if beside:
            share, worst = max(((row.ours.ratio(row.peers[path]), row) for row in beside), key=lambda pair: pair[0])
            lines.append(verdict(f"at most {limit} times torch.optim's {path} path", share, limit, worst))
            above = [(row, row.ours.ratio(row.peers[path])) for row in beside]
            above = [f"{row.rule} ({row.model}, {share:.2f})" for row, share in above if share > limit]
            lines += [f"- above it: {len(above)} of {len(beside)}: {', '.join(above)}"] if above else []
    return lines


def page(rows: list[Row], rules: list[str], models: list[str], where: str) -> str:
    """The rows as a page; `where` names the device."""
    lacking = [f"- not installed there: {', '.join(peers.missing())}"] if peers.missing() else []
    return "\n".join(
        [
            "# One step of every rule on a GPU\n",
            "Command: `make bench-gpu`. Medians of ratios, all paths in one process, in both orders; the device is",
            'waited for. "Of streaming" is the time of a copy that moves as many bytes, as a share of the step\'s.\n',
            f"Machine: {where}; {machine()}.\n",
            *verdicts(rows),
            *left_out(rows, rules, models, LONGEST),
            *lacking,
            "",
            table(rows),
        ]
    )


def measured(rules: list[str], models: list[str], place: Place, kept: Path, goes_on: bool) -> list[Row]:
    """The rows, kept in a file line by line, from which it `goes_on`."""
    kept.parent.mkdir(exist_ok=True)
    if not goes_on:
        kept.unlink(missing_ok=True)
    rows = [Row.from_json(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    rows = [row for row in rows if row.rule in rules and row.model in models]
    for row in _told(measure(rules, models, place, {(row.rule, row.model) for row in rows})):
        rows.append(row)
        with kept.open("a") as file:
            print(row.to_json(), file=file)
    return rows


def _told(rows: Iterable[Row]) -> Iterable[Row]:
    console = Console(stderr=True)
    for row in rows:
        line = f"{row.model:12} {row.rule:26} {row.ours.seconds * 1e3:9.3f} ms  {row.ratio:5.2f} of {row.fastest}"
        console.print(line, highlight=False, soft_wrap=True)
        yield row


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", nargs="+", default=peers.rules(), choices=peers.rules())
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--go-on", action="store_true", help="keep what an interrupted benchmark has measured")
    parser.add_argument("--kept", type=Path, default=KEPT, help="where rows are kept while it runs")
    parser.add_argument("--no-write", action="store_true", help="print the table and leave GPU.md as it is")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("error: this benchmark needs a CUDA device; PyTorch finds none.")
    rows = measured(given.rules, given.models, on("cuda", torch.cuda.synchronize), given.kept, given.go_on)
    text = page(rows, given.rules, given.models, torch.cuda.get_device_name())
    print(text)
    if not given.no_write:
        RESULTS.write_text(text)


if __name__ == "__main__":
    main()
