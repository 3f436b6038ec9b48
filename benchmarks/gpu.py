"""One optimizer step on a CUDA device beside those of other libraries: `make bench-gpu`.

Writes `benchmarks/GPU.md`: for every rule that has a peer and the two larger models the time of a step as a share of
each peer's, and the share of the bandwidth of a device-to-device copy.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console

from . import peers
from .step_rows import Row, table, verdict
from .steps import Place, measure
from .timing import machine

MODELS = ("ResNet-18", "GPT-2 small")
REPEATS = {"ResNet-18": (50, 21), "GPT-2 small": (20, 21)}
RESULTS = Path(__file__).with_name("GPU.md")
LIMIT_FUSED, LIMIT_FOREACH = 1.05, 0.6


def copying(length: int, written: int) -> Callable[[], object]:
    """A copy that moves as many bytes as a step which reads `written` + 1 float32 arrays and writes `written`."""
    moved = length * (2 * written + 1) // 2
    source, target = (torch.zeros(moved, device="cuda") for _ in range(2))
    return lambda: target.copy_(source)


def verdicts(rows: list[Row]) -> list[str]:
    """Each target, what was reached, and whether it was met."""
    fused = [row for row in rows if "fused" in row.peers]
    foreach = [row for row in rows if "fused" not in row.peers and "foreach" in row.peers]
    lines = []
    for path, beside, limit in (("fused", fused, LIMIT_FUSED), ("foreach", foreach, LIMIT_FOREACH)):
        if beside:
            share, worst = max(((row.ours.ratio(row.peers[path]), row) for row in beside), key=lambda pair: pair[0])
            lines.append(verdict(f"at most {limit} times torch.optim's {path} path", share, limit, worst))
    return lines


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", nargs="+", default=peers.rules(), choices=peers.rules())
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--no-write", action="store_true", help="print the table and leave GPU.md as it is")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("error: this benchmark needs a CUDA device; PyTorch finds none.")
    place = Place("cuda", torch.cuda.synchronize, REPEATS, copying)
    console = Console(stderr=True)
    rows = []
    for row in measure(given.rules, given.models, place):
        rows.append(row)
        console.print(f"{row.model:12} {row.rule:26} {row.ours.seconds * 1e3:9.3f} ms  {row.ratio:5.2f} {row.fastest}")
    page = "\n".join(
        [
            "# One step of every rule on a GPU\n",
            "Command: `make bench-gpu`. Medians of ratios, all paths in one process, in both orders; the device is",
            'waited for. "Of streaming" is the time of a copy that moves as many bytes, as a share of the step\'s.\n',
            f"Machine: {torch.cuda.get_device_name()}; {machine()}.\n",
            *verdicts(rows),
            "",
            table(rows),
        ]
    )
    print(page)
    if not given.no_write:
        RESULTS.write_text(page)


if __name__ == "__main__":
    main()
