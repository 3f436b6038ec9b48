"""MNIST-1D: signals that are small enough to train on in seconds and hard enough to tell models apart."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import FalllineError, InputError
from ...models import mlp
from ...models import mnist1d_cnn as convolutions
from ..download import ENVIRONMENT, directory, find
from ..problem import Problem
from .registry import builtin

Array = np.ndarray[Any, Any]

_MNIST1D_SHA256 = "b09ad3e22c854bc5a1948b85c373aab653ceb38c9170f5ed05b7d054e4160db9"
"""Of the bytes of the four arrays, in these types and in this order."""
_MNIST1D_ARRAYS = {"x_train": "<f4", "y_train": "<i8", "x_test": "<f4", "y_test": "<i8"}


@builtin
def mnist1d(data: Path | None = None) -> Problem:
    """Signals of length 40, ten classes, hard for their size: 40-100-100-10 network, ReLU.

    Greydanus & Kobak 2024, arXiv:2011.14439. Read from `mnist1d.npz` with `x_train`, `y_train`, `x_test`,
    `y_test`.
    """
    return Problem(partial(mlp, 40, 100, 100, 10), *_mnist1d_splits(data), batch_size=100, epochs=40, name="mnist1d")


@builtin
def mnist1d_cnn(data: Path | None = None) -> Problem:
    """Signals of length 40, ten classes, as `mnist1d`: the paper's network of three convolutions of 25 channels, ReLU.

    Greydanus & Kobak 2024, arXiv:2011.14439.
    """
    return Problem(convolutions, *_mnist1d_splits(data), batch_size=100, epochs=40, name="mnist1d_cnn")


@builtin
def mnist1d_cnn_turned(data: Path | None = None) -> Problem:
    """Signals of length 40, ten classes, as `mnist1d_cnn`: 50 channels, turned signals, one-cycle schedule.

    Greydanus & Kobak 2024, arXiv:2011.14439; Smith & Topin 2017, arXiv:1708.07120 (the schedule).
    """
    return Problem(
        partial(convolutions, 50),
        *_mnist1d_splits(data),
        batch_size=100,
        epochs=150,
        augment=turned,
        schedule="one_cycle",
        name="mnist1d_cnn_turned",
    )


def turned(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Every signal shifted around its end by any number of places, as the data set's own generator does."""
    places = (torch.randint(x.shape[1], (len(x), 1)) + torch.arange(x.shape[1])) % x.shape[1]
    return x.gather(1, places.to(x.device)), y


def _mnist1d_splits(data: Path | None) -> tuple[tuple[Array, Array], ...]:
    """Training, validation and test examples: a fifth of the published training data is for validation."""
    arrays = _mnist1d(data)
    x, y = arrays["x_train"], arrays["y_train"]
    return (x[:3200], y[:3200]), (x[3200:], y[3200:]), (arrays["x_test"], arrays["y_test"])


def _mnist1d(data: Path | None) -> dict[str, Array]:
    where = directory(data)
    if where is None:
        raise InputError(
            "mnist1d is published as a pickle, which can run any program when it is opened, so Fallline does not. "
            "Save its arrays as x_train, y_train, x_test and y_test in mnist1d.npz (numpy.savez), and name "
            f"the directory that holds it with data (--data DIR) or the environment variable {ENVIRONMENT}."
        )
    path = find(where, ("mnist-1d", "mnist1d"), ("mnist1d.npz",))
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name].astype(dtype) for name, dtype in _MNIST1D_ARRAYS.items()}
    except Exception as error:  # NumPy raises whatever a damaged archive leads it to
        raise FalllineError(f"{path} cannot be read: {type(error).__name__}: {error}") from error
    digest = hashlib.sha256()
    for array in arrays.values():
        digest.update(np.ascontiguousarray(array).data)
    if digest.hexdigest() != _MNIST1D_SHA256:
        raise FalllineError(f"{path} is damaged: its arrays are not those of the published MNIST-1D.")
    return arrays
