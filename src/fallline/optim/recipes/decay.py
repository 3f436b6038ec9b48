"""No decay where there is nothing to decay: biases, norms, gains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from ...rules.hyper import Hyper, at_least
from .parameters import Groups, Place, check_selectors, closest, places, regroup


def no_decay(
    model: nn.Module,
    weight_decay: float | None = None,
    *,
    decay_embeddings: bool = True,
    also: Iterable[str] = (),
    within: Iterable[Mapping[str, Any]] | None = None,
) -> Groups:
    """Groups "decay", with `weight_decay`, and "no decay", with none: biases, norms, and whatever has one dimension.

    `weight_decay=None` leaves the first group to the optimizer's own setting. Norms are `LayerNorm`, `RMSNorm`,
    `GroupNorm`, the batch and instance norms, and of any class with "norm" in its name the parameters of which at most
    one dimension is longer than one. `decay_embeddings=False` frees embedding tables, position tables and tokens as
    well; `also` are selectors of more that is not decayed.

    Raises `InputError` for a decay that is not allowed and for a selector that names nothing.
    """
    decayed = {}
    if weight_decay is not None:
        decayed["weight_decay"] = Hyper("weight_decay", 0.0, at_least(0)).check(weight_decay, "no_decay")
    more = check_selectors("also", also, (name for place in places(model) for name in place.names))

    def say(place: Place, group: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        free = place.is_bias or place.is_norm or place.parameter.ndim <= 1 or closest(more, place.names) is not None
        if free or (place.is_embedding and not decay_embeddings):
            return "no decay", {"weight_decay": 0.0}
        return "decay", decayed

    return regroup(model, within, say)
