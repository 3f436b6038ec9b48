"""The iteration of quasi-Newton methods: a memory of curvature gives the direction, a search or `lr` the length."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from . import flat
from .base import Closure, Evaluated, FullBatch


class Memory(Protocol):
    """What a method has learnt of the curvature: an approximation of the inverse Hessian."""

    def learn(self, step: Tensor, change: Tensor) -> None:
        """Take in how the gradient changed over a step, unless the matrix would not stay positive definite."""

    def direction(self, gradient: Tensor) -> Tensor:
        """The gradient times the negative inverse Hessian."""

    def to_state(self) -> Mapping[str, Any]:
        """The memory under the names that it has in the optimizer's state."""


class QuasiNewton(FullBatch):
    """A full-batch method with a memory of curvature, which a subclass names."""

    def _memory(self) -> Memory:
        """The memory that the state holds; an empty one where it holds none."""
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:
        """Take up to `max_iter` iterations; returns the loss that the closure gave first."""
        closure = self._closure(closure)
        first = self._evaluate(closure)
        self._report(first.trouble or self._iterate(closure, first))
        return first.loss

    def _iterate(self, closure: Closure, now: Evaluated) -> str:
        """The iterations of a step; returns what was not finite, if that ended them."""
        group, state = self.param_groups[0], self._kept
        last_evaluation = state["func_evals"] - 1 + group["max_eval"]
        if not float(group["lr"]) or now.largest <= group["tolerance_grad"]:
            return ""
        origin: list[Tensor] = []
        for left in reversed(range(group["max_iter"])):
            before, earlier = now, state.get("prev_loss")
            direction = self._direction(now)
            slope = float(now.gradient.dot(direction))
            if not math.isfinite(slope):
                self._forget()
                return f"slope is {slope}"
            if slope > -group["tolerance_change"]:
                if slope > 0:
                    self._forget()
                break
            length = self._length(now, slope, earlier)
            if group["line_search_fn"] is not None:
                limit = last_evaluation - state["func_evals"] + 1
                search = self._search(closure, now, direction, slope, length, limit)
                now, length = search.point.kept, search.point.step
                if not length and search.evaluations < limit:
                    self._forget()
                    break
            elif left:
                origin = flat.copy(self._params, origin)
                now = self._jump(closure, origin, direction, length)
                if now.trouble:
                    return now.trouble
            else:
                flat.move(self._params, direction, length)
            state["t"] = length
            if state["func_evals"] >= last_evaluation or self._settled(before, now, direction, length):
                break
        return ""

    def _direction(self, now: Evaluated) -> Tensor:
        """Learn from the step before, and aim from here."""
        state, memory = self._kept, self._memory()
        state["n_iter"] += 1
        if state["n_iter"] > 1:
            d, t, earlier = state["d"], state["t"], state["prev_flat_grad"]
            step = d if t == 1 else d.mul(t)
            # in the earlier gradient's place: to get memory for millions of numbers takes longer than to compute them
            memory.learn(step, torch.sub(now.gradient, earlier, out=earlier))
        # before the direction takes memory, so that a forgotten pair's is free
        state.update(memory.to_state(), t=0.0, prev_flat_grad=now.gradient, prev_loss=now.value)
        state["d"] = direction = memory.direction(now.gradient)
        return direction

    def _length(self, now: Evaluated, slope: float = 0.0, earlier: float | None = None) -> float:
        """The length to begin with, `earlier` being the loss one step ago.

        The first step, when no curvature is known, is at most `lr` long, counted by the sum of its entries.
        """
        lr = float(self.param_groups[0]["lr"])
        return float((1.0 / now.gradient.abs().sum()).clamp(max=1.0) * lr) if self._kept["n_iter"] == 1 else lr

    def _jump(self, closure: Closure, origin: list[Tensor], direction: Tensor, length: float) -> Evaluated:
        """Move along a direction, and back to `origin` where the loss there is not finite."""
        there = self._evaluate_at(closure, origin, direction, length)
        if there.trouble:
            flat.restore(self._params, origin)
            self._forget()
        return there

    def _settled(self, before: Evaluated, now: Evaluated, direction: Tensor, length: float) -> bool:
        """Whether the gradient is small, or what the last step changed."""
        group = self.param_groups[0]
        least = float(group["tolerance_change"])
        if now.largest <= group["tolerance_grad"] or abs(now.value - before.value) < least:
            return True
        return flat.largest(direction) * length <= least

    def _forget(self) -> None:
        """Begin anew, as at the first step."""
        state = self._kept
        evaluations = state["func_evals"]
        state.clear()
        state.update(func_evals=evaluations, n_iter=0)
