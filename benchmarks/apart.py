"""The two steps of `torch.optim` that the table of rules cannot hold: of sparse gradients, and of a full batch.

    python -m benchmarks.apart

Writes `benchmarks/APART.md`: Adam on the rows that a batch looks up beside `SparseAdam`, and L-BFGS beside `LBFGS`.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from fallline import optim

from .shapes import MODELS
from .timing import Timing, machine, side_by_side

LIMIT = 1.05
RESULTS = Path(__file__).with_name("APART.md")
TABLES = {"1,000 rows of 64": (1000, 64), "10,000 rows of 256": (10_000, 256), "50,257 rows of 768": (50_257, 768)}
LOOKED_UP = 1024
"""Rows that a batch names, some of them twice."""
HISTORY, ITERATIONS = 10, 20
FULL_BATCH = ("digits MLP", "ResNet-18")
"""Ten pairs of vectors of the third model do not fit the memory twice."""


def sparse(rows: int, width: int) -> dict[str, Timing]:
    """A lazy step of both on a table of embeddings."""
    generator = torch.Generator().manual_seed(0)
    named = torch.randint(rows, (1, LOOKED_UP), generator=generator)
    gradient = torch.sparse_coo_tensor(named, torch.randn(LOOKED_UP, width, generator=generator), (rows, width))
    works = {}
    for name, cls in (("ours", optim.SparseAdam), ("torch", torch.optim.SparseAdam)):
        p = torch.nn.Parameter(torch.zeros(rows, width))
        p.grad = gradient.clone()
        works[name] = cls([p], lr=1e-9).step
    return side_by_side(works, 5, 31)


def full_batch(model: str) -> dict[str, Timing]:
    """A step of twenty iterations of both from the same point of a quadratic of condition 1,000."""
    shapes = MODELS[model]()
    curvatures = [torch.logspace(-3, 0, math.prod(shape)).view(shape) for shape in shapes]
    works = {"ours": _iterations(optim.LBFGS, curvatures), "torch": _iterations(torch.optim.LBFGS, curvatures)}
    return side_by_side(works, 1, 9 if model == "digits MLP" else 3)


def _iterations(cls: type[torch.optim.Optimizer], curvatures: list[Tensor]) -> Callable[[], None]:
    params = [torch.nn.Parameter(torch.ones_like(c)) for c in curvatures]

    def loss() -> Tensor:
        value = torch.zeros(())
        for p, c in zip(params, curvatures, strict=True):
            p.grad = p.detach() * c
            value += p.detach().flatten().dot(p.grad.flatten()) / 2
        return value

    def step() -> None:
        for p in params:
            p.data.fill_(1.0)
        optimizer = cls(params, max_iter=ITERATIONS, history_size=HISTORY)  # type: ignore[call-arg]
        optimizer.step(loss)  # type: ignore[arg-type]
        assert optimizer.state[params[0]]["n_iter"] == ITERATIONS

    return step


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-write", action="store_true", help="print the table and leave APART.md as it is")
    given = parser.parse_args()
    measured = [("SparseAdam", name, sparse(*shape)) for name, shape in TABLES.items()]
    measured += [("LBFGS", model, full_batch(model)) for model in FULL_BATCH]
    worst = max(timed["ours"].ratio(timed["torch"]) for _, _, timed in measured)
    met = "met" if worst <= LIMIT else "not met"
    rows = [
        f"| {cls} | {name} | {timed['ours'].seconds * 1e3:.3f} | {timed['torch'].seconds * 1e3:.3f} "
        f"| **{timed['ours'].ratio(timed['torch']):.2f}** |"
        for cls, name, timed in measured
    ]
    page = "\n".join(
        [
            "# Steps of sparse gradients and of full batches\n",
            "Command: `python -m benchmarks.apart`. Medians of ratios, both in one process, in both orders. A sparse",
            f"gradient names {LOOKED_UP} rows; a step of L-BFGS is {ITERATIONS} iterations with {HISTORY} pairs on a",
            "quadratic of condition 1,000.\n",
            f"Machine: {machine()}.\n",
            f"- at most {LIMIT} times `torch.optim`'s: {worst:.2f} at worst: {met}\n",
            "| class | of | ours, ms | `torch.optim`, ms | share |",
            "| --- | --- | ---: | ---: | ---: |",
            *rows,
            "",
        ]
    )
    print(page)
    if not given.no_write:
        RESULTS.write_text(page)


if __name__ == "__main__":
    main()
