"""Clipping by the global norm, AdamW and an average of weights: our one step beside PyTorch's three parts.

`python -m benchmarks.recipe` prints the table and writes `benchmarks/RECIPE.md`. PyTorch's parts are
`clip_grad_norm_`, fused AdamW and the multi-tensor average of `swa_utils`, each the fastest form that it has.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from fallline import optim
from fallline.kernels import cost
from fallline.rules import get

from .shapes import MODELS
from .timing import Timing, machine, side_by_side

RECIPE = "ema(clip_norm(adamw))"
LIMIT = 0.8
DECAY, NORM = 0.999, 1.0
REPEATS = {"digits MLP": (200, 41), "ResNet-18": (2, 31), "GPT-2 small": (1, 7)}
RESULTS = Path(__file__).with_name("RECIPE.md")
SETTINGS: dict[str, Any] = {"lr": 1e-9, "weight_decay": 1e-2}


class Bare(nn.Module):
    """A model of nothing but parameters, all with gradients."""

    def __init__(self, shapes: list[tuple[int, ...]]) -> None:
        super().__init__()
        self.all = nn.ParameterList(torch.randn(shape).mul_(0.1) for shape in shapes)
        for p in self.all:
            p.grad = torch.randn_like(p)


def ours(model: Bare) -> Callable[[], object]:
    """One step of the composed rule."""
    return optim.optimizer(RECIPE, model.parameters(), **SETTINGS, max_norm=NORM, ema_decay=DECAY).step


def theirs(model: Bare, **path: bool) -> Callable[[], object]:
    """Clip, step and average with PyTorch's parts."""
    optimizer = torch.optim.AdamW(model.parameters(), **SETTINGS, **path)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(DECAY))
    parameters = list(model.parameters())

    def step() -> None:
        clip_grad_norm_(parameters, NORM, foreach=True)
        optimizer.step()
        average.update_parameters(model)

    return step


def measure(name: str) -> dict[str, Timing]:
    """Our step and PyTorch's, with its fused and its foreach AdamW, on one model."""
    model = Bare(MODELS[name]())
    works = {"ours": ours(model), "fused": theirs(model, fused=True), "foreach": theirs(model, foreach=True)}
    return side_by_side(works, *REPEATS[name])


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--no-write", action="store_true", help="print the table and leave RECIPE.md as it is")
    given = parser.parse_args()
    lines = [
        "| model | ours, ms | with fused AdamW, ms | with foreach AdamW, ms | of the faster |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    shares = []
    for name in given.models:
        timed = measure(name)
        share = max(timed["ours"].ratio(timed[path]) for path in ("fused", "foreach"))
        shares.append(share)
        times = " | ".join(f"{timed[path].seconds * 1e3:.3f}" for path in ("ours", "fused", "foreach"))
        lines.append(f"| {name} | {times} | **{share:.2f}** |")
    met = "met" if max(shares) <= LIMIT else "not met"
    page = "\n".join(
        [
            "# Clip by global norm, AdamW, average of weights\n",
            "Command: `python -m benchmarks.recipe`. Medians of ratios, all in one process, in both orders. A step",
            f"of ours moves {cost(get(RECIPE)).bytes_per_parameter} bytes a parameter.\n",
            f"Machine: {machine()}.\n",
            f"- at most {LIMIT} times the best of PyTorch's parts: {max(shares):.2f} at worst: {met}\n",
            *lines,
            "",
        ]
    )
    print(page)
    if not given.no_write:
        RESULTS.write_text(page)


if __name__ == "__main__":
    main()
