"""The kernel of a Gaussian process with one length scale an input, and draws of its parameters given scores.

Parameters are logarithms: of the length scales, of the variance that the inputs explain, of the noise's.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DRAWS = 64
_ROUNDS = 6
_FREEDOM = 5  # of Student's t, from which draws are proposed: its tails are heavier than the posterior's
_SIGNAL = (0.0, 1.5)  # mean and spread of the logarithm of the variance that inputs explain, scores having variance 1
_NOISE = (-3.0, 1.5)  # the same of the variance that they do not
_JITTER = 1e-8


def kernel(inverse: Array, a: Array, b: Array) -> Array:
    """The squared-exponential kernel between points: rows of parameters x points of a x points of b."""
    apart = (a[:, None] - b[None]) ** 2
    return np.asarray(np.exp(-0.5 * np.tensordot(inverse, apart, axes=(1, 2))))


def covariance_of(parameters: Array, x: Array) -> Array:
    """The covariance of the scores at points x, noise included: a matrix for each row of parameters."""
    count, n = x.shape[1], len(x)
    k = np.exp(parameters[:, count])[:, None, None] * kernel(np.exp(-2 * parameters[:, :count]), x, x)
    k[:, range(n), range(n)] += np.exp(parameters[:, count + 1])[:, None] + _JITTER
    return k


def _log_likelihood(parameters: Array, x: Array, y: Array) -> Array:
    lower = np.linalg.cholesky(covariance_of(parameters, x))
    white = np.linalg.solve(lower, np.broadcast_to(y[:, None], (len(parameters), len(y), 1)))[..., 0]
    return np.asarray(-0.5 * (white**2).sum(axis=1) - np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1))


def _prior(columns: int) -> tuple[Array, Array]:
    """Mean and spread of the parameters' logarithms; of a length scale as Hvarfner et al. 2024 (arXiv:2402.02229)."""
    mean = np.array([math.sqrt(2) + math.log(columns) / 2] * columns + [_SIGNAL[0], _NOISE[0]])
    return mean, np.array([math.sqrt(3)] * columns + [_SIGNAL[1], _NOISE[1]])


def posterior(x: Array, y: Array, rng: np.random.Generator, count: int) -> Array:
    """Draws of the kernel's parameters (logarithms of length scales, signal, noise), by adaptive importance sampling.

    Each round proposes from a mixture of the prior and Student's t around what the round before has found (Cappe et
    al. 2008); where a round's weights rest on few draws they are flattened, which widens what the draws leave open.
    """
    mean, spread = _prior(x.shape[1])
    size = len(mean)
    centre = np.clip(_best_fit(x, y), mean - 2 * spread, mean + 2 * spread)
    covariance = np.diag((0.7 * spread) ** 2)
    for left in reversed(range(_ROUNDS)):
        draws = count if left else 2 * count
        root: Array = np.asarray(np.linalg.cholesky(covariance))
        normal = rng.standard_normal((draws, size))
        heavy = np.sqrt(rng.chisquare(_FREEDOM, draws) / _FREEDOM)[:, None]
        drawn = centre + (normal / heavy) @ root.T
        drawn[: draws // 4] = mean + spread * normal[: draws // 4]
        drawn = np.clip(drawn, mean - 4 * spread, mean + 4 * spread)
        prior = -0.5 * (((drawn - mean) / spread) ** 2).sum(axis=1) - np.log(spread).sum()
        near = _log_student(np.asarray(np.linalg.solve(root, (drawn - centre).T)), root)
        proposed = np.logaddexp(near + math.log(0.75), prior + math.log(0.25))
        found = _log_likelihood(drawn, x, y) + prior - proposed
        enough = draws / 6 if left else DRAWS / 4
        flat = next((power for power in 0.7 ** np.arange(20) if _effective(power * found) >= enough), 0.0)
        weights = _weights(flat * found)
        centre = weights @ drawn
        away = drawn - centre
        covariance = (away * weights[:, None]).T @ away + 0.02 * np.diag(spread**2)
    # one draw in each of equal parts of the cumulated weights
    chosen = np.searchsorted(np.cumsum(weights), (np.arange(DRAWS) + rng.random()) / DRAWS)
    return np.asarray(drawn[np.minimum(chosen, len(drawn) - 1)])


def _log_student(away: Array, root: Array) -> Array:
    """The log density, up to the constant that the prior's lacks too, at points whitened by `root` (sizes x draws)."""
    size = len(root)
    constant = math.lgamma((_FREEDOM + size) / 2) - math.lgamma(_FREEDOM / 2) - size / 2 * math.log(_FREEDOM / 2)
    tail = (_FREEDOM + size) / 2 * np.log1p((away**2).sum(axis=0) / _FREEDOM)
    return np.asarray(constant - tail - np.log(np.diagonal(root)).sum())


def _weights(logarithms: Array) -> Array:
    raised = np.exp(logarithms - logarithms.max())
    return np.asarray(raised / raised.sum())


def _effective(logarithms: Array) -> float:
    """The number of equally weighted draws that these are worth."""
    return float(1 / (_weights(logarithms) ** 2).sum())


def _best_fit(x: Array, y: Array) -> Array:
    """The kernel's parameters of largest likelihood: where the draws start."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    lengths = RBF(np.full(x.shape[1], 0.7), (0.05, 50.0))
    kernel = ConstantKernel(1.0, (0.05, 20.0)) * lengths + WhiteKernel(0.1, (1e-3, 2.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a length scale at its bound is an input that does not matter
        found = GaussianProcessRegressor(kernel, random_state=0).fit(x, y).kernel_.theta
    return np.concatenate([found[1:-1], found[:1], found[-1:]])
