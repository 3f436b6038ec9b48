"""Recurrent layers: a trial's whole sequence in one go, forward or backward, its weights staying in the cache.

A job begins with the numbers of steps L, examples N, inputs I and hidden units H, the strides of x and of the outputs'
gradient (trial, step, example: three each), whether the steps run backwards, and the kind: 0 LSTM, 1 GRU, 2 tanh,
3 the positive part. G gates belong to a unit. States (L + 1, N, H) begin with the one that is given, in the order in
which the steps run.
"""

from __future__ import annotations

from typing import Any

from numba import float32, njit

from .prelude import SIZE, copy, fill, get, put, sigmoid, tanh, transpose
from .product import accumulate


@njit(error_model="numpy")
def _at(job: Any, address: Any, first: Any, trial: Any, step: Any) -> Any:
    """Where a step's numbers begin in x (first = 4) or the outputs' gradient (first = 7)."""
    place = job[0] - 1 - step if job[10] else step
    return address + SIZE * (trial * job[first] + place * job[first + 1])


@njit(error_model="numpy")
def _gather(source: Any, stride: Any, target: Any, rows: Any, columns: Any) -> None:
    for k in range(rows):
        copy(source + SIZE * k * stride, target + SIZE * k * columns, columns)


@njit(error_model="numpy")
def _begin(bias: Any, target: Any, rows: Any, columns: Any) -> None:
    """The bias in every row, or zeros."""
    for k in range(rows):
        if bias:
            copy(bias, target + SIZE * k * columns, columns)
        else:
            fill(target + SIZE * k * columns, columns, float32(0))


@njit(error_model="numpy", fastmath={"contract"})
def _lstm(gates: Any, before: Any, cell: Any, hidden: Any, count: Any) -> None:
    for j in range(count):
        i, f = sigmoid(get(gates, j)), sigmoid(get(gates, count + j))
        g, o = tanh(get(gates, 2 * count + j)), sigmoid(get(gates, 3 * count + j))
        c = f * get(before, j) + i * g
        put(gates, j, i)
        put(gates, count + j, f)
        put(gates, 2 * count + j, g)
        put(gates, 3 * count + j, o)
        put(cell, j, c)
        put(hidden, j, o * tanh(c))


@njit(error_model="numpy", fastmath={"contract"})
def _gru(gates: Any, own: Any, before: Any, hidden: Any, count: Any) -> None:
    for j in range(count):
        r = sigmoid(get(gates, j) + get(own, j))
        z = sigmoid(get(gates, count + j) + get(own, count + j))
        n = tanh(get(gates, 2 * count + j) + r * get(own, 2 * count + j))
        put(gates, j, r)
        put(gates, count + j, z)
        put(gates, 2 * count + j, n)
        put(hidden, j, (float32(1) - z) * n + z * get(before, j))


@njit(error_model="numpy")
def forward(job: Any, trial: Any, room: Any) -> None:
    """Addresses: x, the weights (G H, I) and (G H, H), the biases (G H) of inputs and, for a GRU, of hidden units (or
    0); then what is written: gates (L, N, G H), the hidden states, and an LSTM's cell states or what a GRU's hidden
    units add to the candidates (L, N, H).
    """
    steps, n, inputs, units, kind = job[0], job[1], job[2], job[3], job[11]
    state = n * units
    wide = units * (4 if kind == 0 else 3 if kind == 1 else 1)
    w_in = job[13] + SIZE * trial * wide * inputs
    w_hidden = job[14] + SIZE * trial * wide * units
    b_in = job[15] + SIZE * trial * wide if job[15] else 0
    b_hidden = job[16] + SIZE * trial * wide if job[16] else 0
    gates = job[17] + SIZE * trial * steps * n * wide
    hidden = job[18] + SIZE * trial * (steps + 1) * state
    more = job[19] + SIZE * trial * (steps + 1 if kind == 0 else steps) * state
    by_input, by_hidden = room, room + SIZE * wide * inputs
    own = by_hidden + SIZE * wide * units
    transpose(w_in, by_input, wide, inputs)
    transpose(w_hidden, by_hidden, wide, units)
    for step in range(steps):
        now, h = gates + SIZE * step * n * wide, hidden + SIZE * step * state
        after = h + SIZE * state
        _begin(b_in, now, n, wide)
        accumulate(_at(job, job[12], 4, trial, step), job[6], 1, by_input, wide, now, wide, n, inputs, wide)
        if kind == 1:
            _begin(b_hidden, own, n, wide)
            accumulate(h, units, 1, by_hidden, wide, own, wide, n, units, wide)
            for k in range(n):
                at, row = SIZE * k * units, SIZE * k * wide
                _gru(now + row, own + row, h + at, after + at, units)
                copy(own + row + SIZE * 2 * units, more + SIZE * step * state + at, units)
            continue
        accumulate(h, units, 1, by_hidden, wide, now, wide, n, units, wide)
        if kind == 0:
            c = more + SIZE * step * state
            for k in range(n):
                at = SIZE * k * units
                _lstm(now + SIZE * k * wide, c + at, c + SIZE * state + at, after + at, units)
        elif kind == 2:
            for j in range(state):
                put(after, j, tanh(get(now, j)))
        else:
            for j in range(state):
                v = get(now, j)
                put(after, j, float32(0) if v < float32(0) else v)


@njit(error_model="numpy", fastmath={"contract"})
def _lstm_back(gates: Any, before: Any, cell: Any, out: Any, gh: Any, gc: Any, d: Any, count: Any) -> None:
    one = float32(1)
    for j in range(count):
        i, f, g, o = get(gates, j), get(gates, count + j), get(gates, 2 * count + j), get(gates, 3 * count + j)
        t = tanh(get(cell, j))
        dh = get(gh, j) + get(out, j)
        dc = get(gc, j) + dh * o * (one - t * t)
        put(d, j, dc * g * i * (one - i))
        put(d, count + j, dc * get(before, j) * f * (one - f))
        put(d, 2 * count + j, dc * i * (one - g * g))
        put(d, 3 * count + j, dh * t * o * (one - o))
        put(gc, j, dc * f)


@njit(error_model="numpy", fastmath={"contract"})
def _gru_back(gates: Any, own: Any, before: Any, out: Any, gh: Any, d: Any, dn_own: Any, count: Any) -> None:
    """d: gradients by the gates; dn_own: by what the hidden units add to the candidate; gh: what passes by all."""
    one = float32(1)
    for j in range(count):
        r, z, n = get(gates, j), get(gates, count + j), get(gates, 2 * count + j)
        dh = get(gh, j) + get(out, j)
        dn = dh * (one - z) * (one - n * n)
        put(d, j, dn * get(own, j) * r * (one - r))
        put(d, count + j, dh * (get(before, j) - n) * z * (one - z))
        put(d, 2 * count + j, dn)
        put(dn_own, j, dn * r)
        put(gh, j, dh * z)


@njit(error_model="numpy", fastmath={"contract"})
def _plain_back(after: Any, out: Any, gh: Any, d: Any, kind: Any, count: Any) -> None:
    for j in range(count):
        h, dh = get(after, j), get(gh, j) + get(out, j)
        slope = float32(1) - h * h if kind == 2 else (float32(1) if h > float32(0) else float32(0))
        put(d, j, dh * slope)


@njit(error_model="numpy")
def _add_rows(source: Any, target: Any, rows: Any, columns: Any) -> None:
    for k in range(rows):
        for j in range(columns):
            put(target, j, get(target, j) + get(source, k * columns + j))


@njit(error_model="numpy")
def backward(job: Any, trial: Any, room: Any) -> None:
    """Addresses: x, the weights, gates, hidden states, cell states or what a GRU's hidden units add, the outputs'
    gradient; the gradients by the last hidden and cell states (N, H), which become those by the first; then what is
    written: the gradients by x (or 0), the weights, the biases of inputs (G H) and, for a GRU, of hidden units.
    """
    steps, n, inputs, units, kind = job[0], job[1], job[2], job[3], job[11]
    state = n * units
    wide = units * (4 if kind == 0 else 3 if kind == 1 else 1)
    w_in = job[13] + SIZE * trial * wide * inputs
    w_hidden = job[14] + SIZE * trial * wide * units
    gates = job[15] + SIZE * trial * steps * n * wide
    hidden = job[16] + SIZE * trial * (steps + 1) * state
    more = job[17] + SIZE * trial * (steps + 1 if kind == 0 else steps) * state
    gh, gc = job[19] + SIZE * trial * state, job[20] + SIZE * trial * state
    gx = job[21] + SIZE * trial * steps * n * inputs
    g_in = job[24] + SIZE * trial * wide
    g_hidden = job[25] + SIZE * trial * wide
    by_input, by_hidden = room, room + SIZE * wide * inputs
    d = by_hidden + SIZE * wide * units
    dn_own = d + SIZE * n * wide
    out = dn_own + SIZE * state
    fill(by_input, wide * (inputs + units), float32(0))
    fill(g_in, wide, float32(0))
    if kind == 1:
        fill(g_hidden, wide, float32(0))
    for step in range(steps - 1, -1, -1):
        now, h = gates + SIZE * step * n * wide, hidden + SIZE * step * state
        x, after = _at(job, job[12], 4, trial, step), h + SIZE * state
        _gather(_at(job, job[18], 7, trial, step), job[9], out, n, units)
        own = more + SIZE * step * state
        if kind == 0:
            for k in range(n):
                at, row = SIZE * k * units, SIZE * k * wide
                _lstm_back(now + row, own + at, own + SIZE * state + at, out + at, gh + at, gc + at, d + row, units)
        elif kind == 1:
            for k in range(n):
                at, row = SIZE * k * units, SIZE * k * wide
                _gru_back(now + row, own + at, h + at, out + at, gh + at, d + row, dn_own + at, units)
        else:
            _plain_back(after, out, gh, d, kind, state)
        _add_rows(d, g_in, n, wide)
        accumulate(x, 1, job[6], d, wide, by_input, wide, inputs, n, wide)
        if job[21]:
            place = steps - 1 - step if job[10] else step
            target = gx + SIZE * place * n * inputs
            fill(target, n * inputs, float32(0))
            accumulate(d, wide, 1, w_in, inputs, target, inputs, n, wide, inputs)
        if kind == 1:
            _add_rows(dn_own, g_hidden + SIZE * 2 * units, n, units)
            for k in range(n):  # from here on d is by what the hidden units add
                copy(dn_own + SIZE * k * units, d + SIZE * (k * wide + 2 * units), units)
        else:
            fill(gh, state, float32(0))
        accumulate(h, 1, units, d, wide, by_hidden, wide, units, n, wide)
        accumulate(d, wide, 1, w_hidden, units, gh, units, n, wide, units)
    if kind == 1:
        copy(g_in, g_hidden, 2 * units)
    transpose(by_input, job[22] + SIZE * trial * wide * inputs, inputs, wide)
    transpose(by_hidden, job[23] + SIZE * trial * wide * units, units, wide)
