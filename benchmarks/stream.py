"""The yardstick: the plainest kernel that reads and writes as many arrays as a rule does, one addition for each."""

from __future__ import annotations

import torch

from fallline import optim
from fallline.rules import REGISTRY, Rule, rule


def stream(arrays: int) -> Rule:
    """A rule that adds the gradient to everything: `arrays` + 1 arrays read, `arrays` written."""
    states = "".join(f", s{k}" for k in range(arrays - 1))
    sums = "".join(f", s{k} + g" for k in range(arrays - 1))
    scope: dict[str, object] = {}
    exec(f"def stream(p, g{states}, *, t):\n    return p + g{sums}\n", scope)
    made = rule(name=f"stream_{arrays}")(scope["stream"])  # type: ignore[arg-type]
    del REGISTRY[made.name]
    return made


def yardstick(params: list[torch.Tensor], arrays: int) -> optim.RuleOptimizer:
    """An optimizer that streams: the tensors, threads and table of a real one, next to no arithmetic."""
    return optim.optimizer(stream(arrays), params)
