"""Functions of matrices beside SciPy's and closed forms, one by one and stacked."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st

from fallline.rules import matrices as mx
from fallline.rules import ops


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def positive(n, seed=0, dtype=torch.float64):
    x = normal(n, n + 2, seed=seed, dtype=dtype)
    return x @ x.mT


def column(s):
    """The state that keeps the diagonal of a square matrix alone."""
    return s.diagonal(dim1=-2, dim2=-1).unsqueeze(-1)


CALLS = {
    "orthogonalized": lambda x, s, q, r: mx.orthogonalized(x),
    "gram": lambda x, s, q, r: mx.gram(x, s),
    "times": lambda x, s, q, r: mx.times(s, x),
    "two_sided": lambda x, s, q, r: mx.two_sided(q, x, r),
    "two_sided_transposed": lambda x, s, q, r: mx.two_sided_transposed(q, x, r),
    "inverse_root": lambda x, s, q, r: mx.inverse_root(s, 4, 1e-3),
    "eigenbasis": lambda x, s, q, r: mx.eigenbasis(s).abs(),
    "refreshed": lambda x, s, q, r: mx.refreshed(q, s @ q).abs(),
    "reordered": lambda x, s, q, r: mx.reordered(x, q, s @ q),
    "leading": lambda x, s, q, r: mx.leading(x, q[..., :2]),
    "upper": lambda x, s, q, r: mx.upper(s),
    "balanced": lambda x, s, q, r: mx.balanced(q, r),
    "solved": lambda x, s, q, r: mx.solved(mx.upper(s), x),
    "norm_bound": lambda x, s, q, r: mx.norm_bound(s),
    "projected": lambda x, s, q, r: mx.projected(q[..., :2], x),
    "projected tall": lambda x, s, q, r: mx.projected(q[..., :2], x.mT),
    "lifted": lambda x, s, q, r: mx.lifted(q[..., :2], x[..., :2, :], x),
    "lifted tall": lambda x, s, q, r: mx.lifted(q[..., :2], x[..., :2, :], x.mT),
}


def matrices(seed):
    s = positive(4, seed)
    return normal(4, 7, seed=seed), s, mx.eigenbasis(s), mx.eigenbasis(positive(7, seed))


@pytest.mark.parametrize("name", CALLS)
def test_matrices_in_a_stack_are_treated_as_each_alone(name):
    each = [matrices(seed) for seed in range(3)]
    alone = torch.stack([CALLS[name](*given) for given in each])
    stacked = CALLS[name](*(torch.stack(parts) for parts in zip(*each, strict=True)))
    torch.testing.assert_close(stacked, alone, rtol=1e-12, atol=1e-12)
    twice = CALLS[name](*(torch.stack(parts).unsqueeze(0) for parts in zip(*each, strict=True)))
    torch.testing.assert_close(twice[0], alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", sorted(CALLS.keys() - {"upper"}))
def test_a_matrix_that_is_not_finite_leaves_the_others_in_its_stack_alone(name):
    good, bad = matrices(0), tuple(torch.full_like(x, torch.nan) for x in matrices(1))
    stacked = CALLS[name](*(torch.stack(pair) for pair in zip(bad, good, strict=True)))
    torch.testing.assert_close(stacked[1], CALLS[name](*good), rtol=1e-12, atol=1e-12)
    assert stacked[0].isnan().all() or name == "refreshed"
    assert stacked[0].isnan().any()


@given(rows=st.integers(1, 9), columns=st.integers(1, 9), seed=st.integers(0, 9))
def test_orthogonalization_takes_singular_values_through_its_polynomial(rows, columns, seed):
    x = normal(rows, columns, seed=seed)
    u, s, vt = np.linalg.svd(x.numpy(), full_matrices=False)
    s = s / np.sqrt((s**2).sum())
    for _ in range(4):
        s = 2.0 * s - 1.5 * s**3 + 0.5 * s**5
    ours = mx.orthogonalized(x, 4, 2.0, -1.5, 0.5, 1e-7)
    np.testing.assert_allclose(ours.numpy(), u * s @ vt, rtol=1e-9, atol=1e-11)


def test_many_steps_of_a_convergent_polynomial_lead_to_the_polar_factor():
    x = normal(5, 8)
    polar, _ = scipy.linalg.polar(x.numpy())
    np.testing.assert_allclose(mx.orthogonalized(x, 40, 1.875, -1.25, 0.375, 1e-7), polar, atol=1e-12)


@pytest.mark.parametrize("rows", [8, 64, 100])
def test_single_precision_is_orthogonalized_as_well_as_its_authors_do(rows):
    x = normal(rows, 120, dtype=torch.float32)
    exact = mx.orthogonalized(x.double())
    ours = mx.orthogonalized(x)
    assert ours.dtype == torch.float32
    assert (ours - exact).norm() < 0.02 * exact.norm()


def test_nothing_is_orthogonal_to_nothing():
    assert mx.orthogonalized(torch.zeros(3, 5)).count_nonzero() == 0
    assert mx.orthogonalized(torch.zeros(2, 0, 5)).shape == (2, 0, 5)


@pytest.mark.parametrize("power", [1, 2, 4])
def test_inverse_roots_are_scipys(power):
    s = positive(6)
    wanted = scipy.linalg.fractional_matrix_power((s + 0.1 * torch.eye(6, dtype=s.dtype)).numpy(), -1 / power)
    np.testing.assert_allclose(mx.inverse_root(s, power, 0.1), wanted, rtol=1e-10, atol=1e-12)


def test_eigenvalues_that_rounding_made_negative_count_as_zero():
    x = normal(200, 2, dtype=torch.float32)
    root = mx.inverse_root(x @ x.mT, 4, 1e-6)
    assert root.isfinite().all()
    assert torch.linalg.matrix_norm(root, 2) <= 1e-6**-0.25 * 1.001


def test_an_eigenbasis_is_ordered_and_refreshed_towards_the_next_one():
    s, after = positive(6), positive(6) + 0.01 * positive(6, seed=1)
    q = mx.eigenbasis(s)
    values = (q.mT @ s @ q).diagonal()
    assert (values.diff() < 0).all()
    for _ in range(200):
        q = mx.refreshed(q, after @ q)
    torch.testing.assert_close(q.abs(), mx.eigenbasis(after).abs(), rtol=1e-6, atol=1e-6)


def test_rows_follow_the_columns_of_the_basis_that_they_belong_to():
    q = torch.eye(3, dtype=torch.float64)
    s = torch.diag(torch.tensor([2.0, 5.0, 3.0], dtype=torch.float64))
    x = torch.arange(6, dtype=torch.float64).reshape(3, 2)
    assert mx.reordered(x, q, s @ q).tolist() == [[2, 3], [4, 5], [0, 1]]
    assert mx.refreshed(q, s @ q).abs().argmax(-2).tolist() == [1, 2, 0]


def test_leading_vectors_are_those_of_the_singular_value_decomposition():
    x = normal(6, 9)
    basis = mx.leading(x, torch.empty(6, 3))
    u = torch.linalg.svd(x).U[:, :3]
    torch.testing.assert_close(basis.abs(), u.abs(), rtol=1e-9, atol=1e-9)
    assert (basis.take_along_dim(basis.abs().argmax(0, keepdim=True), 0) > 0).all()


@given(n=st.integers(2, 12), seed=st.integers(0, 30))
def test_the_norm_bound_is_below_the_norm_and_near_it(n, seed):
    s = positive(n, seed)
    norm = torch.linalg.matrix_norm(s, 2).item()
    assert 0.7 * norm <= mx.norm_bound(s).item() <= norm * (1 + 1e-12)


def test_a_kept_diagonal_is_the_diagonal_matrix():
    x, d, e = normal(4, 7), normal(4, 1).abs(), normal(7, 1).abs()
    full, wide = torch.diag(d[:, 0]), torch.diag(e[:, 0])
    pairs = [
        (mx.times(d, x), mx.times(full, x)),
        (mx.two_sided(d, x, e), mx.two_sided(full, x, wide)),
        (mx.two_sided_transposed(d, x, e), mx.two_sided_transposed(full, x, wide)),
        (mx.gram(x, d), column(mx.gram(x, full))),
        (mx.inverse_root(d, 4, 1e-3), column(mx.inverse_root(full, 4, 1e-3))),
        (mx.solved(d, x), mx.solved(full, x)),
        (mx.norm_bound(d), mx.norm_bound(full)),
        (mx.upper(d), column(mx.upper(full))),
        (mx.balanced(d, e), column(mx.balanced(full, wide))),
    ]
    for short, long in pairs:
        torch.testing.assert_close(short, long, rtol=1e-12, atol=1e-12)
    ones = mx.eigenbasis(d)
    assert (ones == 1).all()
    assert mx.refreshed(ones, d) is ones
    assert mx.reordered(x, ones, d) is x


def test_a_random_projection_keeps_lengths_on_average():
    x = normal(40, 300)
    q = mx.projection(x.new_empty(40, 20), 1, 0, "test")
    assert q.shape == (40, 20)
    assert abs(((q.mT @ x).norm() / x.norm()).item() - 1) < 0.1
    assert torch.equal(q, mx.projection(x.new_empty(40, 20), 1, 0, "test"))


@pytest.mark.parametrize("draw", [ops.normal, ops.rademacher, ops.uniform])
def test_draws_depend_on_the_step_the_seed_the_place_and_the_stream_alone(draw):
    x = torch.empty(3, 4)
    first = draw(x, 1, 0, "a")
    assert torch.equal(first, draw(x + 1, 1, 0, "a"))
    others = [draw(x, 2, 0, "a"), draw(x, 1, 1, "a"), draw(x, 1, 0, "b")]
    with ops.drawn_for(1):
        others.append(draw(x, 1, 0, "a"))
    assert not any(torch.equal(first, other) for other in others)
    with ops.drawn_for((0, 1, 0)):
        stacked = draw(torch.empty(3, 3, 4), 1, 0, "a")
    torch.testing.assert_close(stacked, torch.stack([first, others[-1], first]))


def test_draws_are_what_they_are_called():
    x = torch.empty(10_000, dtype=torch.float64)
    n, r, u = (draw(x, 1) for draw in (ops.normal, ops.rademacher, ops.uniform))
    assert abs(n.mean()) < 0.05
    assert abs(n.std() - 1) < 0.05
    assert set(r.tolist()) == {-1.0, 1.0}
    assert abs(r.mean()) < 0.05
    assert 0 <= u.min() < 0.01
    assert 0.99 < u.max() < 1
    assert ops.normal(torch.empty(4, dtype=torch.bfloat16), 1).dtype == torch.bfloat16


def test_a_decomposition_that_fails_in_single_precision_is_done_in_double(monkeypatch):
    s = positive(5, dtype=torch.float32)
    whole = mx.inverse_root(s, 4, 1e-3)
    decompose = torch.linalg.eigh

    def fails(x):
        if x.dtype == torch.float32:
            raise torch.linalg.LinAlgError("failed to converge")
        return decompose(x)

    monkeypatch.setattr(torch.linalg, "eigh", fails)
    again = mx.inverse_root(s, 4, 1e-3)
    assert again.dtype == torch.float32
    torch.testing.assert_close(again, whole, rtol=1e-3, atol=1e-3)
