"""Adam in one dimension, on functions made so that rare large gradients are forgotten."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from fallline import modifier, optim
from fallline.rules import Rule, get, maximum, minimum

from ..claim import Source, claim
from ..finding import Finding, above, below, exactly
from ..lab import Lab


@modifier(stage="path")
def boxed(step: Any, p: Any, g: Any, *state: Any, **hyper: Any) -> Any:
    """Weights are brought back into [-1, 1]."""
    p, *state = step(p, g, *state, **hyper)
    return maximum(minimum(p, 1.0), -1.0), *state


@claim(
    number=7,
    title="Adam can converge to the worst point; AMSGrad does not",
    paper="Reddi, Kale & Kumar 2018, On the convergence of Adam and beyond, arXiv:1904.09237, section 5",
    figures="Adam ends at x = +1, the worst point; AMSGrad at x = -1, the optimum",
    source=Source.MEMORY,
    smoke={"steps": 1010},
)
def adam_amsgrad(lab: Lab, steps: int = 300_000, lr: float = 1e-2) -> list[Finding]:
    """f_t(x) = 1010 x where t mod 101 = 1, else -10 x, on [-1, 1]; beta = (0.9, 0.99), lr 0.01, no bias correction,
    from x = 0, 3*10^5 steps in float64. Over 101 steps the functions add up to 10 x, so that -1 is best and +1 worst.
    "At" a point is beyond 0.9 of the way from 0 to it, since a constant rate leaves the last step's length."""
    ends = {"adam_uncorrected": ("Adam", above(0.9)), "amsgrad(adam_uncorrected)": ("AMSGrad", below(-0.9))}
    return [
        exactly(f"last x by {name}", lab.part(name, partial(_descend, boxed(get(rule)), steps, lr)), claimed)
        for rule, (name, claimed) in ends.items()
    ]


def _descend(rule: Rule, steps: int, lr: float) -> float:
    """The last x."""
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = optim.optimizer(rule, [x], lr=lr, beta1=0.9, beta2=0.99)
    rare, common = torch.full_like(x, 1010.0), torch.full_like(x, -10.0)
    for t in range(1, steps + 1):
        x.grad = rare if t % 101 == 1 else common
        optimizer.step()
    return x.item()
