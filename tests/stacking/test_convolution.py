"""Convolution and pooling for any sizes that PyTorch allows."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from fallline.stacking import over_trials


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


@given(data=st.data(), dims=st.sampled_from([1, 2]))
def test_convolution(data: st.DataObject, dims: int) -> None:
    def draw(low: int, high: int) -> tuple[int, ...]:
        return tuple(data.draw(st.integers(low, high)) for _ in range(dims))

    groups, inner, outer = (data.draw(st.integers(1, n)) for n in (3, 5, 5))
    pixels, window, stride, padding, dilation = draw(1, 12), draw(1, 4), draw(1, 3), draw(0, 3), draw(1, 2)
    assume(all(s + 2 * p > d * (k - 1) for s, p, d, k in zip(pixels, padding, dilation, window, strict=True)))
    bias = data.draw(st.booleans())
    torch.manual_seed(0)
    x = torch.randn(2, 3, groups * inner, *pixels, dtype=torch.float64, requires_grad=True)
    w = torch.randn(2, groups * outer, inner, *window, dtype=torch.float64, requires_grad=True)
    b = torch.randn(2, groups * outer, dtype=torch.float64, requires_grad=True)
    conv = F.conv1d if dims == 1 else F.conv2d

    def one(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return conv(x, w, b if bias else None, stride, padding, dilation, groups)

    together = over_trials(one)(x, w, b)
    alone = torch.stack([one(*parts) for parts in zip(x, w, b, strict=True)])
    close(together, alone)
    g = torch.randn_like(alone)
    inputs = [x, w, b] if bias else [x, w]
    for found, expected in zip(
        torch.autograd.grad(together, inputs, g), torch.autograd.grad(alone, inputs, g), strict=True
    ):
        close(found, expected)


@given(data=st.data(), dims=st.sampled_from([1, 2]))
def test_pooling(data: st.DataObject, dims: int) -> None:
    window = tuple(data.draw(st.integers(1, 4)) for _ in range(dims))
    stride = tuple(data.draw(st.integers(1, 3)) for _ in range(dims))
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in window)
    dilation = tuple(data.draw(st.integers(1, 2)) for _ in range(dims))
    pixels = tuple(d * (k - 1) + 1 + data.draw(st.integers(0, 6)) for d, k in zip(dilation, window, strict=True))
    torch.manual_seed(0)
    x = torch.randn(2, 3, 2, *pixels, dtype=torch.float64, requires_grad=True)
    pool = F.max_pool1d if dims == 1 else F.max_pool2d

    def one(x: Tensor) -> Tensor:
        return pool(x, window, stride, padding, dilation)

    together, alone = over_trials(one)(x), torch.stack([one(row) for row in x])
    assert torch.equal(together, alone)
    g = torch.randn_like(alone)
    close(*(torch.autograd.grad(y, x, g)[0] for y in (together, alone)))


def test_pooling_passes_on_what_is_not_a_number() -> None:
    x = torch.randn(2, 1, 1, 4, 4)
    x[0, 0, 0, 2, 3] = torch.nan
    for window in (2, 3):
        found = over_trials(lambda x, window=window: F.max_pool2d(x, window, 2 if window == 2 else 1))(x)
        expected = F.max_pool2d(x[:, 0], window, 2 if window == 2 else 1)
        torch.testing.assert_close(found[:, 0], expected, equal_nan=True)


def test_large_convolutions_are_done_by_pytorch() -> None:
    """Their gradients come out as those of small ones do."""
    x = torch.randn(2, 16, 32, 20, 20, requires_grad=True)
    w = torch.randn(2, 32, 32, 3, 3, requires_grad=True)
    together = over_trials(lambda x, w: F.conv2d(x, w, padding="same"))(x, w)
    alone = torch.stack([F.conv2d(*parts, padding="same") for parts in zip(x, w, strict=True)])
    torch.testing.assert_close(together, alone)
    for found, expected in zip(
        torch.autograd.grad(together.square().sum(), (x, w)),
        torch.autograd.grad(alone.square().sum(), (x, w)),
        strict=True,
    ):
        torch.testing.assert_close(found, expected)
        assert found.is_contiguous()


def test_a_kernel_that_does_not_fit() -> None:
    with pytest.raises(RuntimeError, match="does not fit"):
        over_trials(lambda x, w: F.conv1d(x, w))(torch.ones(2, 1, 1, 3), torch.ones(2, 1, 1, 4))
