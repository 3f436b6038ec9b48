"""The head of a model: the last layer that turns features into scores."""

from __future__ import annotations

from typing import Any

from torch import nn

from ..errors import InputError

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def head_of(model: nn.Module, name: str | None = None) -> str:
    """The path of the head: `name` if given, else the last linear or convolution layer, in the order of registration.

    Raises `InputError` where there is none.
    """
    layers: list[str] = [path for path, module in model.named_modules() if isinstance(module, _LAYERS)]
    if name is not None:
        if name not in layers:
            last = ", ".join(layers[-5:]) or "none"
            raise InputError(f"head={name!r} is no linear or convolution layer of the model; the last are {last}.")
        return name
    if not layers:
        raise InputError("the model has no linear or convolution layer that could be its head.")
    return layers[-1]


def replace_head(model: nn.Module, classes: int, head: str | None = None) -> nn.Module:
    """The model with a fresh head of so many outputs, everything else as it was; its weights from PyTorch's generator.

    The head is the layer at the path `head`, by default the last linear or convolution layer. It is replaced in place
    by one of its own class, device and type, which learns. Raises `InputError` for a head whose weights another layer
    shares (tied embeddings), which cannot have a number of outputs of its own.
    """
    if isinstance(classes, bool) or not isinstance(classes, int) or classes < 1:
        raise InputError(f"classes={classes!r} is not allowed; a whole number from 1 on is needed.")
    path = head_of(model, head)
    old = model.get_submodule(path)
    names = [name for name, p in model.named_parameters(remove_duplicate=False) if p is old.weight]
    if len(names) > 1:
        raise InputError(f"the head {path!r} cannot be replaced: {' and '.join(names)} are the same weights.")
    new = _like(old, classes)
    new.train(old.training)
    if not path:
        return new
    parent, _, leaf = path.rpartition(".")
    setattr(model.get_submodule(parent), leaf, new)
    return model


def _like(layer: Any, outputs: int) -> nn.Module:
    """A fresh layer of the same kind with another number of outputs."""
    common = {"bias": layer.bias is not None, "device": layer.weight.device, "dtype": layer.weight.dtype}
    if isinstance(layer, nn.Linear):
        return nn.Linear(layer.in_features, outputs, **common)
    if layer.groups > 1:
        raise InputError("a head that is a convolution in groups cannot be replaced; set it yourself.")
    how = ("kernel_size", "stride", "padding", "dilation", "padding_mode")
    fresh: nn.Module = type(layer)(layer.in_channels, outputs, **{name: getattr(layer, name) for name in how}, **common)
    return fresh
