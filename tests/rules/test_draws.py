"""Random draws: their bits by hand, and their distributions beside SciPy's, within and between streams."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import special, stats

from fallline.rules import draws, ops

COUNT = 1 << 18
KEYS = [draws.mixed(seed, t, place, draws.number_of("test")) for seed, t, place in ((0, 1, 0), (7, 1000, 30))]
KINDS = [draws.normal, draws.uniform, draws.rademacher]


def of_key(key: int, kind=draws.normal, count: int = COUNT) -> np.ndarray:
    return kind(draws.bits(key, torch.arange(count))).double().numpy()


def scrambled(key: int, i: int) -> int:
    """The bits of an element, in whole numbers."""
    x = (i + key) % 2**32
    high = ((i >> 32) + (key >> 32)) % 2**32
    for more, shift, factor in ((0, 17, 0xED5AD4BB), (high, 11, 0xAC4C1B51), (0, 15, 0x31848BAB)):
        x ^= more
        x = (x ^ x >> shift) * factor % 2**32
    return x ^ x >> 14


def test_the_bits_are_three_rounds_of_a_shift_and_a_product_also_far_out_in_a_tensor():
    index = [0, 1, 2, 255, 256, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**33 + 5, 2**40]
    for key in (*KEYS, 0, 2**64 - 1):
        found = draws.bits(key, torch.tensor(index)).numpy().view(np.uint32)
        assert found.tolist() == [scrambled(key, i) for i in index]


def test_a_key_is_splitmix_of_its_parts():
    """The first numbers of SplitMix64 started at 1234567, as its authors' program prints them."""
    state, printed = 1234567, [6457827717110365317, 3203168211198807973, 9817491932198370423]
    for number in printed:
        assert draws.mixed(state) == number
        state += 0x9E3779B97F4A7C15


def test_normal_numbers_are_the_quantile_function_to_single_precision():
    far = 2**31 - 1 - np.unique(np.geomspace(1, 2**31 - 1, 20_000).astype(np.int64))
    x = np.concatenate([far, -1 - far, [0, -1, 2**31 - 1, -(2**31)]])
    tail = (2.0**31 - 0.5 - np.where(x < 0, -1 - x, x)) / 2**32
    middle = (np.abs(x + 0.5) / 2**32) * np.sqrt(2 * np.pi)
    exact = np.where(middle < 1e-4, middle, -special.ndtri(tail)) * np.sign(x + 0.5)
    found = draws.normal(torch.from_numpy(x.astype(np.int32))).double().numpy()
    np.testing.assert_allclose(found, exact, rtol=1e-6)
    assert np.abs(found).max() < 6.34


@pytest.mark.parametrize("key", KEYS)
def test_normal_numbers_are_normal(key):
    x = of_key(key)
    assert stats.kstest(x, "norm").pvalue > 0.01
    for power, (mean, variance) in enumerate([(0, 1), (1, 2), (0, 15), (3, 96)], 1):
        assert abs((x**power).mean() - mean) < 4 * (variance / COUNT) ** 0.5


@pytest.mark.parametrize("key", KEYS)
def test_every_byte_of_the_bits_and_every_pair_of_neighbours_is_even(key):
    bits = draws.bits(key, torch.arange(COUNT)).numpy().view(np.uint8).reshape(-1, 4)
    for byte in bits.T:
        assert stats.chisquare(np.bincount(byte, minlength=256)).pvalue > 0.001
    high, low = bits[:, 3] >> 4, bits[:, 0] & 15
    for part in (high, low):
        pairs = part[0::2].astype(int) * 16 + part[1::2]
        assert stats.chisquare(np.bincount(pairs, minlength=256)).pvalue > 0.001


def test_uniform_numbers_and_signs_are_what_they_are_called():
    u, r = of_key(KEYS[0], draws.uniform), of_key(KEYS[0], draws.rademacher)
    assert stats.kstest(u, "uniform").pvalue > 0.01
    assert u.min() >= 0
    assert u.max() < 1
    assert set(r.tolist()) == {-1.0, 1.0}
    assert stats.binomtest(int((r > 0).sum()), COUNT).pvalue > 0.01


def keys_that_differ_little() -> list[int]:
    """By the seed, the step, the place and the stream."""
    base = (3, 100, 5, draws.number_of("a"))
    near = [(0, 0, 0, 0), *np.eye(4, dtype=int).tolist(), *(2 * np.eye(4, dtype=int)).tolist()]
    return [draws.mixed(*(a + b for a, b in zip(base, step, strict=True))) for step in near]


@pytest.mark.parametrize("kind", KINDS)
def test_elements_steps_places_seeds_and_streams_do_not_depend_on_each_other(kind):
    x = np.stack([of_key(key, kind) for key in keys_that_differ_little()])
    x = (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)
    limit = 4.5 / COUNT**0.5
    for y in (x, x**2 - 1, np.abs(x) ** 3) if kind is draws.normal else (x,):
        assert np.abs(np.triu(np.corrcoef(y), 1)).max() < limit
        for row in y:
            row = (row - row.mean()) / row.std()
            for distance in (1, 2, 3, 4, 16, 64, 256, 1024, 1 << 14, 1 << 16):
                assert abs((row[:-distance] * row[distance:]).mean()) < limit * (COUNT / (COUNT - distance)) ** 0.5


def test_one_element_over_many_steps_is_normal_and_a_step_says_nothing_about_the_next():
    steps = [draws.mixed(0, t, 0, draws.number_of("noise")) for t in range(1, 4001)]
    x = np.stack([of_key(key, count=8) for key in steps])
    assert min(stats.kstest(element, "norm").pvalue for element in x.T) > 0.001
    assert abs((x[:-1] * x[1:]).mean()) < 4 / x[1:].size ** 0.5


def test_elements_are_counted_as_a_parameter_lies_in_memory():
    p = torch.empty(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    with ops.drawn_for(0, lambda: torch.arange(120).as_strided(p.shape, p.stride())):
        drawn = ops.normal(p, 1)
        elsewhere = ops.normal(p[0], 1)  # counted as it is
    assert torch.equal(drawn.permute(0, 2, 3, 1).flatten(), ops.normal(torch.empty(120), 1))
    assert torch.equal(elsewhere.flatten(), ops.normal(torch.empty(60), 1))
