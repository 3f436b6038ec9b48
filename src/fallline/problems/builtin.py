"""The built-in problems: one decorated function each, which gives the name and, in its first line, the summary."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ..errors import FalllineError, InputError
from .download import ENVIRONMENT, Published, directory, fetch, find
from .problem import Problem

BUILTIN: dict[str, Callable[[Path | None], Problem]] = {}
"""Name -> function of the directory of data sets (most need none)."""

Array = np.ndarray[Any, Any]


def builtin(function: Callable[..., Problem]) -> Callable[..., Problem]:
    """Make a function a built-in problem. One that reads files takes their directory, `data`."""
    takes_data = bool(inspect.signature(function).parameters)

    def make(data: Path | None) -> Problem:
        try:
            return function(data) if takes_data else function()
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("sklearn"):
                raise
            raise InputError(
                f"{function.__name__} needs scikit-learn; install it with: pip install 'fallline[problems]'"
            ) from error

    make.__doc__ = function.__doc__
    BUILTIN[function.__name__] = make
    return function


def names() -> list[str]:
    """The names of the built-in problems."""
    return sorted(BUILTIN)


def summary(name: str) -> str:
    """The first line of a built-in problem's description."""
    return inspect.cleandoc(BUILTIN[name].__doc__ or "").partition("\n")[0]


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
        partial(network, 64, 100, 10, activation=nn.Tanh),
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
        partial(network, 2, 32, 32, 2, activation=nn.Tanh),
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
        partial(network, 30, 32, 2),
        (x, y),
        (x_valid, y_valid),
        (x_test, y_test),
        batch_size=32,
        epochs=20,
        name="breast_cancer",
    )


@builtin
def mnist1d(data: Path | None = None) -> Problem:
    """Signals of length 40, ten classes, hard for their size: 40-100-100-10 network, ReLU.

    Greydanus & Kobak 2024, arXiv:2011.14439. Read from `mnist1d.npz` with `x_train`, `y_train`, `x_test`,
    `y_test`.
    """
    return Problem(
        partial(network, 40, 100, 100, 10), *_mnist1d_splits(data), batch_size=100, epochs=40, name="mnist1d"
    )


@builtin
def mnist1d_cnn(data: Path | None = None) -> Problem:
    """Signals of length 40, ten classes, as `mnist1d`: the paper's network of three convolutions of 25 channels, ReLU.

    Greydanus & Kobak 2024, arXiv:2011.14439.
    """
    return Problem(partial(_convolutions, 25), *_mnist1d_splits(data), batch_size=100, epochs=40, name="mnist1d_cnn")


@builtin
def fashion_mnist(data: Path | None = None) -> Problem:
    """Grey pictures of clothes, 28x28 pixels, ten classes: 784-128-10 network, ReLU.

    Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747. The last 10,000 training pictures are the validation data.
    """
    content = fetch(FASHION_MNIST, data)
    images, labels, test_images, test_labels = (_idx(content[name]) for name in FASHION_MNIST.files)
    x = images.reshape(len(images), -1) / np.float32(255)
    mean, std = x[:50_000].mean(dtype=np.float64), x[:50_000].std(dtype=np.float64)
    x = (x - np.float32(mean)) / np.float32(std)
    x_test = (test_images.reshape(len(test_images), -1) / np.float32(255) - np.float32(mean)) / np.float32(std)
    return Problem(
        partial(network, 784, 128, 10),
        (x[:50_000], labels[:50_000]),
        (x[50_000:], labels[50_000:]),
        (x_test, test_labels),
        batch_size=128,
        epochs=5,
        name="fashion_mnist",
    )


FASHION_MNIST = Published(
    name="fashion_mnist",
    folders=("fashion-mnist", "fashion_mnist", "FashionMNIST/raw"),
    source="https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    files={
        "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
)

_MNIST1D_SHA256 = "b09ad3e22c854bc5a1948b85c373aab653ceb38c9170f5ed05b7d054e4160db9"
"""Of the bytes of the four arrays, in these types and in this order."""
_MNIST1D_ARRAYS = {"x_train": "<f4", "y_train": "<i8", "x_test": "<f4", "y_test": "<i8"}


def network(*widths: int, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Fully connected layers of these widths, inputs first, with the activation between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers[:-1])


def _convolutions(channels: int) -> nn.Sequential:
    """Three convolutions over signals of length 40, each of stride 2, then scores of ten classes."""
    layers: list[nn.Module] = [nn.Unflatten(1, (1, 40))]
    for inputs, kernel in ((1, 5), (channels, 3), (channels, 3)):
        layers += [nn.Conv1d(inputs, channels, kernel, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(5 * channels, 10))


def _standardized(train: Array, *others: Array) -> tuple[Array, ...]:
    """Each feature less its training mean, over its training standard deviation; a constant one becomes 0."""
    mean, std = train.mean(0), train.std(0)
    std[std == 0] = 1
    return tuple((x - mean) / std for x in (train, *others))


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


def _idx(content: bytes) -> Array:
    """An array in the idx format: two zero bytes, the type, the number of axes, their lengths, the values."""
    axes = content[3]
    shape = np.frombuffer(content, ">u4", axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
