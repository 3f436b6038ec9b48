"""What makes a quasi-Newton step on a mini-batch safe: the same draws in every call, and pairs that are damped."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

_SHARE = 0.2
"""Of the curvature that the matrix expects along a step: what a damped pair has at least (Powell 1978)."""


def replayed(closure: Callable[[], Any], device: torch.device) -> Callable[[], Any]:
    """The closure, of which every call draws PyTorch's random numbers as the first did: dropout's masks, a batch."""
    places: list[Callable[[], None]] = []

    def call() -> Any:
        if not places:
            places.extend(_random_places(device))
        for back_to in places:
            back_to()
        return closure()

    return call


def _random_places(device: torch.device) -> list[Callable[[], None]]:
    """What sets the generators back to where they are now: the CPU's, and that of the device."""
    places: list[Callable[[], None]] = [partial(torch.set_rng_state, torch.get_rng_state())]
    if device.type != "cpu":
        module = torch.get_device_module(device)
        which = [] if device.type == "mps" else [device]  # of which there is only one
        places.append(partial(module.set_rng_state, module.get_rng_state(*which), *which))
    return places


def damped(step: Tensor, change: Tensor, expected: Tensor, least: float) -> Tensor:
    """The gradient's change over a step, moved to where its curvature along the step is positive, and not too small.

    First towards the change that the matrix expects, `B s` (Powell 1978; Nocedal & Wright 2006, equations 18.14 and
    18.15); then along the step, until the curvature `s.y / s.s` is at `least` (as Mokhtari & Ribeiro 2014 bound it).
    """
    found, wanted = float(step.dot(change)), float(step.dot(expected))
    if found < _SHARE * wanted:
        change = torch.lerp(expected, change, (1 - _SHARE) * wanted / (wanted - found))
    length = float(step.dot(step))
    missing = least * length - float(step.dot(change))
    return change.add(step, alpha=missing / length) if missing > 0 else change
