"""How much of a score's spread goes with each input, by a Gaussian process with one length scale an input.

An inverse length scale alone ranks a wiggly input above a straight one that moves the score further (Paananen et al.
2019, arXiv:1712.08048). So the fitted process is asked for what matters: by how much would the spread of the score
over the whole search range shrink, if all other inputs were known and only this one stayed open? That is the total
effect (Homma & Saltelli 1996). Of the process's mean, with a product kernel, it is a sum of one-dimensional integrals
(Oakley & O'Hagan 2004, section 3). The spread that it is a share of holds the noise too: where nothing matters, every
share is near zero.

Sixteen trials leave both the kernel's parameters and the function itself wide open. So the parameters are not fixed at
the best fit, from which the search for them starts, but drawn from their posterior, and with each draw a function that
passes near the trials (Le Gratiet, Cannamela & Iooss 2014). What the draws leave open is the interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.stats import qmc

from .kernel import Array, covariance_of, kernel, posterior

_POINTS = 32  # at which drawn functions are compared with the mean
_FEATURES = 64  # cosines of which a drawn function is made


@dataclass(frozen=True)
class Input:
    """A hyper-parameter as the regression sees it.

    `columns` (trials x columns) are its values: positions in [0, 1], or one column for each category. `nodes` with
    their `weights` stand for its whole range in integrals, `path` are the points at which its slice is wanted.
    """

    columns: Array
    nodes: Array
    weights: Array
    path: Array
    categories: int = 0

    def at(self, shares: Array) -> Array:
        """The columns of the values that stand at shares of [0, 1] along the range."""
        return self.nodes[(shares * self.categories).astype(int)] if self.categories else shares[:, None]


@dataclass(frozen=True)
class Fitted:
    """What the process says: a draw from the posterior in each row.

    `shares` (draws x inputs) are total effects as shares of the score's variance. `slices` has for each input the mean
    and the standard deviation of the score along its path (`through` for the other inputs).
    """

    shares: Array
    slices: list[tuple[Array, Array]]


def continuous(places: Sequence[float] | Array, points: int = 25) -> Input:
    """An input of positions in [0, 1]; Gauss-Legendre nodes integrate over it."""
    nodes, weights = np.polynomial.legendre.leggauss(12)
    path = np.linspace(0, 1, points)[:, None]
    return Input(np.asarray(places, dtype=np.float64)[:, None], (nodes[:, None] + 1) / 2, weights / 2, path)


def categorical(indices: Sequence[int], count: int) -> Input:
    """An input of `count` categories, all equally far apart, each with its own column and so its own length scale."""
    corners = np.eye(count) if count > 2 else np.array([[0.0], [1.0]])
    return Input(corners[list(indices)], corners, np.full(count, 1 / count), corners, count)


def fit(inputs: Sequence[Input], scores: Sequence[float], through: int, seed: int = 0) -> Fitted:
    """Fit the process to the scores of trials. `through` is the trial that the slices go through.

    The work grows with the cube of the number of trials; 100 take a third of a second. Scores must not all be equal.
    """
    y = np.asarray(scores, dtype=np.float64)
    center, scale = float(y.mean()), float(y.std())
    y = (y - center) / scale
    x = np.concatenate([each.columns for each in inputs], axis=1)
    rng = np.random.default_rng(seed)
    parameters = posterior(x, y, rng, max(96, min(192, 192 * 32 // len(y))))
    process = _Process.of(parameters, x, y)
    spans = np.cumsum([0, *(each.columns.shape[1] for each in inputs)])
    places = [slice(a, b) for a, b in pairwise(spans.tolist())]
    slices = []
    for each, place in zip(inputs, places, strict=True):
        points = np.repeat(x[through][None], len(each.path), axis=0)
        points[:, place] = each.path
        mean, deviation = process.at(points)
        slices.append((center + scale * mean, scale * deviation))
    return Fitted(process.total_effects(inputs, places, rng), slices)


@dataclass(frozen=True)
class _Process:
    """One Gaussian process for each row of kernel parameters, all given the same data."""

    x: Array
    y: Array
    inverse: Array  # of the squared length scales: rows x columns
    signal: Array
    noise: Array
    precision: Array  # rows x trials x trials
    weights: Array  # precision times the scores

    @classmethod
    def of(cls, parameters: Array, x: Array, y: Array) -> _Process:
        precision: Array = np.asarray(np.linalg.inv(covariance_of(parameters, x)))
        count = x.shape[1]
        signal, noise = np.exp(parameters[:, count]), np.exp(parameters[:, count + 1])
        return cls(x, y, np.exp(-2 * parameters[:, :count]), signal, noise, precision, np.asarray(precision @ y))

    def at(self, points: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the score without noise, over all rows, at points (points x columns)."""
        k = self.signal[:, None, None] * kernel(self.inverse, points, self.x)
        means = (k @ self.weights[..., None])[..., 0]
        variances = self.signal[:, None] - np.einsum("rpn,rnm,rpm->rp", k, self.precision, k, optimize=True)
        total = np.clip(variances, 0, None).mean(axis=0) + means.var(axis=0)
        return means.mean(axis=0), np.sqrt(total)

    def total_effects(self, inputs: Sequence[Input], places: Sequence[slice], rng: np.random.Generator) -> Array:
        """Each input's total effect in a drawn function, as a share of its variance with noise: rows x inputs.

        Exact for the mean; by how much the drawn function's effects differ is estimated on a few points (Jansen 1999).
        """
        exact = self._effects_of_mean(inputs, places)
        base, others = (qmc.Sobol(len(inputs), rng=rng).random(_POINTS) for _ in range(2))
        designs = [base, *(np.where(np.arange(len(inputs)) == j, others, base) for j in range(len(inputs)))]
        shares = np.concatenate(designs)
        points = np.concatenate([each.at(shares[:, j]) for j, each in enumerate(inputs)], axis=1)
        mean, drawn = (_effects_at(values) for values in self._mean_and_draw(points, rng))
        found = np.clip(exact + drawn - mean, 0, None)
        return np.clip(found[:, 1:] / (found[:, :1] + self.noise[:, None]), 0, 1)

    def _effects_of_mean(self, inputs: Sequence[Input], places: Sequence[slice]) -> Array:
        """The variance of the mean over the inputs' ranges, then each input's total effect: rows x (1 + inputs)."""
        kernels = [kernel(self.inverse[:, p], self.x[:, p], each.nodes) for each, p in zip(inputs, places, strict=True)]
        square = [(k * each.weights) @ k.swapaxes(1, 2) for k, each in zip(kernels, inputs, strict=True)]
        alone = [k @ each.weights for k, each in zip(kernels, inputs, strict=True)]
        apart = [m[:, :, None] * m[:, None, :] for m in alone]
        overlaps = [np.prod(apart, axis=0)]
        overlaps += [np.prod([*square[:j], own, *square[j + 1 :]], axis=0) for j, own in enumerate(apart)]
        whole = self._expected(np.prod(square, axis=0))
        return np.stack([whole - self._expected(overlap) for overlap in overlaps], axis=1)

    def _expected(self, overlap: Array) -> Array:
        """The expected product of the mean at two points, drawn as the overlap of their kernels says."""
        products = np.einsum("rn,rnm,rm->r", self.weights, overlap, self.weights, optimize=True)
        return np.asarray(self.signal**2 * products)

    def _mean_and_draw(self, points: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """At points: the mean, and a drawn function in each row (Matheron: Wilson et al. 2020, arXiv:2002.09309)."""
        rows, count = self.inverse.shape
        frequencies = rng.standard_normal((rows, count, _FEATURES)) * np.sqrt(self.inverse)[:, :, None]
        phases = rng.uniform(0, 2 * math.pi, (rows, 1, _FEATURES))
        heights = rng.standard_normal((rows, _FEATURES, 1)) * np.sqrt(2 * self.signal / _FEATURES)[:, None, None]
        prior = (np.cos(np.concatenate([points, self.x]) @ frequencies + phases) @ heights)[..., 0]
        noise = rng.standard_normal((rows, len(self.y))) * np.sqrt(self.noise)[:, None]
        k = self.signal[:, None, None] * kernel(self.inverse, points, self.x)
        missed = self.precision @ (self.y - prior[:, len(points) :] - noise)[..., None]
        mean = (k @ self.weights[..., None])[..., 0]
        return mean, prior[:, : len(points)] + (k @ missed)[..., 0]


def _effects_at(values: Array) -> Array:
    """The variance and the total effects of functions at the designs of `total_effects`: rows x (1 + inputs)."""
    designs = values.reshape(len(values), -1, _POINTS)
    effects = ((designs[:, 1:] - designs[:, :1]) ** 2).mean(axis=2) / 2
    return np.concatenate([designs[:, :1].var(axis=2), effects], axis=1)
