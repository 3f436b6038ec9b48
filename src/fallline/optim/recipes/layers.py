"""Which layer is nearer to the input: the depth of every parameter, read off the order of a model's blocks.

A model is read as *parts* in the order in which they were registered. A `Sequential` or `ModuleList` is a series: each
thing in it is a part. Other modules are opened when a trunk is inside, that is a series with two or more modules of one
class that have modules of their own (a transformer's blocks, a ResNet's), or when they merely wrap a series. A block
itself is not opened: what a part is, is one layer. Then

- what comes before the first series, whatever holds embeddings alone, and parameters that opened modules hold
  themselves (class tokens, position tables) are depth 0;
- every part of a series is a layer, and so is every part between two series that holds a matrix. A part that holds none
  (a norm) belongs to the layer before it;
- what comes after the last series is the last layer: the head, with the norm before it.

Without a series every module that holds a matrix is a layer. Depths count from 0 without gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from torch import nn

from ...errors import InputError
from .parameters import bare, check_selectors, closest, places

Layers = Sequence[str] | Callable[[str], int]
"""What the layers are where the user says so: selectors from the input's layer on, or from a parameter's name to its
depth."""

_SERIES = (nn.Sequential, nn.ModuleList)


class Part(NamedTuple):
    """A stretch of the model that is not opened."""

    module: nn.Module
    parameters: list[nn.Parameter]
    """Those that no part before it holds."""
    in_series: bool
    is_block: bool
    """Whether it is one of several of its kind, or a compound link of a series, rather than a head or an embedding."""

    @property
    def has_matrix(self) -> bool:
        return any(parameter.ndim > 1 for parameter in self.parameters)

    @property
    def embeds(self) -> bool:
        holders = [m for m in self.module.modules() if next(m.parameters(recurse=False), None) is not None]
        return all(isinstance(holder, nn.Embedding | nn.EmbeddingBag) for holder in holders)


def depths(model: nn.Module, layers: Layers | None = None) -> dict[str, int]:
    """The depth of every parameter by its name: 0 nearest to the input, the largest at the output.

    `layers` says what the layers are: selectors in order (`["embeddings", "encoder.0", "encoder.1", "head"]`, the
    longest that fits counts), or a function from a parameter's name to its depth. Without it they are read off the
    model: a `Sequential` or `ModuleList` gives a layer for each of its blocks, what comes before is depth 0 and what
    comes after is the last layer; `recipes/layers.py` has the rule in full. A parameter with several names has the
    depth of its first.

    Raises `InputError` for a selector that names nothing, a parameter that no selector names, or a depth that is no
    whole number from 0 on.
    """
    found = places(model)
    if layers is None:
        by_parameter = _read(bare(model))
        return {place.name: by_parameter.get(id(place.parameter), 0) for place in found}
    if callable(layers):
        return {place.name: _whole(layers(place.name), place.name) for place in found}
    selectors = check_selectors("layers", layers, (name for place in found for name in place.names))
    order = {selector: depth for depth, selector in reversed(list(enumerate(selectors)))}
    said = {}
    for place in found:
        selector = closest(order, place.names[:1]) or closest(order, place.names)
        if selector is None:
            raise InputError(f"layers names no layer for {place.name}; every parameter needs one ('' names the rest).")
        said[place.name] = order[selector]
    return said


def parts(model: nn.Module) -> list[Part]:
    """The parts of a model, in order; without those of which parts before hold every parameter (a tied head)."""
    seen: set[int] = set()
    result = []
    for module, in_series, is_block in list(_closed(model)) or [(model, False, False)]:
        own = [parameter for parameter in module.parameters() if id(parameter) not in seen]
        seen.update(map(id, own))
        if own:
            result.append(Part(module, own, in_series, is_block))
    return result


def _closed(module: nn.Module, in_series: bool = False) -> Iterator[tuple[nn.Module, bool, bool]]:
    """The modules that are not opened and hold parameters; whether each is in a series, and whether it is a block."""
    here = isinstance(module, _SERIES)
    children = [child for child in module.children() if next(child.parameters(), None) is not None]
    for child in children:
        alike = sum(type(other) is type(child) for other in children) > 1
        if _opens(child, alike, here):
            yield from _closed(child, in_series or here)
        else:
            compound = next(child.children(), None) is not None
            yield child, in_series or here, compound and (alike or here)


def _opens(module: nn.Module, alike: bool, in_series: bool) -> bool:
    """Whether the module is a way to layers rather than one; `alike`: it has siblings of its class."""
    block = alike and in_series
    series = [inner for inner in module.modules() if isinstance(inner, _SERIES)]
    trunk = any(_is_trunk(inner) for inner in series)
    if isinstance(module, _SERIES):
        return trunk or not block
    if trunk:
        return not block
    return bool(series) and not alike and not in_series


def _is_trunk(series: nn.Module) -> bool:
    kinds = [type(block) for block in series.children() if next(block.children(), None) is not None]
    return any(kinds.count(kind) > 1 and not issubclass(kind, _SERIES) for kind in set(kinds))


def _read(model: nn.Module) -> dict[int, int]:
    """The depth of the parameters that parts hold, by identity."""
    every = parts(model)
    linked = [k for k, part in enumerate(every) if part.in_series] or [0, len(every) - 1]
    first, last = linked[0], linked[-1]
    layers: list[list[Part]] = [[]]
    for k, part in enumerate(every[: last + 1]):
        if part.embeds or k < first:
            layers[0].append(part)
        elif part.has_matrix:
            layers.append([part])
        else:
            layers[-1].append(part)
    layers[0] += [part for part in every[last + 1 :] if part.embeds]
    after = [part for part in every[last + 1 :] if not part.embeds]
    if any(part.has_matrix for part in after):
        layers.append(after)
    else:
        layers[-1] += after
    depth = {id(p): k for k, layer in enumerate(layers) for part in layer for p in part.parameters}
    # where nothing comes before the first layer, that is depth 0
    empty = not layers[0] and all(id(parameter) in depth for parameter in model.parameters())
    return {held: k - empty for held, k in depth.items()}


def _whole(depth: int, name: str) -> int:
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 0:
        raise InputError(f"layers gave {depth!r} for {name}; a whole number from 0 on is needed.")
    return depth
