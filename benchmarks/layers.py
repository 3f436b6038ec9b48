"""Forward and backward of many trials, stacked and one after another, for each family of layers.

    python -m benchmarks.layers [--trials 32] [--examples 32] [--models MLP LSTM]

Writes `benchmarks/LAYERS.md` where nothing else is asked for.

"Alone" are the plain modules one after another, as PyTorch runs them; "two processes" is what two processes of one
thread each could reach at best: half the time of one after another on one thread.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, stack_module_state

from fallline.stacking import Draws, over_trials

from .models import MODELS, Model
from .timing import Timing, machine, side_by_side

ROUNDS = 9
RESULTS = Path(__file__).with_name("LAYERS.md")
HEAD = """# What a stack gains, by the layers of a model

Command: `python -m benchmarks.layers`. Forward and backward of {trials} trials with batches of {examples}: stacked, and
one after another as plain modules. Medians of ratios in one process, both orders. The last two columns are what two
processes of one thread each could reach at best, and both on one thread.

Machine: {machine}.

"""


class Row(NamedTuple):
    """One model: times of the stack and of one trial after another, with all threads and with one."""

    model: str
    stacked: Timing
    alone: Timing
    stacked_1: Timing
    alone_1: Timing


def works(model: Model, trials: int, examples: int) -> dict[str, Callable[[], Any]]:
    """A gradient step of all trials, stacked and alone."""
    modules = [model.make() for _ in range(trials)]
    batches = [model.batch(examples, seed) for seed in range(trials)]
    parameters, buffers = stack_module_state(modules)
    x, y = (torch.stack(parts) for parts in zip(*batches, strict=True))
    skeleton = copy.deepcopy(modules[0])
    names, held = [*parameters, *buffers], [*parameters.values(), *buffers.values()]
    leaves = list(parameters.values())

    def loss(x: Tensor, y: Tensor, *held: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(skeleton, dict(zip(names, held, strict=True)), (x,)), y)

    losses = over_trials(loss, (0,) * (2 + len(held)), Draws(range(trials)))

    def stacked() -> None:
        torch.autograd.grad(losses(x, y, *held).sum(), leaves)

    def alone() -> None:
        for module, (x, y) in zip(modules, batches, strict=True):
            torch.autograd.grad(F.cross_entropy(module(x), y), list(module.parameters()))

    return {"stacked": stacked, "alone": alone}


def measure(name: str, trials: int, examples: int) -> Row:
    """Times of a model."""
    todo = works(MODELS[name], trials, examples)
    threads = torch.get_num_threads()
    found = side_by_side(todo, 3, ROUNDS)
    torch.set_num_threads(1)
    try:
        single = side_by_side(todo, 3, ROUNDS)
    finally:
        torch.set_num_threads(threads)
    return Row(name, found["stacked"], found["alone"], single["stacked"], single["alone"])


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "| model | stacked, ms | alone, ms | alone / stacked | two processes / stacked | one thread: alone / stacked |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        cells = [
            row.model,
            f"{row.stacked.seconds * 1e3:.1f}",
            f"{row.alone.seconds * 1e3:.1f}",
            f"**{row.alone.ratio(row.stacked):.2f}**",
            f"{row.alone_1.seconds / 2 / row.stacked.seconds:.2f}",
            f"{row.alone_1.ratio(row.stacked_1):.2f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--examples", type=int, default=32)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    given = parser.parse_args()
    rows = [measure(name, given.trials, given.examples) for name in given.models]
    text = HEAD.format(trials=given.trials, examples=given.examples, machine=machine()) + table(rows) + "\n"
    print(text)
    if given == parser.parse_args([]):
        RESULTS.write_text(text)


if __name__ == "__main__":
    main()
