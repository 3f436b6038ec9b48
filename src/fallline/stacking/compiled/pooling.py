"""The largest number in each window, and where it stood.

A job holds the number of pictures, then two numbers each: sizes of the picture, the window and the output, strides,
paddings and dilations; addresses follow. Places are whole numbers kept as floating-point ones, exact for pictures of up
to 2**24.
"""

from __future__ import annotations

from typing import Any

from numba import float32, int64, njit

from .prelude import SIZE, fill, get, put


@njit(error_model="numpy")
def _pairs(x: Any, y: Any, places: Any, w: Any, oh: Any, ow: Any) -> None:
    """Windows of two by two that do not overlap."""
    for r in range(oh):
        first = 2 * r * w
        for q in range(ow):
            at = first + 2 * q
            best, place = get(x, at), at
            v = get(x, at + 1)
            best, place = (v, at + 1) if (v > best) | (v != v) else (best, place)
            v = get(x, at + w)
            best, place = (v, at + w) if (v > best) | (v != v) else (best, place)
            v = get(x, at + w + 1)
            best, place = (v, at + w + 1) if (v > best) | (v != v) else (best, place)
            put(y, r * ow + q, best)
            put(places, r * ow + q, float32(place))


@njit(error_model="numpy")
def _windows(job: Any, x: Any, y: Any, places: Any) -> None:
    h, w, kh, kw, oh, ow = job[1], job[2], job[3], job[4], job[5], job[6]
    sh, sw, ph, pw, dh, dw = job[7], job[8], job[9], job[10], job[11], job[12]
    for r in range(oh):
        for q in range(ow):
            top, left = r * sh - ph, q * sw - pw
            while top < 0:
                top += dh
            while left < 0:
                left += dw
            best, place = get(x, top * w + left), top * w + left
            for i in range(top, min(h, r * sh - ph + (kh - 1) * dh + 1), dh):
                for j in range(left, min(w, q * sw - pw + (kw - 1) * dw + 1), dw):
                    v = get(x, i * w + j)
                    if v > best or v != v:
                        best, place = v, i * w + j
            put(y, r * ow + q, best)
            put(places, r * ow + q, float32(place))


@njit(error_model="numpy")
def forward(job: Any, trial: Any, room: Any) -> None:
    """Addresses: x, y, places."""
    pictures, before, after = job[0], job[1] * job[2], job[5] * job[6]
    simple = job[3] == 2 and job[4] == 2 and job[7] == 2 and job[8] == 2 and job[9] + job[10] == 0
    simple = simple and job[11] == 1 and job[12] == 1
    for p in range(trial * pictures, (trial + 1) * pictures):
        x, y, places = job[13] + SIZE * p * before, job[14] + SIZE * p * after, job[15] + SIZE * p * after
        if simple:
            _pairs(x, y, places, job[2], job[5], job[6])
        else:
            _windows(job, x, y, places)


@njit(error_model="numpy")
def backward(job: Any, trial: Any, room: Any) -> None:
    """Addresses: the gradient by y, places, the gradient by x, which is written."""
    pictures, before, after = job[0], job[1] * job[2], job[5] * job[6]
    for p in range(trial * pictures, (trial + 1) * pictures):
        gy, places, gx = job[13] + SIZE * p * after, job[14] + SIZE * p * after, job[15] + SIZE * p * before
        fill(gx, before, float32(0))
        for k in range(after):
            at = int64(get(places, k))
            put(gx, at, get(gx, at) + get(gy, k))
