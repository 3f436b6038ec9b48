"""What the full-batch methods share: one group of parameters, a closure, and a warning where it is not finite."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...errors import InputError
from .. import guard
from ..base import Params
from . import flat
from .line_search import Point, Search, strong_wolfe
from .settings import checked

Closure = Callable[[], Any]


@dataclass(frozen=True)
class Evaluated:
    """What a call of the closure gave: the loss as returned, its value, and the gradient as a flat vector."""

    loss: Any
    value: float
    gradient: Tensor

    @cached_property
    def largest(self) -> float:
        """The largest absolute entry of the gradient."""
        return flat.largest(self.gradient)

    @property
    def trouble(self) -> str:
        """What of it is not finite; nothing where all is."""
        if not math.isfinite(self.value):
            return f"loss is {self.value}"
        return "" if math.isfinite(self.largest) else "gradient is not finite"


class FullBatch(torch.optim.Optimizer):
    """A `torch.optim.Optimizer` over one flat vector. Its `step` calls the closure as often as the method needs.

    The closure is PyTorch's: it zeroes the gradients, computes the loss, calls `backward` and returns the loss. As in
    `torch.optim.LBFGS` there is one parameter group, on one device, and the state is kept at its first parameter.
    """

    _own: ClassVar[Set[str]] = frozenset()
    """Settings that a checkpoint may lack."""

    def __init__(self, params: Params, settings: Mapping[str, Any]) -> None:
        super().__init__(params, dict(settings))

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Take the parameters, and settings other than the defaults.

        Raises `InputError` for a second group, a setting that is not allowed, and parameters on several devices.
        """
        name = type(self).__name__
        if self.param_groups:
            raise InputError(f"{name} was given several parameter groups; it steps all parameters as one vector.")
        checked(name, {**self.defaults, **param_group})
        guard.add_param_group(self, param_group)
        devices = sorted({str(p.device) for p in self._params})
        if len(devices) > 1:
            raise InputError(f"{name} was given parameters on {' and '.join(devices)}; all must be on one device.")

    zero_grad = guard.zero_grad

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint, which is copied. Raises `InputError` for another optimizer's or another model's."""
        name, n = type(self).__name__, flat.size(self._params)
        for group in state_dict["param_groups"]:
            missing = sorted(self.defaults.keys() - group.keys() - self._own)
            if missing:
                raise InputError(f"the checkpoint is not of {name}: it has no {', '.join(missing)}.")
        for state in state_dict["state"].values():
            held = state.get("prev_flat_grad")
            if held is not None and len(held) != n:
                raise InputError(f"the checkpoint is of {len(held):,} parameters; {name} was given {n:,}.")
        guard.load_state_dict(self, copy.deepcopy(state_dict))

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)

    @property
    def _params(self) -> list[Tensor]:
        """What is stepped, in the order of the flat vector."""
        params: list[Tensor] = self.param_groups[0]["params"]
        return params

    @property
    def _kept(self) -> dict[str, Any]:
        """The state, at the first parameter, to whose type and device loading casts it."""
        state: dict[str, Any] = self.state[self.param_groups[0]["params"][0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        return state

    def _closure(self, closure: Closure | None) -> Closure:
        """The closure to call in a step."""
        if closure is None:
            raise InputError(
                f"{type(self).__name__}.step needs a closure: "
                "a function that zeroes the gradients, computes the loss, calls backward and returns the loss."
            )
        return closure

    def _evaluate(self, closure: Closure) -> Evaluated:
        """Call the closure at the parameters as they are."""
        with torch.enable_grad():
            loss = closure()
        self._kept["func_evals"] += 1
        return Evaluated(loss, self._number(loss), flat.gradient(self._params))

    def _evaluate_at(self, closure: Closure, origin: Sequence[Tensor], direction: Tensor, step: float) -> Evaluated:
        """Move from `origin`, where the parameters are, and evaluate; back there if the closure fails."""
        flat.move(self._params, direction, step)
        try:
            return self._evaluate(closure)
        except BaseException:
            flat.restore(self._params, origin)
            self._kept["n_iter"] -= 1  # this iteration has not been
            raise

    def _number(self, loss: Any) -> float:
        try:
            return float(loss.item() if isinstance(loss, Tensor) else loss)
        except (TypeError, ValueError, RuntimeError):
            given = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else repr(loss)
            raise InputError(
                f"the closure of {type(self).__name__}.step returned {given}; it must return the loss, one number."
            ) from None

    def _search(
        self, closure: Closure, now: Evaluated, direction: Tensor, slope: float, step: float, limit: int
    ) -> Search[Evaluated]:
        """Move the parameters along a direction, by a strong Wolfe search of at most `limit` evaluations."""
        origin = flat.copy(self._params)

        def at(step: float) -> Point[Evaluated]:
            there = self._evaluate_at(closure, origin, direction, step)
            flat.restore(self._params, origin)
            return Point(step, there.value, float(there.gradient.dot(direction)), there)

        width = self.param_groups[0]["tolerance_change"] / flat.largest(direction)
        search = strong_wolfe(at, Point(0.0, now.value, slope, now), step, width=width, limit=limit)
        flat.move(self._params, direction, search.point.step)
        return search

    def _report(self, trouble: str) -> None:
        """Warn of a loss that is not finite, or the like, if there is any."""
        if trouble:
            name = type(self).__name__
            # shown where `step` was called, which PyTorch wraps twice
            warnings.warn(f"{name}: the {trouble}; the parameters stay as they were.", RuntimeWarning, stacklevel=5)
