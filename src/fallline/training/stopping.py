"""Early stopping: which epoch is the best on validation data, and when to wait no longer for a better one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from ..errors import InputError
from ..layers.check import whole
from ..tensors import put, tensors_of
from .trial import Point


class EarlyStopping:
    """Says when `patience` epochs have passed without a better value on validation data, and keeps the best weights.

        stopping = fallline.EarlyStopping(5, maximize=True)
        for epoch in range(epochs):
            ...                                        # train, and evaluate
            if stopping.step(accuracy, model, loss=valid_loss):
                break
        stopping.restore(model)                        # to the weights of epoch `stopping.best_epoch`, from 1

    A lower value is better, or with `maximize` a higher one; of equal values the one with the lower loss, then the
    earlier. Without a patience (None) it never stops, and only tells the best. Raises `InputError` for a patience that
    is no whole number from 1 up. Source: Goodfellow, Bengio & Courville 2016, Deep Learning, Algorithm 7.1.
    """

    def __init__(self, patience: int | None, *, maximize: bool = False) -> None:
        self.patience = None if patience is None else whole("patience", patience)
        self.maximize = maximize
        self.epoch = 0
        """Epochs so far."""
        self.best_epoch: int | None = None
        self.best = self.loss = math.nan
        """Value and loss of the best epoch."""
        self.weights: dict[str, Tensor] = {}
        """The model's tensors there, by name, where it was given."""

    @property
    def over(self) -> bool:
        """Whether to stop."""
        return self.patience is not None and self.epoch - (self.best_epoch or 0) >= self.patience

    def better(self, value: float, loss: float = 0.0) -> bool:
        """Whether a value is better than the best so far."""
        mine, known = (_rank(*pair, self.maximize) for pair in ((value, loss), (self.best, self.loss)))
        return self.best_epoch is None or mine > known

    def step(self, value: float, model: nn.Module | None = None, *, loss: float = 0.0) -> bool:
        """An epoch has ended with this value; whether to stop. The model's weights are kept where it is the best."""
        self.epoch += 1
        if self.better(value, loss):
            self.best_epoch, self.best, self.loss = self.epoch, float(value), float(loss)
            self.weights = {} if model is None else {name: held.clone() for name, held in tensors_of(model).items()}
        return self.over

    def restore(self, model: nn.Module) -> None:
        """Give the model the weights of the best epoch. Raises `InputError` where none were kept."""
        if not self.weights:
            raise InputError("there are no weights to restore: step(value, model) keeps those of the best epoch.")
        put(model, self.weights)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs to hold; `weights` are tensors by name, the rest plain values."""
        return {name: getattr(self, name) for name in _STATE}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from such a state."""
        missing = [name for name in _STATE if name not in state]
        if missing:
            raise InputError(f"the state of EarlyStopping needs {', '.join(missing)}; it has {', '.join(state)}.")
        for name in _STATE:
            setattr(self, name, state[name])


_STATE = ("epoch", "best_epoch", "best", "loss", "weights")


def best_epoch(curve: Sequence[Point], maximize: bool) -> int:
    """The epoch of a curve with the best validation metric, as `EarlyStopping` ranks them; 0 where none was trained."""
    ranked = max(curve[1:], key=lambda point: _rank(point.valid_metric, point.valid_loss, maximize), default=curve[0])
    return ranked.epoch


def _rank(value: float, loss: float, maximize: bool) -> tuple[float, float]:
    """The higher the better; what is no number comes last."""
    signed = value if maximize else -value
    return tuple(-math.inf if math.isnan(each) else each for each in (signed, -loss))  # type: ignore[return-value]
