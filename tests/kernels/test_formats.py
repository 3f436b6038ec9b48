"""Codes of eight bits and random rounding: what is kept of a number, in the mean all of it, and by kernels alike."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numba import njit, uint32, uint64

from fallline.kernels import codes
from fallline.kernels.dither import BLOCK, Draw, nearest
from fallline.kernels.formats import decoded, encoded, encoded_again, rounded

LARGEST = float(np.finfo(np.float32).max)


def numbers(**limits) -> st.SearchStrategy[list[float]]:
    """Up to three blocks of float32 numbers; a few drawn, all others zero."""
    some = st.lists(st.floats(width=32, **limits), min_size=1, max_size=12)
    return st.builds(
        lambda values, gap: [v for value in values for v in (value, *[0.0] * gap)], some, st.integers(0, 60)
    )


def there_and_back(x: torch.Tensor, signed: bool, draw=nearest) -> torch.Tensor:
    kept, scale = encoded(x, signed, draw)
    assert kept.min() >= 0
    assert kept.max() <= 255
    assert len(scale) == math.ceil(len(x) / BLOCK)
    return decoded(kept.to(torch.uint8), scale.to(torch.uint8), signed)


def largest_in_block(x: torch.Tensor) -> torch.Tensor:
    padded = torch.nn.functional.pad(x.abs(), (0, -len(x) % BLOCK)).view(-1, BLOCK)
    return padded.amax(1).repeat_interleave(BLOCK)[: len(x)]


@given(numbers(min_value=-LARGEST / 4, max_value=LARGEST / 4))
def test_a_code_with_a_sign_keeps_three_bits_of_fraction_and_small_numbers_to_a_share_of_the_largest(values):
    x = torch.tensor(values)
    back = there_and_back(x, signed=True)
    step = torch.maximum(x.abs() / 8, torch.clamp(largest_in_block(x) * 2.0**-15, min=2.0**-129))
    assert ((back - x).abs() <= step / 2).all()
    assert (back[x == 0] == 0).all()
    assert (back * x >= 0).all()


@given(numbers(min_value=0, max_value=LARGEST / 4))
def test_a_code_without_a_sign_keeps_three_bits_of_fraction_and_rounds_nothing_to_zero(values):
    x = torch.tensor(values)
    back = there_and_back(x, signed=False)
    least = torch.clamp(largest_in_block(x) * 1.25 * 2.0**-31, min=2.0**-129)
    kept = x >= least
    assert ((back - x).abs()[kept] <= torch.clamp(x / 16, min=2.0**-130)[kept]).all()
    assert (back[~kept] <= least[~kept]).all()
    assert ((back > 0) == (x > 0)).all()


@pytest.mark.parametrize("signed", [True, False])
def test_what_has_been_read_is_written_as_it_was_whatever_is_drawn(signed):
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0)) ** 3
    back = there_and_back(x if signed else x.abs(), signed)
    for t in range(20):
        assert torch.equal(there_and_back(back, signed, Draw(0, t, 0, 1)), back)


@pytest.mark.parametrize("signed", [True, False])
@given(values=numbers(), t=st.integers(0, 10**6))
def test_what_has_been_read_goes_through_bfloat16_and_is_coded_again_as_the_same_numbers(signed, values, t):
    """Whatever its largest was rounded up to, and where a block is not finite."""
    x = torch.tensor(values) if signed else torch.tensor(values).abs()
    kept, scale = encoded(x, signed, Draw(0, t, 0, 1))
    back = decoded(kept, scale, signed)
    saved = back.to(torch.bfloat16).float()
    for there in (saved, decoded(*encoded_again(saved, signed), signed)):
        torch.testing.assert_close(there, back, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("signed", [True, False])
def test_small_numbers_stay_when_the_largest_of_a_block_was_rounded_up_to_a_power_of_two(signed):
    x = torch.full((BLOCK,), 3 * 2.0**-16 if signed else 1.5 * 2.0**-31)
    x[0] = 1.99
    back = there_and_back(x, signed)
    assert back[0] == 2
    assert torch.equal(decoded(*encoded_again(back, signed), signed), back)
    assert not torch.equal(there_and_back(back, signed), back)  # as `encoded` would take its scale


@pytest.mark.parametrize("code", [encoded_again, lambda x, signed: encoded(x, signed, nearest)])
def test_no_elements_have_no_codes_and_no_scales(code):
    kept, scale = code(torch.zeros(0), True)
    assert len(kept) == len(scale) == len(decoded(kept, scale, True)) == 0


def share_rounded_up(x: torch.Tensor, drawn: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """How often each number was rounded up, in standard deviations from how often it should be; which of them count."""
    low, high = drawn.amin(0), drawn.amax(0)
    assert ((low <= x) & (x <= high) | (low == high)).all()
    assert ((drawn == low) | (drawn == high)).all()  # the two neighbours, and nothing else
    wanted = ((x - low) / (high - low)).double()
    counts = (wanted > 0.02) & (wanted < 0.98)
    found = (drawn == high).double().mean(0)
    return (found - wanted) / (wanted * (1 - wanted) / len(drawn)).sqrt(), counts


@pytest.mark.parametrize("signed", [True, False])
def test_a_number_is_rounded_up_or_down_so_that_the_mean_is_right(signed):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(600, generator=generator) * torch.exp(torch.randn(600, generator=generator))
    x = x if signed else x**2 + 1e-6
    deviations, counts = share_rounded_up(
        x, torch.stack([there_and_back(x, signed, Draw(0, t, 0, 1)) for t in range(2000)])
    )
    assert counts.float().mean() > 0.9
    assert deviations[counts].abs().max() < 5
    assert 0.5 < deviations[counts].std() < 2  # all elements of a block have one word


def test_a_number_is_rounded_to_bfloat16_so_that_the_mean_is_right():
    x = torch.randn(600, generator=torch.Generator().manual_seed(2))
    drawn = torch.stack([rounded(x, Draw(0, t, 0, 0)) for t in range(2000)])
    assert torch.equal(drawn, drawn.to(torch.bfloat16).float())
    deviations, counts = share_rounded_up(x, drawn)
    assert counts.float().mean() > 0.9
    assert deviations[counts].abs().max() < 5
    assert 0.5 < deviations[counts].std() < 2  # all elements of a block have one word


def test_numbers_that_bfloat16_has_are_not_rounded_and_what_is_not_finite_stays():
    x = torch.tensor([0.0, -0.0, 1.0, -3.5, math.inf, -math.inf, math.nan])
    for t in range(20):
        torch.testing.assert_close(rounded(x, Draw(0, t, 0, 0)), x, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_a_block_with_a_number_that_is_not_finite_is_read_as_nan_and_no_other(signed, bad):
    x = torch.ones(3 * BLOCK)
    x[BLOCK + 7] = bad
    back = there_and_back(x, signed)
    assert back[BLOCK : 2 * BLOCK].isnan().all()
    assert torch.equal(back[:BLOCK], x[:BLOCK])
    assert torch.equal(back[2 * BLOCK :], x[2 * BLOCK :])


def test_what_is_drawn_depends_on_seed_step_place_and_array_alone_and_is_even():
    first = Draw(3, 5, 2, 1)(1 << 18)
    assert torch.equal(first, Draw(3.0, 5.0, 2, 1)(1 << 18))
    assert torch.equal(first[:1000], Draw(3, 5, 2, 1)(1000))
    others = [Draw(4, 5, 2, 1), Draw(3, 6, 2, 1), Draw(3, 5, 3, 1), Draw(3, 5, 2, 0)]
    u = torch.stack([first, *(draw(1 << 18) for draw in others)]).double() / 2**32
    assert ((u >= 0) & (u < 1)).all()
    assert torch.corrcoef(u).fill_diagonal_(0).abs().max() < 0.08  # of 1024 words
    counts = torch.stack([torch.histc(row, 64, 0, 1) for row in u])
    assert ((counts - 4096).abs() < 6 * 64).all()
    of_element = torch.stack([Draw(0, t, 0, 1)(300) for t in range(4096)]).double() / 2**32
    assert (of_element.mean(0) - 0.5).abs().max() < 5 * (1 / 12 / 4096) ** 0.5
    following = torch.corrcoef(torch.stack([of_element[:-1].flatten(), of_element[1:].flatten()]))[0, 1]
    assert abs(following) < 0.01


@njit
def _code(x, scale, drawn, signed, out):
    for i in range(x.size):
        e = scale[i // BLOCK]
        if signed:
            out[i] = codes.signed_code(x[i], codes.signed_base(e), drawn[i])
        else:
            out[i] = codes.unsigned_code(x[i], codes.unsigned_base(e), drawn[i])


@njit
def _value(kept, scale, signed, out):
    for i in range(kept.size):
        e = scale[i // BLOCK]
        if signed:
            out[i] = codes.signed_value(kept[i], codes.signed_base(e), codes.poison(e))
        else:
            out[i] = codes.unsigned_value(kept[i], codes.unsigned_base(e), codes.poison(e))


@njit
def _scale(x, out):
    for b in range(out.size):
        top = uint32(0)
        for i in range(b * BLOCK, min(x.size, (b + 1) * BLOCK)):
            top = codes.larger(top, codes.magnitude(x[i]))
        out[b] = codes.exponent(top)


@njit
def _draw(parts, out):
    key = uint64(0)
    for part in parts:
        key = codes.mix(key, part)
    for i in range(out.size):
        out[i] = codes.dithered(codes.word(key, i // BLOCK), i % BLOCK)


@njit
def _round(x, drawn, out):
    for i in range(x.size):
        out[i] = codes.round_bfloat16(x[i], drawn[i])


@pytest.mark.parametrize("signed", [True, False])
@given(values=numbers(allow_nan=False), t=st.integers(1, 10**6))
def test_kernels_make_and_read_the_same_codes(signed, values, t):
    x = np.array(values, np.float32)
    x = x if signed else np.abs(x)
    parts = (0, t, 3, 1)
    draw = Draw(*parts)
    wanted, scales = encoded(torch.from_numpy(x), signed, draw)
    drawn, scale = np.empty(x.size, np.uint32), np.empty(len(scales), np.uint8)
    _draw(np.array(parts, np.uint64), drawn)
    assert np.array_equal(drawn, draw(x.size).numpy())
    _scale(x, scale)
    assert np.array_equal(scale, scales.numpy())
    kept = np.empty(x.size, np.uint8)
    _code(x, scale, drawn, signed, kept)
    assert np.array_equal(kept, wanted.numpy())
    back = np.empty_like(x)
    _value(kept, scale, signed, back)
    np.testing.assert_array_equal(back, decoded(wanted, scales, signed).numpy())


@pytest.mark.parametrize("signed", [True, False])
def test_kernels_read_every_code_alike(signed):
    every = torch.arange(256, dtype=torch.uint8).repeat(256)
    scales = torch.arange(256, dtype=torch.uint8)
    back = np.empty(1 << 16, np.float32)
    _value(every.numpy(), scales.numpy(), signed, back)
    np.testing.assert_array_equal(back, decoded(every, scales, signed).numpy())


@given(values=numbers(), t=st.integers(1, 10**6))
def test_kernels_round_to_the_same_bfloat16(values, t):
    x = torch.tensor(values)
    draw = Draw(9, t, 0, 0)
    out = np.empty(len(x), np.float32)
    _round(x.numpy(), draw(len(x)).numpy().astype(np.uint32), out)
    np.testing.assert_array_equal(out, rounded(x, draw).numpy())
