"""Convolution of stride 1 without unfolding: a sum over the kernel's places of products with the shifted picture.

Pictures are padded and computed in rows as wide as the padded picture's; what the last columns of a row hold belongs to
no output. The job is that of `convolution`.
"""

from __future__ import annotations

from typing import Any

from numba import float32, njit

from .prelude import SIZE, copy, fill, get, put
from .product import accumulate


@njit(error_model="numpy")
def _pad(job: Any, x: Any, padded: Any, channels: Any) -> None:
    h, w, ph, pw = job[2], job[3], job[11], job[12]
    high, wide = h + 2 * ph, w + 2 * pw
    fill(padded, channels * high * wide, float32(0))
    for c in range(channels):
        for y in range(h):
            copy(x + SIZE * (c * h + y) * w, padded + SIZE * ((c * high + y + ph) * wide + pw), w)


@njit(error_model="numpy")
def forward(job: Any, trial: Any, room: Any) -> None:
    """Addresses: x, weight (O, C / groups, *kernel), bias (O) or 0, y (N, O, *output)."""
    n, channels, h, w, out, kh, kw, oh, ow = job[0], job[1], job[2], job[3], job[4], job[5], job[6], job[7], job[8]
    groups, high, wide = job[15], h + 2 * job[11], w + 2 * job[12]
    inner, each, places = channels // groups, out // groups, kh * kw
    length, area = (oh - 1) * wide + ow, high * wide
    x = job[18] + SIZE * trial * job[16]
    weight = job[19] + SIZE * trial * out * inner * places
    bias = job[20] + SIZE * trial * out
    y = job[21] + SIZE * trial * n * out * oh * ow
    padded, result = room, room + SIZE * channels * area
    for p in range(n):
        _pad(job, x + SIZE * p * channels * h * w, padded, channels)
        for g in range(groups):
            for o in range(each):
                fill(result + SIZE * o * length, length, get(bias, g * each + o) if job[20] else float32(0))
            for i in range(kh):
                for j in range(kw):
                    a = weight + SIZE * (g * each * inner * places + i * kw + j)
                    b = padded + SIZE * (g * inner * area + i * job[13] * wide + j * job[14])
                    accumulate(a, inner * places, places, b, area, result, length, each, inner, length)
            for o in range(each):
                target = y + SIZE * (p * out + g * each + o) * oh * ow
                for r in range(oh):
                    copy(result + SIZE * (o * length + r * wide), target + SIZE * r * ow, ow)


@njit(error_model="numpy", fastmath={"reassoc"})
def _sum(address: Any, count: Any) -> Any:
    total = float32(0)
    for i in range(count):
        total += get(address, i)
    return total


@njit(error_model="numpy")
def backward(job: Any, trial: Any, room: Any) -> None:
    """Addresses: x, weight, the gradient by y, then those by x (or 0), by the weight and by the bias (or 0)."""
    n, channels, h, w, out, kh, kw, oh, ow = job[0], job[1], job[2], job[3], job[4], job[5], job[6], job[7], job[8]
    groups, high, wide = job[15], h + 2 * job[11], w + 2 * job[12]
    inner, each, places = channels // groups, out // groups, kh * kw
    length, area = (oh - 1) * wide + ow, high * wide
    x = job[18] + SIZE * trial * job[16]
    weight = job[19] + SIZE * trial * out * inner * places
    gy = job[20] + SIZE * trial * n * out * oh * ow
    gx = job[21] + SIZE * trial * n * channels * h * w
    gw = job[22] + SIZE * trial * out * inner * places
    gb = job[23] + SIZE * trial * out
    padded = room
    by_padded = padded + SIZE * channels * area
    rows = by_padded + SIZE * channels * area
    turned = rows + SIZE * each * length
    summed = turned + SIZE * each * length
    fill(summed, places * channels * each, float32(0))
    fill(rows, each * length, float32(0))
    fill(turned, each * length, float32(0))
    if job[23]:
        fill(gb, out, float32(0))
    for p in range(n):
        _pad(job, x + SIZE * p * channels * h * w, padded, channels)
        fill(by_padded, channels * area, float32(0))
        for g in range(groups):
            for o in range(each):
                source = gy + SIZE * (p * out + g * each + o) * oh * ow
                if job[23]:
                    put(gb, g * each + o, get(gb, g * each + o) + _sum(source, oh * ow))
                for r in range(oh):
                    copy(source + SIZE * r * ow, rows + SIZE * (o * length + r * wide), ow)
            for r in range(oh):
                for q in range(ow):
                    for o in range(each):
                        put(turned, (r * wide + q) * each + o, get(rows, o * length + r * wide + q))
            for i in range(kh):
                for j in range(kw):
                    shift = SIZE * (g * inner * area + i * job[13] * wide + j * job[14])
                    place = i * kw + j
                    c = summed + SIZE * (place * channels + g * inner) * each
                    accumulate(padded + shift, area, 1, turned, each, c, each, inner, length, each)
                    if job[21]:
                        a = weight + SIZE * (g * each * inner * places + place)
                        accumulate(
                            a, places, inner * places, rows, length, by_padded + shift, area, inner, each, length
                        )
        if job[21]:
            for c in range(channels):
                for r in range(h):
                    source = by_padded + SIZE * ((c * high + r + job[11]) * wide + job[12])
                    copy(source, gx + SIZE * ((p * channels + c) * h + r) * w, w)
    for g in range(groups):
        for place in range(places):
            for c in range(inner):
                for o in range(each):
                    v = get(summed, (place * channels + g * inner + c) * each + o)
                    put(gw, ((g * each + o) * inner + c) * places + place, v)
