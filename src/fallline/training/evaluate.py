"""Loss and metric of a model over all examples of a split."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from ..problems import Problem, Split


class Score(NamedTuple):
    """Means over examples."""

    loss: float
    metric: float


def rows_without_gradients(problem: Problem) -> int:
    """Examples evaluated at once: without gradients more fit, but a large model's outputs alone may fill the memory."""
    return problem.batch_size * (8 if problem.parameters_count < 1_000_000 else 2)


@torch.no_grad()
def evaluate(model: nn.Module, problem: Problem, split: Split) -> Score:
    """Mean loss and metric over a split's examples, in evaluation mode; the model is left in training mode.

    The loss is the problem's at its defaults, whatever a trial is trained with: it must be one for all trials.
    """
    device = next(model.parameters()).device
    loss = metric = 0.0
    model.eval()
    for x, y in split.batches(rows_without_gradients(problem), device):
        outputs = model(x)
        loss += float(problem.loss(outputs, y)) * len(y)
        metric += problem.metric.mean(outputs, y) * len(y)
    model.train()
    return Score(loss / len(split), metric / len(split))
