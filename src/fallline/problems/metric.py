"""What a model is judged by: a named function of its outputs and the targets, and which way is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError, unknown

Loss = Callable[[Any, Any], Tensor]
"""`loss(outputs, targets)`: the mean over the batch, a tensor with one element."""


@dataclass(frozen=True)
class Metric:
    """A score of outputs against targets.

    `function(outputs, targets)` returns a tensor with a value for each example (or for each token, pixel,
    ...), or their mean over the batch. Batches are averaged in proportion to their number of examples.
    `share` says that the mean is a share of examples, as accuracy is: then it lies between 0 and 1, and how
    exactly a validation set tells two settings apart is known.
    """

    name: str
    function: Callable[[Any, Any], Tensor]
    maximize: bool
    share: bool = False

    def mean(self, outputs: Any, targets: Any) -> float:
        """The mean over one batch."""
        return float(torch.as_tensor(self.function(outputs, targets)).mean(dtype=torch.float64))


def find_metric(given: str | Metric, loss: Loss) -> Metric:
    """The metric of that name. Raises `InputError`, with the nearest names, if none has it."""
    if isinstance(given, Metric):
        if not callable(given.function):
            raise InputError(f"metric {given.name!r} needs a function of outputs and targets, not {given.function!r}.")
        return given
    known = _known(loss)
    if not isinstance(given, str):
        raise InputError(
            f"metric must be one of {', '.join(known)}, or Metric(name, function, maximize); it is {given!r}."
        )
    if given not in known:
        raise unknown("metric", given, known)
    return known[given]


def loss_name(loss: object) -> str:
    """The name of a loss function or of a loss module's class."""
    if isinstance(loss, partial):
        return loss_name(loss.func)
    return str(getattr(loss, "__name__", type(loss).__name__))


def is_over_classes(loss: object) -> bool:
    """Whether the loss takes scores of classes and integer class labels, as cross-entropy does."""
    return loss_name(loss) in ("cross_entropy", "nll_loss", "CrossEntropyLoss", "NLLLoss")


def ignored_label(loss: object) -> int:
    """The label that such a loss passes over (PyTorch's default is -100)."""
    if isinstance(loss, partial):
        return int(loss.keywords.get("ignore_index", -100))
    return int(getattr(loss, "ignore_index", -100))


def class_axis(outputs: Tensor, targets: Tensor) -> int | None:
    """The axis of `outputs` that runs over classes, for integer `targets`; None if the shapes do not fit."""
    if outputs.ndim != targets.ndim + 1:
        return None
    if outputs.shape[0] == targets.shape[0] and outputs.shape[2:] == targets.shape[1:]:
        return 1
    return outputs.ndim - 1 if outputs.shape[:-1] == targets.shape else None


def _known(loss: Loss) -> dict[str, Metric]:
    right = partial(_right, loss=loss)
    metrics = (
        Metric("accuracy", right, maximize=True, share=True),
        Metric("error", lambda outputs, targets: 1 - right(outputs, targets), maximize=False, share=True),
        Metric("loss", loss, maximize=False),
        Metric("mae", lambda outputs, targets: _difference(outputs, targets).abs(), maximize=False),
        Metric("mse", lambda outputs, targets: _difference(outputs, targets).square(), maximize=False),
    )
    return {m.name: m for m in metrics}


def _right(outputs: Tensor, targets: Tensor, loss: Loss) -> Tensor:
    """1 where the predicted class is the target's, 0 elsewhere."""
    axis = class_axis(outputs, targets)
    if axis is not None and not targets.is_floating_point():
        return (outputs.argmax(axis) == targets).float()
    of_two = loss_name(loss).lower().startswith(("binary_cross_entropy", "bce"))
    if outputs.shape == targets.shape and outputs.ndim > 1 and outputs.shape[1] > 1 and not of_two:
        return (outputs.argmax(1) == targets.argmax(1)).float()
    if outputs.numel() == targets.numel():
        # probabilities and values fitted to 0 and 1 are cut at 1/2, scores (logits) at 0
        cut = 0.5 if _gives_probability(loss) else 0.0
        return ((outputs.reshape(targets.shape) > cut) == (targets > 0.5)).float()
    raise InputError(
        f"accuracy needs a score for each class: outputs {tuple(outputs.shape)} do not fit targets "
        f"{tuple(targets.shape)} of type {str(targets.dtype).removeprefix('torch.')}"
    )


def _gives_probability(loss: Loss) -> bool:
    bare = loss.func if isinstance(loss, partial) else loss
    return bare in (F.binary_cross_entropy, F.mse_loss) or isinstance(bare, nn.BCELoss | nn.MSELoss)


def _difference(outputs: Tensor, targets: Tensor) -> Tensor:
    if outputs.shape != targets.shape:
        # subtracting (n, 1) from (n,) would silently give (n, n)
        raise InputError(f"outputs {tuple(outputs.shape)} and targets {tuple(targets.shape)} differ in shape")
    return outputs - targets
