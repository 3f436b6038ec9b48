"""Dropout masks from PyTorch's generator on the CPU, the Mersenne twister of Matsumoto & Nishimura 1998 (MT19937).

A number is uniform on 53 bits of two draws. The state is PyTorch's own: seed, counters (how many draws are left before
the next round, plus one, in the low half of word 1; the place of the next in word 2), then 624 words.
"""

from __future__ import annotations

from typing import Any

from numba import float32, float64, int64, njit, uint32, uint64

from .prelude import carray, get, pointer

WORDS, FAR = 624, 397
MASK = 0xFFFFFFFF


@njit(error_model="numpy", inline="always")
def _twist(high: Any, low: Any, far: Any) -> Any:
    mixed = (high & uint32(0x80000000)) | (low & uint32(0x7FFFFFFF))
    return far ^ (mixed >> uint32(1)) ^ (uint32(0x9908B0DF) * (low & uint32(1)))


@njit(error_model="numpy")
def _round(state: Any) -> None:
    for k in range(WORDS - FAR):
        state[k] = _twist(state[k], state[k + 1], state[k + FAR])
    for k in range(WORDS - FAR, WORDS - 1):
        state[k] = _twist(state[k], state[k + 1], state[k + FAR - WORDS])
    state[WORDS - 1] = _twist(state[WORDS - 1], state[0], state[FAR - 1])


@njit(error_model="numpy", inline="always")
def _temper(y: Any) -> Any:
    y ^= y >> uint32(11)
    y ^= (y << uint32(7)) & uint32(0x9D2C5680)
    y ^= (y << uint32(15)) & uint32(0xEFC60000)
    return y ^ (y >> uint32(18))


@njit(error_model="numpy", inline="always")
def _below(first: Any, second: Any, share: Any) -> Any:
    bits = (int64(_temper(first) & uint32(0x1FFFFF)) << int64(32)) | int64(_temper(second))
    return float64(bits) * float64(2.0**-53) < share


@njit(error_model="numpy")
def forward(job: Any, trial: Any, room: Any) -> None:
    """The count of numbers in a mask; where the states' and the masks' addresses are, the shares that are kept
    (float64), and what stands in a mask for what is kept.
    """
    count = job[0]
    words = carray(pointer(carray(pointer(job[1]), (trial + 1,), int64)[trial]), (3 + WORDS,), uint64)
    mask = carray(pointer(carray(pointer(job[2]), (trial + 1,), int64)[trial]), (count,), float32)
    share = carray(pointer(job[3]), (trial + 1,), float64)[trial]
    value = get(job[4], trial)
    state = carray(pointer(room), (WORDS,), uint32)
    for k in range(WORDS):
        state[k] = uint32(words[3 + k])
    left, place = int64(words[1] & uint64(MASK)), int64(words[2])
    zero, done = float32(0), 0
    while done < count:
        if left == 1:
            _round(state)
            left, place = WORDS + 1, 0
        pairs = min((left - 1) // 2, count - done)
        for k in range(pairs):
            kept = _below(state[place + 2 * k], state[place + 2 * k + 1], share)
            mask[done + k] = value if kept else zero
        done, place, left = done + pairs, place + 2 * pairs, left - 2 * pairs
        if left == 2 and done < count:  # a pair over the end of a round
            first = state[place]
            _round(state)
            mask[done] = value if _below(first, state[0], share) else zero
            done, place, left = done + 1, 1, WORDS
    for k in range(WORDS):
        words[3 + k] = uint64(state[k])
    words[1] = (words[1] & ~uint64(MASK)) | uint64(left)
    words[2] = uint64(place)
