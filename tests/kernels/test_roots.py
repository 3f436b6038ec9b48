"""The cube root that kernels compute without a call, beside NumPy's in double precision."""

from __future__ import annotations

import math

import numpy as np
import torch

from fallline import optim
from fallline.rules import rule


@rule()
def _rooted(p, g, *, t, lr=1.0):
    return p * 0 + g ** (1 / 3)


def rooted(x: np.ndarray) -> np.ndarray:
    p = torch.zeros(len(x), requires_grad=True)
    p.grad = torch.from_numpy(x)
    optim.optimizer(_rooted, [p], lr=1.0).step()
    return p.detach().numpy()


def test_the_cube_root_is_within_an_ulp_from_the_smallest_number_to_the_largest():
    x = np.exp(np.random.default_rng(0).uniform(-103, 88.7, 100_000)).astype(np.float32)
    x = np.append(x, np.float32([1e-45, 1.1754944e-38, 2.0**-120, 1, 8, 27, np.finfo(np.float32).max]))
    exact = np.cbrt(x.astype(np.float64))
    assert np.max(np.abs(rooted(x) - exact) / np.spacing(exact.astype(np.float32))) < 1


def test_the_cube_root_of_what_is_no_positive_number_is_the_power():
    x = np.float32([0.0, -0.0, math.inf, math.nan, -1.0, -math.inf])
    np.testing.assert_array_equal(rooted(x), [0.0, 0.0, math.inf, math.nan, math.nan, math.nan])
