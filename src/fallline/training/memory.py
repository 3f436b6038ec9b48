"""How many trials of a stack fit into memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..problems import Problem
from .course import Course
from .crew import threads
from .stack import Stack
from .trial import Trial

_SHARE = 0.5
"""Of the memory that is free, what a stack may take where nothing else is said."""
_TEMPORARY = 2.0
"""What a step holds at its worst, for each byte that the forward pass keeps for the backward pass."""


class Memory:
    """The memory of a step, measured on a stack of two trials, against what there is."""

    def __init__(self, problem: Problem, trials: Sequence[Trial], limit: int | None = None) -> None:
        crew = Stack(problem, [Course(k, trial) for k, trial in enumerate(trials[:2])])
        self.bytes_per_trial = _of_a_step(problem, crew) // 2
        self.limit = limit if limit is not None else int(_SHARE * _free(crew.models.device))

    def allowed(self, widths: Sequence[int]) -> list[int]:
        """Those of the widths that fit, and the largest that does where a wanted one does not."""
        most = self.limit // max(1, self.bytes_per_trial) if self.limit else widths[-1]
        fitting = [width for width in widths if width <= most]
        if len(fitting) < len(widths) and most >= 2 and most not in fitting:
            fitting.append(most)
        return fitting


def _of_a_step(problem: Problem, crew: Stack) -> int:
    """Bytes of parameters, gradients, states, and of what a step keeps and makes on its way."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    size = min(problem.follow().largest_batch, len(problem.train))
    with threads(problem, 2), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        crew.step(0, size)
    held = [*crew.models.parameters.values(), *crew.models.fixed.values()]
    held += [value for _, stepper in crew.steppers for states in stepper.states for value in states.values()]
    held += [] if crew.average is None else crew.average.averages.values()
    climbs = crew.courses[0].trial.rule.climb is not None
    gradients = [*crew.models.parameters.values()] * (2 if climbs else 1)  # a climb keeps where it began
    own = {tensor.untyped_storage().data_ptr() for tensor in held}
    best = [] if problem.patience is None else [*crew.models.parameters.values(), *crew.models.fixed.values()]
    activations = sum(size for place, size in kept.items() if place not in own)
    return int(sum(t.nbytes for t in [*held, *gradients, *best]) + _TEMPORARY * activations)


def _free(device: torch.device) -> int:
    """Bytes that are free on the device; 0 where that cannot be told."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    return 0
