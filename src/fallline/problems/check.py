"""One batch of every split through model, loss and metric: what cannot train is said before training."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..errors import InputError
from .data import Arrays, Split
from .metric import class_axis, ignored_label, is_over_classes
from .own import checked_pair, told
from .seeds import seeded
from .space import Setting

if TYPE_CHECKING:
    from .problem import Problem

NOTHING: Mapping[str, Setting] = MappingProxyType({})


def check_model(model: nn.Module, problem: Problem) -> tuple[float, float]:
    """Raises `InputError` if there is nothing to train, or if the model cannot be scored on every split.

    Returns loss and metric of the untrained model on the first training batch.
    """
    parameters = list(model.parameters())
    if not parameters:
        raise InputError(f"the model has no parameters, so there is nothing to train: {_short(model)}.")
    trainable = [p for p in parameters if p.requires_grad]
    if not trainable:
        raise InputError("no parameter of the model is trainable: each one has requires_grad=False.")
    with seeded(0):
        untrained = _check_split(model, problem, problem.train, "train")
        for name, part in (("valid", problem.valid), ("test", problem.test)):
            _check_split(model, problem, part, name)
    return untrained


def check_training(model: nn.Module, problem: Problem, own: Mapping[str, Setting] = NOTHING) -> None:
    """Raises `InputError` if the model, made with these values of the problem's own, cannot be trained."""
    with seeded(0):
        _check_training(model, problem, [p for p in model.parameters() if p.requires_grad], own)


def check_corner(problem: Problem, own: Mapping[str, Setting]) -> None:
    """Raises `InputError`, naming them, if a model with these values of the problem's own cannot be trained."""
    try:
        check_training(problem.build(0, own), problem, own)
    except InputError as error:
        raise InputError(f"with {told(own)}: {error}") from error


def _check_split(model: nn.Module, problem: Problem, part: Split, name: str) -> tuple[float, float]:
    x, y = first_batch(part, problem.batch_size, name, model)
    for values, what in ((x, "features"), (y, "targets")):
        if values.is_floating_point() and not bool(torch.isfinite(values).all()):
            raise InputError(f"{name} {what} contain NaN or infinite values (in the first batch).")
    model.eval()
    with torch.no_grad():
        outputs = _outputs(model, x, f"a batch of {name}")
        _check_labels(problem, outputs, y, part, name)
        loss = _loss(problem, outputs, y, name)
        score = _score(problem, outputs, y, name)
    if not math.isfinite(float(loss)):
        raise InputError(f"the loss of the untrained model is {float(loss)} on a batch of {name}; it must be finite.")
    return float(loss), score


def first_batch(part: Split, size: int, name: str, model: nn.Module) -> tuple[Tensor, Tensor]:
    """The first batch on the model's device. Raises `InputError` if the data set cannot give it."""
    device = next(model.parameters()).device
    try:
        return next(part.batches(size, device))
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"no batch can be made of {name}: {type(error).__name__}: {error}") from error


def _check_training(
    model: nn.Module, problem: Problem, trainable: list[nn.Parameter], own: Mapping[str, Setting]
) -> None:
    """Forward and backward passes in training mode, for a full batch and for the last one of an epoch."""
    model.train()
    x, y = first_batch(problem.train, problem.batch_size, "train", model)
    last = len(problem.train) % problem.batch_size
    for size, what in (
        (len(x), "a batch of train"),
        (last, f"the last batch of an epoch, which has {last} examples"),
    ):
        if not 0 < size <= len(x):
            continue
        part, targets = _augmented(problem, x[:size], y[:size], own)
        outputs = _outputs(model, part, what)
        loss = _loss(problem, outputs, targets, "train", own)
        if not loss.requires_grad:
            raise InputError("the loss does not depend on the model's parameters (was the result detached?).")
        try:
            loss.backward()  # type: ignore[no-untyped-call]
        except Exception as error:
            raise InputError(f"the loss has no gradient: {type(error).__name__}: {error}") from error
    if all(p.grad is None for p in trainable):
        raise InputError("the loss does not depend on any trainable parameter of the model.")


def _outputs(model: nn.Module, x: Tensor, what: str) -> Any:
    try:
        return model(x)
    except Exception as error:
        hint = "" if x.is_floating_point() else " (The inputs are integers; give floats if the model needs them.)"
        raise InputError(f"the model fails on {what}, {_shape(x)}: {type(error).__name__}: {error}{hint}") from error


def _augmented(problem: Problem, x: Tensor, y: Tensor, own: Mapping[str, Setting]) -> tuple[Tensor, Tensor]:
    try:
        return checked_pair(problem.augmented(x.clone(), y.clone(), own), x, y)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"augment fails on a batch of train: {type(error).__name__}: {error}") from error


def _loss(problem: Problem, outputs: Any, y: Tensor, name: str, own: Mapping[str, Setting] = NOTHING) -> Tensor:
    where = f"for outputs {_shape(outputs)} and {name} targets {_shape(y)}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            loss = problem.loss_of(own)(outputs, y)
        except Exception as error:
            hint = _label_hint(problem, y)
            raise InputError(f"the loss fails {where}: {type(error).__name__}: {error}{hint}") from error
    if any("different to the input size" in str(w.message) for w in caught):
        # PyTorch broadcasts (n,) against (n, 1) to (n, n) and merely warns
        raise InputError(f"outputs {_shape(outputs)} and {name} targets {_shape(y)} differ in shape; reshape one.")
    if not isinstance(loss, Tensor):
        raise InputError(f"the loss must return a tensor with one element; it returned a {type(loss).__name__}.")
    if loss.ndim:
        raise InputError(f"the loss must return one number, the batch's mean; it returned shape {tuple(loss.shape)}.")
    return loss


def _label_hint(problem: Problem, y: Tensor) -> str:
    """What to do about targets that look like class labels in a form that cross-entropy refuses."""
    if not is_over_classes(problem.loss):
        return ""
    if y.ndim == 2 and y.shape[1] == 1:
        return " (Class labels have no second axis: give y of shape (n,).)"
    return " (Class labels must be integers.)" if y.is_floating_point() and y.ndim == 1 else ""


def _score(problem: Problem, outputs: Any, y: Tensor, name: str) -> float:
    metric = problem.metric
    where = f"metric {metric.name!r} fails for outputs {_shape(outputs)} and {name} targets {_shape(y)}"
    try:
        score = metric.mean(outputs, y)
    except Exception as error:
        cause = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        raise InputError(f"{where}: {cause}") from error
    if not math.isfinite(score):
        raise InputError(f"metric {metric.name!r} of the untrained model is {score} on {name}; it must be finite.")
    return score


def _check_labels(problem: Problem, outputs: Any, y: Tensor, part: Split, name: str) -> None:
    if not isinstance(outputs, Tensor) or y.is_floating_point() or y.is_complex():
        return
    if not (is_over_classes(problem.loss) or problem.metric.name in ("accuracy", "error")):
        return
    axis = class_axis(outputs, y)
    if axis is None:
        return
    classes = outputs.shape[axis]
    labels = part.y if isinstance(part, Arrays) else part.labels()
    if labels is None or labels.is_floating_point():
        labels = y
    outside = (labels < 0) | (labels >= classes)
    if is_over_classes(problem.loss):
        outside &= labels != ignored_label(problem.loss)
    if bool(outside.any()):
        wrong = sorted({int(label) for label in torch.unique(labels[outside])[:5]})
        raise InputError(
            f"{name} has labels out of range: {', '.join(map(str, wrong))}. The model gives {classes} outputs, so "
            f"labels must lie in 0 to {classes - 1}."
        )


def _shape(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"of shape {tuple(value.shape)} and type {str(value.dtype).removeprefix('torch.')}"
    return f"of type {type(value).__name__}"


def _short(model: nn.Module) -> str:
    return " ".join(repr(model).split())[:80]
