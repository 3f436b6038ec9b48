"""The length of Adam's first update, with and without bias correction."""

from __future__ import annotations

import math
from functools import partial

import torch

from fallline import Problem, optim
from fallline.problems import derive, generator

from ..claim import Source, claim
from ..finding import Finding, above, measured
from ..lab import Lab, examples


@claim(
    number=6,
    title="Adam without bias correction takes a first step that is far too long",
    paper="Karpathy et al., CS231n notes, Neural networks 3; Kingma & Ba 2015, arXiv:1412.6980, sections 3 and 6.4",
    figures="",
    source=Source.NONE,
    smoke={"seeds": 2, "updates": 3, "beta2s": (0.999,)},
)
def adam_first_step(
    lab: Lab, seeds: int = 10, updates: int = 50, beta2s: tuple[float, ...] = (0.9, 0.99, 0.999, 0.9999)
) -> list[Finding]:
    """The digits network, beta1 0.9, lr 0.001: the root mean square of the first update without correction, as a
    multiple of that with it, for four values of beta2. The formula gives (1 - beta1) / (1 - beta2)^(1/2): too long
    only for beta2 above 0.99. Beside it the longest of the first 50 updates, and the training loss after them."""
    problem = lab.problem("digits")
    found = []
    for beta2 in beta2s:
        both = {
            rule: lab.part(f"{rule}_{beta2}", partial(_first_updates, problem, rule, beta2, seeds, updates))
            for rule in ("adam", "adam_uncorrected")
        }
        first, longest, loss = (
            [(a[key], b[key]) for a, b in zip(both["adam_uncorrected"], both["adam"], strict=True)]
            for key in ("first", "longest", "loss")
        )
        said = f"beta2 = {beta2} (formula {0.1 / math.sqrt(1 - beta2):.3g})"
        found += [
            measured(f"{said}: first update, times that of Adam", [a / b for a, b in first], above(1)),
            measured(f"{said}: longest of {updates} updates, times that of Adam", [a / b for a, b in longest]),
            measured(f"{said}: training loss then, minus that of Adam", [a - b for a, b in loss]),
        ]
    return found


def _first_updates(problem: Problem, rule: str, beta2: float, seeds: int, updates: int) -> list[dict[str, float]]:
    """Of every seed: lengths of updates as root mean squares, and the training loss at the end."""
    return [_of_seed(problem, rule, beta2, seed, updates) for seed in range(seeds)]


def _of_seed(problem: Problem, rule: str, beta2: float, seed: int, updates: int) -> dict[str, float]:
    model = problem.build(seed)
    optimizer = optim.optimizer(rule, model.parameters(), beta2=beta2)
    batches = problem.train.batches(problem.batch_size, torch.device("cpu"), generator(derive(seed, "order", 1)))
    lengths = []
    for _, (x, y) in zip(range(updates), batches, strict=False):
        before = torch.cat([p.detach().flatten() for p in model.parameters()])
        optimizer.zero_grad()
        torch.autograd.backward(problem.loss(model(x), y))
        optimizer.step()
        after = torch.cat([p.detach().flatten() for p in model.parameters()])
        lengths.append(float((after - before).double().square().mean().sqrt()))
    x, y = examples(problem.train)
    with torch.no_grad():
        loss = float(problem.loss(model(x), y))
    return {"first": lengths[0], "longest": max(lengths), "loss": loss}
