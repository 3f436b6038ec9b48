"""Convolution by unfolding: a few pictures at a time, whose patches stay in the cache, as a product with the weights.

A job holds N, C, H, W, O, the kernel's and the output's sizes, strides, paddings, dilations (two numbers each), the
number of groups, the step from one trial's input to the next's (0 for an input that all share), how many pictures are
unfolded together, and addresses, of which 0 stands for what is not there.
"""

from __future__ import annotations

from typing import Any

from numba import float32, njit

from .prelude import SIZE, copy, fill, get, put, transpose
from .product import accumulate


@njit(error_model="numpy")
def _span(size: Any, out: Any, stride: Any, offset: Any) -> Any:
    """The outputs from `first` up to `last` whose input, at stride * output + offset, is inside of the picture."""
    first = 0 if offset >= 0 else (-offset + stride - 1) // stride
    last = (size - 1 - offset) // stride + 1 if size - 1 - offset >= 0 else 0
    return min(first, out), max(min(last, out), min(first, out))


@njit(error_model="numpy")
def _unfold(job: Any, x: Any, columns: Any, channels: Any, count: Any, step: Any) -> None:
    """`count` pictures' patches (channels * kernel, count * output) from x, whose pictures are `step` apart."""
    h, w, kh, kw, oh, ow = job[2], job[3], job[5], job[6], job[7], job[8]
    sh, sw, ph, pw, dh, dw = job[9], job[10], job[11], job[12], job[13], job[14]
    at = columns
    for c in range(channels):
        for i in range(kh):
            top, bottom = _span(h, oh, sh, i * dh - ph)
            for j in range(kw):
                left, right = _span(w, ow, sw, j * dw - pw)
                for p in range(count):
                    picture = x + SIZE * (p * step + c * h * w)
                    fill(at, top * ow, float32(0))
                    for y in range(top, bottom):
                        row = picture + SIZE * ((y * sh + i * dh - ph) * w + j * dw - pw)
                        line = at + SIZE * y * ow
                        for q in range(left):
                            put(line, q, float32(0))
                        if sw == 1:
                            for q in range(left, right):
                                put(line, q, get(row, q))
                        else:
                            for q in range(left, right):
                                put(line, q, get(row, q * sw))
                        for q in range(right, ow):
                            put(line, q, float32(0))
                    fill(at + SIZE * bottom * ow, (oh - bottom) * ow, float32(0))
                    at += SIZE * oh * ow


@njit(error_model="numpy")
def _fold(job: Any, columns: Any, x: Any, channels: Any, count: Any, step: Any) -> None:
    """Add patches to the pictures that they come from: the opposite of `_unfold`."""
    h, w, kh, kw, oh, ow = job[2], job[3], job[5], job[6], job[7], job[8]
    sh, sw, ph, pw, dh, dw = job[9], job[10], job[11], job[12], job[13], job[14]
    at = columns
    for c in range(channels):
        for i in range(kh):
            top, bottom = _span(h, oh, sh, i * dh - ph)
            for j in range(kw):
                left, right = _span(w, ow, sw, j * dw - pw)
                for p in range(count):
                    picture = x + SIZE * (p * step + c * h * w)
                    for y in range(top, bottom):
                        row = picture + SIZE * ((y * sh + i * dh - ph) * w + j * dw - pw)
                        line = at + SIZE * y * ow
                        if sw == 1:
                            for q in range(left, right):
                                put(row, q, get(row, q) + get(line, q))
                        else:
                            for q in range(left, right):
                                put(row, q * sw, get(row, q * sw) + get(line, q))
                    at += SIZE * oh * ow


@njit(error_model="numpy")
def forward(job: Any, trial: Any, room: Any) -> None:
    """Addresses: x, weight (O, C / groups, *kernel), bias (O) or 0, y (N, O, *output)."""
    n, channels, h, w, out = job[0], job[1], job[2], job[3], job[4]
    groups, length = job[15], job[7] * job[8]
    inner, each = channels // groups, out // groups
    terms = inner * job[5] * job[6]
    x = job[18] + SIZE * trial * job[16]
    weight = job[19] + SIZE * trial * out * terms
    bias = job[20] + SIZE * trial * out
    y = job[21] + SIZE * trial * n * out * length
    most = job[17]
    columns = room
    result = columns + SIZE * terms * most * length
    for first in range(0, n, most):
        count = min(most, n - first)
        wide = count * length
        for g in range(groups):
            _unfold(job, x + SIZE * (first * channels + g * inner) * h * w, columns, inner, count, channels * h * w)
            target = y + SIZE * (first * out + g * each) * length
            c = target if count == 1 else result
            for o in range(each):
                fill(c + SIZE * o * wide, wide, get(bias, g * each + o) if job[20] else float32(0))
            accumulate(weight + SIZE * g * each * terms, terms, 1, columns, wide, c, wide, each, terms, wide)
            if count > 1:
                for o in range(each):
                    for p in range(count):
                        copy(c + SIZE * (o * wide + p * length), target + SIZE * (p * out + o) * length, length)


@njit(error_model="numpy", fastmath={"reassoc"})
def _sum(address: Any, count: Any) -> Any:
    total = float32(0)
    for i in range(count):
        total += get(address, i)
    return total


@njit(error_model="numpy")
def backward(job: Any, trial: Any, room: Any) -> None:
    """Addresses: x, weight, the gradient by y, then those by x (or 0), by the weight and by the bias (or 0)."""
    n, channels, h, w, out = job[0], job[1], job[2], job[3], job[4]
    groups, length = job[15], job[7] * job[8]
    inner, each = channels // groups, out // groups
    terms = inner * job[5] * job[6]
    x = job[18] + SIZE * trial * job[16]
    weight = job[19] + SIZE * trial * out * terms
    gy = job[20] + SIZE * trial * n * out * length
    gx = job[21] + SIZE * trial * n * channels * h * w
    gw = job[22] + SIZE * trial * out * terms
    gb = job[23] + SIZE * trial * out
    most = job[17]
    columns = room
    gathered = columns + SIZE * terms * most * length
    turned = gathered + SIZE * each * most * length
    summed = turned + SIZE * each * most * length
    if job[21]:
        fill(gx, n * channels * h * w, float32(0))
    for g in range(groups):
        fill(summed, terms * each, float32(0))
        if job[23]:
            fill(gb + SIZE * g * each, each, float32(0))
        for first in range(0, n, most):
            count = min(most, n - first)
            wide = count * length
            for o in range(each):
                for p in range(count):
                    source = gy + SIZE * ((first + p) * out + g * each + o) * length
                    copy(source, gathered + SIZE * (o * wide + p * length), length)
                if job[23]:
                    total = get(gb, g * each + o) + _sum(gathered + SIZE * o * wide, wide)
                    put(gb, g * each + o, total)
            picture = SIZE * (first * channels + g * inner) * h * w
            _unfold(job, x + picture, columns, inner, count, channels * h * w)
            transpose(gathered, turned, each, wide)
            accumulate(columns, wide, 1, turned, each, summed, each, terms, wide, each)
            if job[21]:
                fill(columns, terms * wide, float32(0))
                a = weight + SIZE * g * each * terms
                accumulate(a, 1, terms, gathered, wide, columns, wide, terms, each, wide)
                _fold(job, columns, gx + picture, inner, count, channels * h * w)
        transpose(summed, gw + SIZE * g * each * terms, terms, each)
