"""Examples in batches: tensors in memory, or a map-style Dataset that is asked afresh every epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from ..errors import InputError
from .seeds import seeded

Split: TypeAlias = "Arrays | Stream"

_GATHERED = 64
"""Batches gathered from memory by one indexing call."""
_SAMPLED = 8
"""Examples of a `Stream` that its digest looks at."""


class Digest(Protocol):
    """What a hash object of `hashlib` offers to be fed."""

    def update(self, data: Any, /) -> None: ...


class Fingerprinted(Dataset[Any]):
    """A Dataset that can be told from others without an epoch over it."""

    def digest(self, digest: Digest) -> None:
        """Feed to a hash what changes when an example does."""
        raise NotImplementedError


@dataclass(frozen=True)
class Arrays:
    """Examples in memory: inputs `x` (n, ...) and targets `y` (n, ...)."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def take(self, indices: Tensor) -> Arrays:
        """The examples at these indices."""
        return Arrays(self.x[indices.to(self.x.device)], self.y[indices.to(self.y.device)])

    def batches(
        self, size: int, device: torch.device, order: torch.Generator | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches (x, y) of `size` examples, the last one smaller, in an order drawn from `order` if given."""
        if order is None:
            # copies, which a model that works in place may overwrite
            starts = range(0, len(self), size)
            pieces: Iterable[tuple[Tensor, Tensor]] = (
                (self.x[i : i + size].clone(), self.y[i : i + size].clone()) for i in starts
            )
        else:
            indices = torch.randperm(len(self), generator=order)
            pieces = ((part.x, part.y) for part in map(self.take, torch.split(indices, _GATHERED * size)))
        for x, y in pieces:
            yield from zip(torch.split(x.to(device), size), torch.split(y.to(device), size), strict=True)

    def digest(self, digest: Digest) -> None:
        """Feed everything to a hash."""
        digest_tensor(self.x, digest)
        digest_tensor(self.y, digest)


@dataclass(frozen=True)
class Stream:
    """Examples of a map-style Dataset, which may augment them: each epoch asks it again."""

    dataset: Dataset[Any]

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def take(self, indices: Tensor) -> Stream:
        """The examples at these indices."""
        return Stream(Subset(self.dataset, indices.tolist()))

    def batches(
        self, size: int, device: torch.device, order: torch.Generator | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches (x, y) of `size` examples, the last one smaller, in an order drawn from `order` if given."""
        loader = DataLoader(self.dataset, batch_size=size, shuffle=order is not None, generator=order)
        for pair in loader:
            x, y = as_batch(pair)
            yield x.to(device), y.to(device)

    def digest(self, digest: Digest) -> None:
        """Feed the type, the length, and a few examples' shapes and targets to a hash: all would cost an epoch."""
        digest.update(f"{type(self.dataset).__qualname__} {len(self)}".encode())
        if isinstance(self.dataset, Fingerprinted):
            self.dataset.digest(digest)
        few = torch.linspace(0, len(self) - 1, min(_SAMPLED, len(self))).long()
        with seeded(0):
            for x, y in self.take(few).batches(1, torch.device("cpu")):
                digest.update(f"{tuple(x.shape)} {x.dtype}".encode())
                digest_tensor(y, digest)

    def labels(self) -> Tensor | None:
        """All targets, where the Dataset keeps them in memory under the usual name; else None."""
        if isinstance(self.dataset, Subset):
            labels = Stream(self.dataset.dataset).labels()
            return None if labels is None else labels[torch.as_tensor(self.dataset.indices)]
        try:
            labels = _tensor(getattr(self.dataset, "targets", None), "targets")
        except InputError:
            return None
        return labels if len(labels) == len(self) else None


def as_batch(pair: Any) -> tuple[Tensor, Tensor]:
    """What a loader gives for a batch of a Dataset, as tensors of the types that models take."""
    x, y = _pair(pair, "a batch of the Dataset")
    return _tidy_input(torch.as_tensor(x)), _tidy_target(torch.as_tensor(y))


def digest_tensor(tensor: Tensor, digest: Digest) -> None:
    """Feed a tensor's shape, type and bytes to a hash."""
    digest.update(f"{tuple(tensor.shape)} {tensor.dtype} ".encode())
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    digest.update(flat.view(torch.uint8).numpy())


def split(given: Any, name: str) -> Split:
    """The examples of the argument `name`: a pair (x, y) of tensors, arrays or lists, a map-style Dataset, or a split.

    Floats of 64 bits become 32, integer targets become int64. Raises `InputError` for anything else, for
    lengths that differ, for no examples, and for numbers that are not finite.
    """
    made = _split(given, name)
    if not len(made):
        raise InputError(f"{name} is empty: it has no examples.")
    if isinstance(made, Arrays):
        _check_finite(made.x, f"{name} features")
        _check_finite(made.y, f"{name} targets")
    return made


def hold_out(train: Split, shares: dict[str, float], seed: int) -> tuple[Split, dict[str, Split]]:
    """What remains of `train`, and for each name its share of it, drawn from the seed."""
    counts = {name: max(1, round(share * len(train))) for name, share in shares.items()}
    remaining = len(train) - sum(counts.values())
    if remaining < 1:
        raise InputError(
            f"train has only {len(train)} examples, too few to hold out {' and '.join(shares)}; "
            f"give {' and '.join(shares)} or more examples."
        )
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
    parts = torch.split(order, [remaining, *counts.values()])
    return train.take(parts[0]), {name: train.take(part) for name, part in zip(shares, parts[1:], strict=True)}


def _split(given: Any, name: str) -> Split:
    if isinstance(given, Stream):
        return given
    if isinstance(given, Arrays):
        return _arrays(given.x, given.y, name)
    if isinstance(given, DataLoader):
        raise InputError(f"{name} is a DataLoader; give its Dataset ({name}=loader.dataset) and batch_size instead.")
    if isinstance(given, IterableDataset):
        raise InputError(f"{name} is an IterableDataset; a Dataset with a length and an index is needed.")
    if isinstance(given, tuple) or (isinstance(given, list) and len(given) == 2):
        return _arrays(*_pair(given, name), name)
    held = _in_memory(given)
    if held is not None:
        return _arrays(*_pair(held, name), name)
    if isinstance(given, Tensor | np.ndarray) or not (hasattr(given, "__getitem__") and hasattr(given, "__len__")):
        raise InputError(
            f"{name} must be a pair (x, y) of tensors or arrays, or a Dataset with a length; it is {_described(given)}."
        )
    return Stream(cast("Dataset[Any]", given))


def _in_memory(given: Any) -> tuple[Tensor, ...] | None:
    """The tensors of a TensorDataset or of a Subset of one, exactly these classes (a heir may augment)."""
    if type(given) is TensorDataset:
        return given.tensors
    if type(given) is Subset:
        held = _in_memory(given.dataset)
        indices = torch.as_tensor(given.indices, dtype=torch.int64)
        return None if held is None else tuple(t[indices] for t in held)
    return None


def _arrays(x: Any, y: Any, name: str) -> Arrays:
    inputs, targets = _tidy_input(_tensor(x, f"{name} x")), _tidy_target(_tensor(y, f"{name} y"))
    if len(inputs) != len(targets):
        raise InputError(f"{name} has {len(inputs)} inputs but {len(targets)} targets; there must be one for each.")
    return Arrays(inputs, targets)


def _pair(given: Any, name: str) -> tuple[Any, Any]:
    if not isinstance(given, Sequence):
        raise InputError(f"{name} must give pairs (x, y) of inputs and targets; it gives {_described(given)}.")
    if len(given) != 2:
        raise InputError(f"{name} must give pairs (x, y) of inputs and targets; it gives {len(given)} values.")
    return given[0], given[1]


def _tensor(value: Any, name: str) -> Tensor:
    if isinstance(value, Tensor):
        tensor = value.detach()
    else:
        try:
            # tensors inside a list are stacked; copied, so that the caller may change the array later
            tensor = torch.stack(value) if _of_tensors(value) else torch.from_numpy(_native(np.array(value)))
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"{name} cannot be read as an array of numbers: {error}.") from error
    if tensor.ndim == 0:
        raise InputError(f"{name} must have one entry for each example; it is the single number {tensor.item()}.")
    return tensor


def _of_tensors(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and isinstance(value[0], Tensor)


def _native(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array in a type that PyTorch has: unsigned integers widened, long doubles and byte order made usual."""
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        return array.astype(np.int64)
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        return array.astype(np.float64)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _tidy_input(x: Tensor) -> Tensor:
    return x.float() if x.dtype is torch.float64 else x


def _tidy_target(y: Tensor) -> Tensor:
    if y.dtype is torch.float64:
        return y.float()
    return y if y.is_floating_point() or y.is_complex() else y.long()


def _check_finite(values: Tensor, name: str) -> None:
    if not values.is_floating_point() or bool(torch.isfinite(values).all()):
        return
    bad = ~torch.isfinite(values).reshape(len(values), -1).all(1)
    kind = "NaN" if bool(torch.isnan(values).any()) else "infinite values"
    first = int(bad.nonzero()[0])
    raise InputError(
        f"{name} contain {kind}: {int(bad.sum())} of {len(values)} examples, the first at index {first}. "
        "Remove or fill them in."
    )


def _described(value: Any) -> str:
    if isinstance(value, Tensor | np.ndarray):
        return f"one array of shape {tuple(value.shape)}"
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    return f"a {type(value).__name__}"
