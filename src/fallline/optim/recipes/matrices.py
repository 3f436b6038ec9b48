"""Matrices for a matrix rule, the rest for an elementwise one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from .layers import Part, parts
from .parameters import Groups, Place, bare, check_selectors, closest, places, regroup


def split_matrices(
    model: nn.Module,
    matrices: Mapping[str, Any] | None = None,
    rest: Mapping[str, Any] | None = None,
    *,
    head: Iterable[str] | None = None,
    also: Iterable[str] = (),
    convolutions: bool = True,
    within: Iterable[Mapping[str, Any]] | None = None,
) -> Groups:
    """Groups "matrices", the weights of hidden layers, and "rest", marked `elementwise`, each with its settings.

    Matrices have two dimensions or more and at least two that are longer than one. To the rest go vectors, biases,
    norms, embeddings (tables, positions, tokens, and what a model with layers holds itself), the head, and what the
    selectors `also` name. `head` are selectors of the output layer; without them it is the last matrix of the model,
    unless that is in one of its blocks.

    One optimizer steps both: `fallline.optim.Muon(groups)` steps the rest by its elementwise rule. For two optimizers
    take the groups apart: `elementwise = [group for group in groups if group.get("elementwise")]`.
    `convolutions=False` leaves what has more than two dimensions to the rest, as `torch.optim.Muon` asks for.

    Raises `InputError` for a selector that names nothing. Source: Jordan et al. 2024 (Muon,
    kellerjordan.github.io/posts/muon, "Empirical considerations").
    """
    found = places(model)
    names = [name for place in found for name in place.names]
    chosen = [*check_selectors("head", head or (), names), *check_selectors("also", also, names)]
    every = parts(bare(model))
    in_layers = {id(parameter) for part in every for parameter in part.parameters}
    output = _output(every) if head is None else None

    def say(place: Place, group: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        plain = place.is_thin or place.is_bias or place.is_norm or place.is_embedding
        outside = id(place.parameter) not in in_layers or output in place.owners
        too_long = place.parameter.ndim > 2 and not convolutions
        if plain or outside or too_long or closest(chosen, place.names) is not None:
            return "rest", {**(rest or {}), "elementwise": True}
        return "matrices", matrices or {}

    return regroup(model, within, say)


def _output(every: list[Part]) -> nn.Module | None:
    """The module that holds the last matrix, if it is in no block."""
    holding = [part for part in every if part.has_matrix]
    if not holding or holding[-1].is_block:
        return None
    inside = [m for m in holding[-1].module.modules() if any(p.ndim > 1 for p in m.parameters(recurse=False))]
    return inside[-1]
