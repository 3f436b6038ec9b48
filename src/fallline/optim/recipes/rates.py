"""Rates that differ from layer to layer: lower ones where features are general and trained before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from ...errors import InputError
from ...rules.hyper import Hyper, at_least, between
from .layers import Layers, depths
from .parameters import Groups, Place, check_selectors, closest, places, regroup


def layerwise_decay(
    model: nn.Module,
    lr: float | None = None,
    decay: float = 0.75,
    *,
    layers: Layers | None = None,
    within: Iterable[Mapping[str, Any]] | None = None,
) -> Groups:
    """Groups "layer 0", "layer 1" and so on: the last layer learns at `lr`, each one before at `decay` times the next.

    Where a group of `within` has an `lr` of its own, that is what is scaled. `layers` says what the layers are; see
    `depths`, which also shows how the model was read.

    Raises `InputError` for a rate or a decay (above 0, at most 1) that is not allowed, for a group that has no rate,
    and as `depths` does. Source: Clark et al. 2020 (ELECTRA, arXiv:2003.10555, appendix), Bao et al. 2022 (BEiT,
    arXiv:2106.08254, appendix).
    """
    if Hyper("decay", 1.0, between(0, 1)).check(decay, "layerwise_decay") == 0:
        raise InputError(
            "decay=0 is not allowed for layerwise_decay: only the last layer would learn; freeze the others."
        )
    start = None if lr is None else _rate(lr, "layerwise_decay")
    depth = depths(model, layers)
    last = max(depth.values())

    def say(place: Place, group: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        base = group.get("lr", start)
        if base is None:
            raise InputError("lr is needed for layerwise_decay: the rate of the last layer.")
        own = depth[place.name]
        return f"layer {own}", {"lr": _rate(base, "layerwise_decay") * decay ** (last - own)}

    return regroup(model, within, say)


def discriminative(
    model: nn.Module,
    lr: float | Mapping[str, float] | None = None,
    factor: float = 2.6,
    *,
    layers: Layers | None = None,
    within: Iterable[Mapping[str, Any]] | None = None,
) -> Groups:
    """Groups with a rate each: every layer learns `factor` times slower than the next, the last one at `lr`.

    With a mapping from selectors to rates (`{"backbone": 1e-5, "": 1e-3}`; the longest that fits counts, the empty one
    stands for the rest) groups are named by their selectors, and neither `factor` nor `layers` is read.

    Raises `InputError` for a rate or a factor (at least 1) that is not allowed, for a parameter without a rate, and as
    `depths` does. Source: Howard & Ruder 2018, arXiv:1801.06146, section 3.2.
    """
    if not isinstance(lr, Mapping):
        Hyper("factor", 1.0, at_least(1)).check(factor, "discriminative")
        return layerwise_decay(model, lr, 1 / factor, layers=layers, within=within)
    selectors = check_selectors("lr", lr, (name for place in places(model) for name in place.names))
    rates = {selector: _rate(lr[selector], f"discriminative, {selector!r}") for selector in selectors}

    def say(place: Place, group: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        selector = closest(rates, place.names[:1]) or closest(rates, place.names)
        if selector is None:
            raise InputError(f"lr has no rate for {place.name}; every parameter needs one ('' names the rest).")
        return selector or "the rest", {"lr": rates[selector]}

    return regroup(model, within, say)


def _rate(lr: Any, of: str) -> float:
    return Hyper("lr", 0.0, at_least(0)).check(lr, of)
