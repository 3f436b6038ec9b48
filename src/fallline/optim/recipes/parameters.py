"""A model's parameters with the places where they are, selectors of them, and groups split by what is said of each."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ...errors import InputError

Groups = list[dict[str, Any]]
"""Parameter groups as `torch.optim` takes them."""


@dataclass(frozen=True)
class Place:
    """A parameter with all the names it has, the first one first, and the modules that hold it."""

    parameter: nn.Parameter
    names: tuple[str, ...]
    owners: tuple[nn.Module, ...]

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def is_bias(self) -> bool:
        """By its name: `bias`, `in_proj_bias`, `bias_ih_l0`."""
        leaves = (name.rpartition(".")[2] for name in self.names)
        return any(leaf == "bias" or leaf.startswith("bias_") or leaf.endswith("_bias") for leaf in leaves)

    @property
    def is_norm(self) -> bool:
        """Of a normalization layer: PyTorch's, or a class with "norm" in its name if this is as good as a vector."""
        known = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.modules.batchnorm._NormBase)
        by_name = any("norm" in type(owner).__name__.lower() for owner in self.owners)
        return any(isinstance(owner, known) for owner in self.owners) or (by_name and self.is_thin)

    @property
    def is_embedding(self) -> bool:
        """Of an embedding layer (PyTorch's, or by its class name), or named as an embedding or a token."""
        layer = any(
            isinstance(owner, nn.Embedding | nn.EmbeddingBag) or "embedding" in type(owner).__name__.lower()
            for owner in self.owners
        )
        leaves = (name.rpartition(".")[2] for name in self.names)
        return layer or any("embed" in leaf or "token" in leaf for leaf in leaves)

    @property
    def is_thin(self) -> bool:
        """Whether at most one of its dimensions is longer than one."""
        return sum(size > 1 for size in self.parameter.shape) <= 1


def bare(model: nn.Module) -> nn.Module:
    """The model itself, out of `torch.compile` and the data parallel wrappers."""
    if not isinstance(model, nn.Module):
        raise InputError(f"model={model!r} is not allowed; a torch.nn.Module is needed.")
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(getattr(model, "_orig_mod", None), nn.Module):
            model = model._orig_mod  # type: ignore[assignment]
        else:
            return model


def places(model: nn.Module) -> list[Place]:
    """Every parameter once, in the order of registration. Raises `InputError` where one has no shape yet."""
    found: dict[int, Place] = {}
    for path, module in bare(model).named_modules(remove_duplicate=False):
        for leaf, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            name = f"{path}.{leaf}" if path else leaf
            if is_lazy(parameter):
                raise InputError(f"{name} of the model has no shape yet; run one batch through the model first.")
            known = found.get(id(parameter), Place(parameter, (), ()))
            found[id(parameter)] = Place(parameter, (*known.names, name), (*known.owners, module))
    if not found:
        raise InputError("the model has no parameters; a model that learns is needed.")
    return list(found.values())


def matches(selector: str, name: str) -> bool:
    """Whether a selector names a parameter or module, or a module that it is in. The empty one names everything."""
    parts = name.split(".")
    return not selector or any(fnmatchcase(".".join(parts[:k]), selector) for k in range(1, len(parts) + 1))


def closest(selectors: Iterable[str], names: Sequence[str]) -> str | None:
    """The longest selector that names one of `names`, if any does."""
    fitting = [selector for selector in selectors if any(matches(selector, name) for name in names)]
    return max(fitting, key=len, default=None)


def check_selectors(argument: str, selectors: Iterable[str], names: Iterable[str]) -> list[str]:
    """The selectors as a list; raises `InputError` for one that names nothing."""
    names = list(names)
    selectors = [selectors] if isinstance(selectors, str) else list(selectors)
    for selector in selectors:
        if not isinstance(selector, str):
            raise InputError(f"{argument} has {selector!r}; paths of modules or parameters are needed.")
        if not any(matches(selector, name) for name in names):
            near = difflib.get_close_matches(selector, _paths(names), n=3, cutoff=0.5) or _paths(names)[:5]
            raise InputError(
                f"{argument} has {selector!r}, which names nothing in the model. It has {', '.join(near)}."
            )
    return selectors


def _paths(names: Iterable[str]) -> list[str]:
    """All names, and the paths of the modules that they are in."""
    paths: dict[str, None] = {}
    for name in names:
        parts = name.split(".")
        paths.update({".".join(parts[:k]): None for k in range(1, len(parts) + 1)})
    return list(paths)


def regroup(
    model: nn.Module,
    within: Iterable[Mapping[str, Any]] | None,
    say: Callable[[Place, Mapping[str, Any]], tuple[str, Mapping[str, Any]]],
) -> Groups:
    """Split every group by `say(place, group)`: the name of the part that a parameter belongs to, and its settings.

    Without groups to split, all parameters that take a gradient are one. Raises `InputError` where there are none, or
    where a group holds what is not in the model.
    """
    found = {id(place.parameter): place for place in places(model)}
    if within is None:
        learning = [place.parameter for place in found.values() if place.parameter.requires_grad]
        if not learning:
            raise InputError("no parameter of the model takes a gradient (requires_grad); unfreeze what is to learn.")
        within = [{"params": learning}]
    result: Groups = []
    for group in within:
        parts: dict[str, dict[str, Any]] = {}
        for parameter in _tensors(group):
            if id(parameter) not in found:
                raise InputError(
                    f"within has a tensor of shape {tuple(parameter.shape)} that is no parameter of the model."
                )
            label, settings = say(found[id(parameter)], group)
            if label not in parts:
                name = ", ".join(filter(None, (group.get("name"), label)))
                parts[label] = {**group, **settings, "name": name, "params": []}
            parts[label]["params"].append(parameter)
        result += parts.values()
    return result


def _tensors(group: Mapping[str, Any]) -> list[Tensor]:
    if not isinstance(group, Mapping) or "params" not in group:
        raise InputError(f"within has {group!r}; parameter groups, dictionaries with 'params', are needed.")
    params = group["params"]
    named = [params] if isinstance(params, Tensor) else params
    return [each[1] if isinstance(each, tuple) else each for each in named]
