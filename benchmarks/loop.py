"""`fallline.train` beside a training loop written by hand: the same model, data, rule, schedule and evaluation.

`python -m benchmarks.loop` prints the table and writes `benchmarks/LOOP.md`. A time is that of a whole run: from a
problem to a trained model, with validation scores before training and after every epoch, and a test score. Ours also
keeps its history and checkpoints. The loop by hand gathers batches from memory by a permutation, and reads nothing back
but scores.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

import fallline
from fallline import models, optim
from fallline.problems import Arrays, Problem, load
from fallline.training.crew import threads

from .timing import Timing, machine, side_by_side

LIMIT = 1.10
LR = 1e-3
RESULTS = Path(__file__).with_name("LOOP.md")


@dataclass(frozen=True)
class Case:
    """A problem and how long it is trained in one timing, and how many timings there are."""

    problem: Callable[[], Problem]
    epochs: int
    rounds: int


def pictures(model: Callable[[], nn.Module], batch_size: int) -> Problem:
    """Random pictures of 28x28 in ten classes: what they show does not matter to the time."""
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(640, 1, 28, 28, generator=draw), torch.randint(10, (640,), generator=draw)
    return Problem(model, (x[:512], y[:512]), (x[512:], y[512:]), (x[512:], y[512:]), batch_size=batch_size)


def signals() -> Problem:
    """Random signals of length 40, as many as MNIST-1D has for training, for its small convolutional network."""
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(4000, 40, generator=draw), torch.randint(10, (4000,), generator=draw)
    part = (x[3200:], y[3200:])
    return Problem(models.mnist1d_cnn, (x[:3200], y[:3200]), part, part, batch_size=100)


CASES = {
    "digits MLP, batches of 32": Case(lambda: load("digits"), 60, 7),
    "MNIST-1D CNN, batches of 100": Case(signals, 10, 7),
    "ResNet-20, batches of 64": Case(lambda: pictures(lambda: models.resnet(20, channels=1), 64), 1, 5),
}


def ours(problem: Problem, epochs: int, schedule: str, out: Path) -> None:
    """A run of `fallline.train`, with all that it keeps."""
    shutil.rmtree(out, ignore_errors=True)
    fallline.train(problem, "adamw", lr=LR, schedule=schedule, epochs=epochs, out=out, progress=False)


def by_hand(problem: Problem, epochs: int, scheduled: bool, make: Callable[..., Any], **path: bool) -> None:
    """The same as people write it."""
    train = problem.train
    assert isinstance(train, Arrays)
    torch.manual_seed(0)
    model = problem.build(0)
    optimizer = make(model.parameters(), lr=LR, **path)
    steps = epochs * -(-len(train) // problem.batch_size)
    scheduler = CosineAnnealingLR(optimizer, steps) if scheduled else None
    score(model, problem, problem.valid)
    for _ in range(epochs):
        model.train()
        for index in torch.randperm(len(train)).split(problem.batch_size):
            loss = problem.loss(model(train.x[index]), train.y[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
        score(model, problem, problem.valid)
    score(model, problem, problem.test)


@torch.no_grad()
def score(model: nn.Module, problem: Problem, split: Any) -> tuple[float, float]:
    """Loss and accuracy, as people write it."""
    model.eval()
    loss = right = 0.0
    for x, y in zip(split.x.split(problem.batch_size), split.y.split(problem.batch_size), strict=True):
        outputs = model(x)
        loss += float(problem.loss(outputs, y)) * len(y)
        right += float((outputs.argmax(1) == y).sum())
    return loss / len(split), right / len(split)


def measure(case: Case, scheduled: bool) -> dict[str, Timing]:
    """Whole runs of ours and of loops by hand, with our optimizer and with PyTorch's."""
    problem, epochs = case.problem(), case.epochs
    with tempfile.TemporaryDirectory() as directory, threads(problem):
        schedule = "cosine" if scheduled else "constant"
        works = {
            "ours": lambda: ours(problem, epochs, schedule, Path(directory) / "run"),
            "by hand": lambda: by_hand(problem, epochs, scheduled, optim.AdamW),
            "with torch.optim": lambda: by_hand(problem, epochs, scheduled, torch.optim.AdamW, fused=True),
        }
        return side_by_side(works, 1, case.rounds)


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--no-write", action="store_true", help="print the table and leave LOOP.md as it is")
    given = parser.parse_args()
    lines = [
        "| model | schedule | ours, s | by hand, s | of by hand | by hand with fused torch AdamW, s | of that |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    shares = []
    for name in given.cases:
        for scheduled in (False, True):
            timed = measure(CASES[name], scheduled)
            ours_, hand, other = timed["ours"], timed["by hand"], timed["with torch.optim"]
            shares.append(ours_.ratio(hand))
            lines.append(
                f"| {name} | {'cosine' if scheduled else 'none'} | {ours_.seconds:.3f} | {hand.seconds:.3f} | "
                f"**{ours_.ratio(hand):.2f}** | {other.seconds:.3f} | {ours_.ratio(other):.2f} |"
            )
            print(lines[-1], flush=True)
    met = "met" if max(shares) <= LIMIT else "not met"
    page = "\n".join(
        [
            "# `fallline.train` beside a loop written by hand\n",
            "Command: `python -m benchmarks.loop`. Whole runs with AdamW, scored after every epoch; ours also",
            "keeps history and checkpoints. Medians of ratios, all in one process, in both orders. By hand with",
            "our AdamW, which is the same rule and step, and with PyTorch's fused one.\n",
            f"Machine: {machine()}.\n",
            f"- at most {LIMIT:.2f} times the loop by hand with the same step: {max(shares):.2f} at worst: {met}\n",
            *lines,
            "",
        ]
    )
    print(page)
    if not given.no_write:
        RESULTS.write_text(page)


if __name__ == "__main__":
    main()
