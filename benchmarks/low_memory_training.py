"""Models trained with their optimizer's state in few bits, and in bfloat16 alone, beside float32: the same seeds."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from fallline import optim

SEEDS = range(5)
FLOAT32 = "float32"
WAYS: dict[tuple[str, str], tuple[torch.dtype, dict[str, Any]]] = {
    (FLOAT32, "float32"): (torch.float32, {}),
    (FLOAT32, "bfloat16"): (torch.float32, {"state_bfloat16": True}),
    (FLOAT32, "8 bits"): (torch.float32, {"state_8bit": True}),
    ("bfloat16, to nearest", "the same"): (torch.bfloat16, {}),
    ("bfloat16, rounded at random", "the same"): (torch.bfloat16, {"stochastic_rounding": True}),
    ("bfloat16, compensated", "bfloat16"): (torch.bfloat16, {"kahan_sum": True, "state_bfloat16": True}),
    ("bfloat16, rounded at random", "8 bits"): (torch.bfloat16, {"stochastic_rounding": True, "state_8bit": True}),
}
"""How weights and the optimizer's state are kept -> the weights' type and AdamW's settings."""

Batches = Callable[[torch.Generator], tuple[Tensor, Tensor]]
"""Draws a batch: inputs and classes."""


@dataclass(frozen=True)
class Task:
    """A model to train for some steps; `held_out` is what it is scored on."""

    name: str
    model: Callable[[], nn.Module]
    batch: Batches
    held_out: tuple[Tensor, Tensor]
    steps: int
    lr: float


def digits() -> Task:
    """The 1,797 digits of scikit-learn by a perceptron, its weights 16 to 65 thousand a matrix; a fifth held out."""
    data = load_digits()
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
    x, y = torch.tensor(data.data / 16, dtype=torch.float32)[order], torch.tensor(data.target)[order]
    train = len(y) * 4 // 5

    def model() -> nn.Module:
        return nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))

    def batch(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = torch.randint(train, (64,), generator=generator)
        return x[rows], y[rows]

    return Task("digits", model, batch, (x[train:], y[train:]), 1500, 1e-3)


def characters() -> Task | None:
    """The next character of tiny Shakespeare from the eight before it, by an embedding and a perceptron.

    None where `FALLLINE_DATA` names no directory that has the text.
    """
    path = Path(os.environ.get("FALLLINE_DATA", "")) / "tiny-shakespeare" / "input.txt"
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8")
    known = {character: k for k, character in enumerate(sorted(set(text)))}
    windows = torch.tensor([known[character] for character in text]).unfold(0, 9, 1)
    train, width, count = len(windows) * 9 // 10, 64, len(known)

    def model() -> nn.Module:
        return nn.Sequential(
            nn.Embedding(count, width), nn.Flatten(), nn.Linear(8 * width, 256), nn.ReLU(), nn.Linear(256, count)
        )

    def batch(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = windows[torch.randint(train, (256,), generator=generator)]
        return rows[:, :-1], rows[:, -1]

    held_out = windows[train :: max(1, (len(windows) - train) // 8192)]
    return Task("characters", model, batch, (held_out[:, :-1], held_out[:, -1]), 2000, 2e-3)


def trained(task: Task, seed: int, dtype: torch.dtype, settings: dict[str, Any]) -> float:
    """The loss on what is held out, after training with AdamW and a rate that falls to nothing."""
    torch.manual_seed(seed)
    model = task.model().to(dtype)
    optimizer = optim.AdamW(model.parameters(), lr=task.lr, **settings)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, task.steps)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(task.steps):
        x, y = task.batch(generator)
        optimizer.zero_grad()
        F.cross_entropy(_scores(model, x, dtype), y).backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return float(F.cross_entropy(_scores(model, task.held_out[0], dtype), task.held_out[1]))


def _scores(model: nn.Module, x: Tensor, dtype: torch.dtype) -> Tensor:
    scores: Tensor = model(x.to(dtype) if x.is_floating_point() else x)
    return scores.float()


def table() -> Iterator[str]:
    """Lines of Markdown: the mean over seeds, and what the seeds make of the difference to float32."""
    yield "| task | weights | state | loss | its deviation | less float32's | deviation of that |"
    yield "| --- | --- | --- | ---: | ---: | ---: | ---: |"
    for task in filter(None, (digits(), characters())):
        known: list[float] = []
        for (weights, state), (dtype, settings) in WAYS.items():
            losses = [trained(task, seed, dtype, settings) for seed in SEEDS]
            known = known or losses
            apart = [a - b for a, b in zip(losses, known, strict=True)]
            of_loss = f"{statistics.mean(losses):.4f} | {statistics.stdev(losses):.4f}"
            of_difference = f"{statistics.mean(apart):+.4f} | {statistics.stdev(apart):.4f}"
            yield f"| {task.name} | {weights} | {state} | {of_loss} | {of_difference} |"
