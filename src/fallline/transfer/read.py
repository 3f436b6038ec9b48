"""Checkpoints of all kinds as mappings from names to tensors. Nothing is unpickled that is not a tensor."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError

Weights = dict[str, Tensor]

_WRITTEN = ("model.safetensors", "weights.safetensors", "pytorch_model.bin", "model.pt")
"""What holds the weights where a directory is given, the first that is there."""
_DEEPEST = 3
"""Mappings within mappings that are looked into."""


def read(path: Path | str) -> list[Weights]:
    """The mappings from names to tensors that a checkpoint holds: mostly one, several beside averages or optimizers.

    A file of safetensors or of `torch.save`, which is read with `weights_only=True` and may hold the weights at any
    depth (`{"model": ...}`, `{"state_dict": ...}`), or a directory with one. The tensors are on the CPU.

    Raises `InputError` for a file that is not there, that is neither, or that holds more than tensors and plain values.
    """
    file = _file(Path(path).expanduser())
    held = _safetensors(file) if file.suffix == ".safetensors" else _torch(file)
    found = list(_mappings(held))
    if not found:
        raise InputError(f"{file} has no weights in it: nothing there maps names to tensors.")
    return found


def _file(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.exists():
        raise InputError(f"there is no checkpoint {str(path)!r} (looked in {path.absolute().parent}).")
    for name in _WRITTEN:
        if (path / name).is_file():
            return path / name
    single = sorted(path.glob("*.safetensors"))
    if len(single) == 1:
        return single[0]
    raise InputError(f"{path} is a directory with none of {', '.join(_WRITTEN)} in it; name the file.")


def _safetensors(file: Path) -> Weights:
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except Exception as error:  # safetensors has an exception of its own
        raise InputError(f"{file} cannot be read as safetensors: {error}") from error


def _torch(file: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of PyTorch's about older formats
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{file} holds more than tensors and plain values, or is no checkpoint. It is not opened: a pickle can run "
            "any program. Where you trust it, save its weights by themselves: torch.save(model.state_dict(), PATH)."
        ) from error
    except Exception as error:  # a damaged archive leads PyTorch to many kinds
        raise InputError(f"{file} is damaged, or no checkpoint of PyTorch ({type(error).__name__}).") from error


def _mappings(held: Any, depth: int = 0) -> Iterator[Weights]:
    """The mappings with tensors in them, outer ones first."""
    if not isinstance(held, Mapping) or depth > _DEEPEST:
        return
    tensors = {str(name): value for name, value in held.items() if isinstance(value, Tensor)}
    if tensors:
        yield tensors
    for value in held.values():
        yield from _mappings(value, depth + 1)
