"""Adam with its state in float32, in bfloat16 and in 8 bits: seconds, bytes, and what is lost.

`python -m benchmarks.low_memory` prints the page and writes `benchmarks/LOW_MEMORY.md`. With the environment variable
`FALLLINE_DATA` at a directory that has `tiny-shakespeare/input.txt`, a model of its characters is trained too.
"""

from __future__ import annotations

import argparse
import gc
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fallline import optim
from fallline.kernels import cost
from fallline.rules import get

from . import low_memory_codes, low_memory_training
from .shapes import MODELS
from .timing import Timing, machine, side_by_side

REPEATS = {"ResNet-18": (2, 31), "GPT-2 small": (1, 9)}
STATES = {"float32": "adam", "bfloat16": "state_bfloat16(adam)", "8 bits": "state_8bit(adam)"}
LIMIT, SHARE = 1.3, 0.25
RESULTS = Path(__file__).with_name("LOW_MEMORY.md")


@dataclass(frozen=True)
class Row:
    """Adam with one storage on one model."""

    model: str
    state: str
    timing: Timing
    reference: Timing
    state_bytes: int
    """Of all tensors that the optimizer keeps."""
    parameters: int

    @property
    def ratio(self) -> float:
        """Time as a share of float32's."""
        return self.timing.ratio(self.reference)

    @property
    def per_parameter(self) -> float:
        """Bytes of state for each parameter."""
        return self.state_bytes / self.parameters


def measure(models: list[str]) -> Iterator[Row]:
    """Every storage on every model, side by side."""
    for model in models:
        made = {state: _optimizer(rule, model) for state, rule in STATES.items()}
        timed = side_by_side({state: optimizer.step for state, optimizer in made.items()}, *REPEATS[model])
        count = sum(math.prod(shape) for shape in MODELS[model]())
        for state, optimizer in made.items():
            yield Row(model, state, timed[state], timed["float32"], _bytes(optimizer), count)
        del made, optimizer
        gc.collect()


def _optimizer(rule: str, model: str) -> Any:
    params = [nn.Parameter(torch.randn(shape).mul_(0.1)) for shape in MODELS[model]()]
    for p in params:
        p.grad = torch.randn_like(p)
    return optim.optimizer(rule, params, lr=1e-6)


def _bytes(optimizer: Any) -> int:
    values = (value for state in optimizer.state.values() for value in state.values())
    return sum(value.nbytes for value in values if isinstance(value, torch.Tensor))


def table(rows: list[Row]) -> list[str]:
    """The rows as Markdown."""
    lines = [
        "| model | state | step, ms | of float32's time | bytes of state a parameter | of float32's | in the sheet |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        whole = next(other for other in rows if other.model == row.model and other.state == "float32")
        sheet = cost(get(STATES[row.state])).state_bytes
        numbers = f"{row.timing.seconds * 1e3:.2f} | **{row.ratio:.2f}** | {row.per_parameter:.3f}"
        share = row.state_bytes / whole.state_bytes
        lines.append(f"| {row.model} | {row.state} | {numbers} | {share:.1%} | {sheet:g} |")
    return lines


def verdicts(rows: list[Row]) -> list[str]:
    """Each target, what was reached, and whether it was met."""
    low = [row for row in rows if row.state == "8 bits"]
    slowest = max(low, key=lambda row: row.ratio)
    share = max(row.per_parameter / (4 * 2) for row in low)
    return [
        f"- 8 bits at most {LIMIT} times float32: {slowest.ratio:.2f} at worst ({slowest.model}): "
        f"{'met' if slowest.ratio <= LIMIT else 'not met'}",
        f"- a quarter of its state, and a byte for each 256 elements: {share:.1%} at most: "
        f"{'met' if share <= SHARE * 1.02 else 'not met'}",
    ]


PAGE = """\
# Optimizer state and weights in few bits

Command: `python -m benchmarks.low_memory`.

Machine: {machine}.

{verdicts}

## A step

Medians, and medians of ratios, all in one process, in both orders; bytes are counted over the state's tensors.

{steps}

## What is kept of a moment

The last of {count} steps of Adam whose moments were rounded at every one, beside the step with moments in float64: the
cosine between both, the length as a share, and the root of `v` as a share of the exact one at two percentiles. The
gradients' sizes within a block of 256 are {alike} (alike) or {unlike} (unlike) apart, in standard deviations of their
logarithm, and shrink by up to twice that, in the logarithm too. The dynamic map is that of Dettmers et al. 2022
(arXiv:2110.02861), as in bitsandbytes, with a scale in float32 for each block.

{codes}

Rounded to nearest, `v` stands still wherever a step changes it by less than half a place, and steps get too long or too
short. The dynamic map rounds small second moments to zero, by which is then divided. Codes that are floating-point
numbers counted from the block's largest have the range, rounding at random has the mean, and both are a few operations
on bits.

## Trained models

AdamW with a rate that falls to nothing, {seeds} seeds; losses on what is held out.

{training}
"""


def main() -> None:
    """Measure, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(REPEATS), choices=list(REPEATS))
    parser.add_argument("--only-steps", action="store_true", help="time steps, print the table and write nothing")
    given = parser.parse_args()
    rows = list(measure(given.models))
    if given.only_steps:
        print("\n".join([*verdicts(rows), *table(rows)]))
        return
    page = PAGE.format(
        machine=machine(),
        verdicts="\n".join(verdicts(rows)),
        steps="\n".join(table(rows)),
        count=low_memory_codes.STEPS,
        **low_memory_codes.SPREADS,
        codes="\n".join(low_memory_codes.table()),
        seeds=len(low_memory_training.SEEDS),
        training="\n".join(low_memory_training.table()),
    )
    print(page)
    RESULTS.write_text(page)


if __name__ == "__main__":
    main()
