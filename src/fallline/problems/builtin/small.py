"""Small sets that come with scikit-learn."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from torch import nn

from ...models import mlp
from ..problem import Problem
from .registry import builtin

Array = np.ndarray[Any, Any]


@builtin
def digits() -> Problem:
    """Handwritten digits, 8x8 pixels, ten classes: 64-100-10 network, tanh, softmax cross-entropy.

    Network and test split follow Camuto & Willetts 2019; the data are scikit-learn's copy of the UCI digits.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.15, random_state=37)
    x, x_valid, y, y_valid = train_test_split(x, y, test_size=0.15, random_state=37)
    x, x_valid, x_test = _standardized(x, x_valid, x_test)
    return Problem(
        partial(mlp, 64, 100, 10, activation=nn.Tanh),
        (x, y),
        (x_valid, y_valid),
        (x_test, y_test),
        batch_size=32,
        epochs=15,
        name="digits",
    )


@builtin
def moons() -> Problem:
    """Noisy two moons, two classes in the plane: 2-32-32-2 network, tanh."""
    from sklearn.datasets import make_moons

    x, y = make_moons(n_samples=1500, noise=0.25, random_state=0)
    x, x_valid, x_test = _standardized(x[:800], x[800:1100], x[1100:])
    return Problem(
        partial(mlp, 2, 32, 32, 2, activation=nn.Tanh),
        (x, y[:800]),
        (x_valid, y[800:1100]),
        (x_test, y[1100:]),
        batch_size=32,
        epochs=20,
        name="moons",
    )


@builtin
def breast_cancer() -> Problem:
    """Breast cancer diagnosis from 30 measurements, two classes: 30-32-2 network, ReLU.

    Wisconsin diagnostic data, scikit-learn's copy (Street, Wolberg & Mangasarian 1993).
    """
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split

    x, y = load_breast_cancer(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.2, random_state=0, stratify=y)
    x, x_valid, y, y_valid = train_test_split(x, y, test_size=0.25, random_state=0, stratify=y)
    x, x_valid, x_test = _standardized(x, x_valid, x_test)
    return Problem(
        partial(mlp, 30, 32, 2),
        (x, y),
        (x_valid, y_valid),
        (x_test, y_test),
        batch_size=32,
        epochs=20,
        name="breast_cancer",
    )


def _standardized(train: Array, *others: Array) -> tuple[Array, ...]:
    """Each feature less its training mean, over its training standard deviation; a constant one becomes 0."""
    mean, std = train.mean(0), train.std(0)
    std[std == 0] = 1
    return tuple((x - mean) / std for x in (train, *others))
