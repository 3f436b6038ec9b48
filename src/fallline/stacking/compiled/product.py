"""C += A B for small matrices: blocks of four rows and four terms, so that the core multiplies more than it loads."""

from __future__ import annotations

from typing import Any

from numba import njit

from .prelude import SIZE, load_a, load_b, load_c, outlined, store_c


@njit(inline="always", error_model="numpy")
def _four_rows(a: Any, am: Any, ak: Any, b: Any, bk: Any, c: Any, cm: Any, k: Any, n: Any) -> None:
    c1, c2, c3 = cm, 2 * cm, 3 * cm
    p = 0
    while p + 4 <= k:
        q = p * ak
        a00, a01, a02, a03 = load_a(a, q), load_a(a, q + ak), load_a(a, q + 2 * ak), load_a(a, q + 3 * ak)
        q += am
        a10, a11, a12, a13 = load_a(a, q), load_a(a, q + ak), load_a(a, q + 2 * ak), load_a(a, q + 3 * ak)
        q += am
        a20, a21, a22, a23 = load_a(a, q), load_a(a, q + ak), load_a(a, q + 2 * ak), load_a(a, q + 3 * ak)
        q += am
        a30, a31, a32, a33 = load_a(a, q), load_a(a, q + ak), load_a(a, q + 2 * ak), load_a(a, q + 3 * ak)
        b0 = p * bk
        b1, b2, b3 = b0 + bk, b0 + 2 * bk, b0 + 3 * bk
        for j in range(n):
            w0, w1, w2, w3 = load_b(b, b0 + j), load_b(b, b1 + j), load_b(b, b2 + j), load_b(b, b3 + j)
            store_c(c, j, load_c(c, j) + a00 * w0 + a01 * w1 + a02 * w2 + a03 * w3)
            store_c(c, c1 + j, load_c(c, c1 + j) + a10 * w0 + a11 * w1 + a12 * w2 + a13 * w3)
            store_c(c, c2 + j, load_c(c, c2 + j) + a20 * w0 + a21 * w1 + a22 * w2 + a23 * w3)
            store_c(c, c3 + j, load_c(c, c3 + j) + a30 * w0 + a31 * w1 + a32 * w2 + a33 * w3)
        p += 4
    while p < k:
        q = p * ak
        a00, a10, a20, a30 = load_a(a, q), load_a(a, q + am), load_a(a, q + 2 * am), load_a(a, q + 3 * am)
        b0 = p * bk
        for j in range(n):
            w0 = load_b(b, b0 + j)
            store_c(c, j, load_c(c, j) + a00 * w0)
            store_c(c, c1 + j, load_c(c, c1 + j) + a10 * w0)
            store_c(c, c2 + j, load_c(c, c2 + j) + a20 * w0)
            store_c(c, c3 + j, load_c(c, c3 + j) + a30 * w0)
        p += 1


@njit(inline="always", error_model="numpy")
def _one_row(a: Any, ak: Any, b: Any, bk: Any, c: Any, k: Any, n: Any) -> None:
    p = 0
    while p + 4 <= k:
        q = p * ak
        a0, a1, a2, a3 = load_a(a, q), load_a(a, q + ak), load_a(a, q + 2 * ak), load_a(a, q + 3 * ak)
        b0 = p * bk
        b1, b2, b3 = b0 + bk, b0 + 2 * bk, b0 + 3 * bk
        for j in range(n):
            w0, w1, w2, w3 = load_b(b, b0 + j), load_b(b, b1 + j), load_b(b, b2 + j), load_b(b, b3 + j)
            store_c(c, j, load_c(c, j) + a0 * w0 + a1 * w1 + a2 * w2 + a3 * w3)
        p += 4
    while p < k:
        a0 = load_a(a, p * ak)
        b0 = p * bk
        for j in range(n):
            store_c(c, j, load_c(c, j) + a0 * load_b(b, b0 + j))
        p += 1


@njit(error_model="numpy", fastmath={"contract", "reassoc"})
def accumulate(a: Any, am: Any, ak: Any, b: Any, bk: Any, c: Any, cm: Any, m: Any, k: Any, n: Any) -> None:
    """C (m, n) += A (m, k) B (k, n) at addresses a, b, c that do not overlap.

    am and ak are the strides of A's rows and columns, bk and cm of B's and C's rows, whose columns follow one another.
    """
    outlined()
    i = 0
    while i + 4 <= m:
        _four_rows(a + SIZE * i * am, am, ak, b, bk, c + SIZE * i * cm, cm, k, n)
        i += 4
    while i < m:
        _one_row(a + SIZE * i * am, ak, b, bk, c + SIZE * i * cm, k, n)
        i += 1
