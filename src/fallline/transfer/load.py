"""Weights from a checkpoint into a model, with a report of what fitted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from ..errors import InputError
from ..optim.recipes.parameters import bare
from .head import head_of
from .read import Weights, read

_HEADS = ("auto", "load", "skip")
_SHOWN = 6
"""Names of a kind that a report lists."""


@dataclass(frozen=True)
class Report:
    """What became of a checkpoint: names of tensors, as the model has them; `str()` is the report in words.

    `loaded` came from it; `missing` are the model's alone and stay as they were; `unexpected` are the checkpoint's
    alone; `skipped` belong to the head and were not loaded; `mismatched` are those of them that have another shape,
    with the shape there and the model's.
    """

    source: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    skipped: tuple[str, ...]
    mismatched: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]

    def __str__(self) -> str:
        whole = len(self.loaded) + len(self.missing) + len(self.skipped)
        lines = [f"{len(self.loaded)} of the model's {whole} tensors loaded from {self.source}."]
        if self.skipped:
            shapes = [f"{name} {there} for {here}" for name, (there, here) in self.mismatched.items()]
            why = f" (shapes differ: {_few(shapes)})" if shapes else ""
            lines.append(f"The head stays fresh: {_few(self.skipped)}{why}.")
        if self.missing:
            lines.append(f"Not in the checkpoint, left as they were: {_few(self.missing)}.")
        if self.unexpected:
            lines.append(f"In the checkpoint alone, not used: {_few(self.unexpected)}.")
        return "\n".join(lines)


def load_weights(model: nn.Module, source: Path | str | nn.Module | Mapping[str, Tensor], head: str = "auto") -> Report:
    """Load what a checkpoint has for the model, in place; returns what fitted and what did not.

    - `source`: a file or directory (`read`), a state dict, or another model. What all names begin with (`module.` of
      distributed training, `_orig_mod.` of `torch.compile`) does not matter, nor does what else the file holds.
    - `head`: "auto" loads the head where its shapes fit and leaves it fresh where they do not, "skip" leaves it fresh,
      "load" needs it to fit; the path of a layer says what the head is, otherwise as "auto". See `head_of`.

    Types and devices stay those of the model. Raises `InputError`, and loads nothing, where nothing fits, where a
    tensor outside the head has another shape, or one would hold numbers that are not finite.
    """
    return fill(model, *given(source), head)


def fill(model: nn.Module, name: str, held: Iterable[Weights], head: str = "auto") -> Report:
    """`load_weights` from mappings that were read before, of a source of that name."""
    model = bare(model)
    known = {key: value for key, value in model.state_dict(keep_vars=True).items() if isinstance(value, Tensor)}
    if any(isinstance(value, UninitializedParameter | UninitializedBuffer) for value in known.values()):
        raise InputError("the model has layers that learn their shape from the first batch; show it one before.")
    how, of_head = _head(model, head, known)
    weights, rest = _best(held, known, name)
    wrong = _differing(weights, known)
    allowed = of_head if how != "load" else set()
    bad = [f"{key} is {there} there and {here} here" for key, (there, here) in wrong.items() if key not in allowed]
    if bad:
        raise InputError(f"{name} does not fit the model: {_few(bad)}. Nothing was loaded.")
    fresh = of_head if how == "skip" or (how == "auto" and of_head & wrong.keys()) else set()
    chosen = [key for key in known if key in weights and key not in fresh]
    if not chosen:
        raise InputError(f"{name} has nothing for the model but its head, which is left fresh (head={head!r}).")
    _put(known, {key: weights[key] for key in chosen}, name)
    filled = {id(known[key]) for key in chosen}  # tied weights have several names, of which a file may hold one
    return Report(
        source=name,
        loaded=tuple(chosen),
        missing=tuple(key for key in known if key not in weights and id(known[key]) not in filled),
        unexpected=tuple(rest),
        skipped=tuple(key for key in known if key in fresh and key in weights),
        mismatched=wrong,
    )


def _differing(weights: Weights, known: Mapping[str, Tensor]) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """What has another shape in the weights than in the model: its shape there and here."""
    both = [(key, tuple(weights[key].shape), tuple(value.shape)) for key, value in known.items() if key in weights]
    return {key: (there, here) for key, there, here in both if there != here}


def _head(model: nn.Module, head: str, known: Iterable[str]) -> tuple[str, set[str]]:
    """How the head is treated, and the names of its tensors."""
    how, path = (head, None) if head in _HEADS else ("auto", head)
    try:
        within = head_of(model, path)
    except InputError:
        if path is not None or how == "skip":
            raise
        return how, set()
    return how, {name for name in known if not within or name.startswith(f"{within}.")}


def given(source: Path | str | nn.Module | Mapping[str, Tensor]) -> tuple[str, list[Weights]]:
    """What to call the source, and the mappings that it holds."""
    if isinstance(source, nn.Module):
        return f"the {type(source).__name__}", [source.state_dict()]
    if isinstance(source, Mapping):
        return "the state dict", [{str(name): value for name, value in source.items() if isinstance(value, Tensor)}]
    if not isinstance(source, str | Path):
        raise InputError(f"a checkpoint is a file, a state dict or a model; this is a {type(source).__name__}.")
    return str(source), read(source)


def _best(held: Iterable[Weights], known: Mapping[str, Tensor], source: str) -> tuple[Weights, list[str]]:
    """The weights for the model, under its names, and what stands beside them: from the mapping, and with the
    beginning of names, that has the most of them; the first such."""
    best: tuple[int, Weights, str] = (0, {}, "")
    seen = ""
    for tensors in held:
        seen = seen or next(iter(tensors))
        for prefix in _prefixes(tensors, known):
            count = sum(name.startswith(prefix) and name[len(prefix) :] in known for name in tensors)
            if count > best[0]:
                best = count, tensors, prefix
    count, tensors, prefix = best
    if not count:
        raise InputError(
            f"{source} has no weights for the model: its names are like {seen!r}, the model's like "
            f"{next(iter(known), 'none')!r}. Nothing was loaded."
        )
    weights = {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
    return weights, [name for name in weights if name not in known]


def _prefixes(tensors: Iterable[str], known: Mapping[str, Tensor]) -> list[str]:
    """All that stands before a name of the model's, the shortest first."""
    found = {""}
    for name in tensors:
        parts = name.split(".")
        ends = (".".join(parts[k:]) for k in range(len(parts)))
        found |= {name[: len(name) - len(end)] for end in ends if end in known}
    return sorted(found, key=lambda prefix: (len(prefix), prefix))


@torch.no_grad()
def _put(known: Mapping[str, Tensor], chosen: Weights, source: str) -> None:
    for name, value in chosen.items():
        if (value.is_floating_point() or value.is_complex()) and not bool(torch.isfinite(value).all()):
            raise InputError(f"{source} holds numbers that are not finite, in {name}. Nothing was loaded.")
    for name, value in chosen.items():
        known[name].copy_(value)


def _few(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more
