"""The minima of standard functions and of a regression on real data, beside SciPy's methods of the same kind."""

from __future__ import annotations

from functools import partial

import pytest
import scipy.optimize
import torch
from sklearn.datasets import load_breast_cancer
from torch.nn.functional import binary_cross_entropy_with_logits

from fallline import optim
from tests.optim.full_batch.functions import CASES, Run, for_scipy, hessian

LBFGS = partial(optim.LBFGS, line_search_fn="strong_wolfe", history_size=10)
METHODS = {"BFGS": optim.BFGS, "LBFGS": LBFGS, "Newton": optim.Newton}
SCIPY = {"BFGS": "BFGS", "LBFGS": "L-BFGS-B", "Newton": "trust-exact"}
TO_THE_END = {"max_iter": 1000, "max_eval": 2000, "tolerance_grad": 1e-8, "tolerance_change": 0.0}


def scipys(function, start, method, gradient=1e-8):
    options = {"gtol": gradient} | ({"ftol": 0, "maxiter": 1000} if method == "L-BFGS-B" else {})
    second = {"hess": hessian(function)} if method == "trust-exact" else {}
    return scipy.optimize.minimize(for_scipy(function), start, jac=True, method=method, options=options, **second)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("method", METHODS)
def test_the_minimum_is_found_in_about_as_many_evaluations_as_scipy_takes(method, name):
    case = CASES[name]
    run = Run(METHODS[method], case.function, torch.tensor(case.start, dtype=torch.float64), **TO_THE_END)
    run.step()
    theirs = scipys(case.function, case.start, SCIPY[method])
    assert theirs.success
    assert run.gradient.abs().max() <= 1e-8
    torch.testing.assert_close(run.x, torch.tensor(case.minimum).double(), rtol=0, atol=case.near)
    torch.testing.assert_close(run.x, torch.tensor(theirs.x), rtol=0, atol=2 * case.near)
    assert run.evaluations <= 1.7 * theirs.nfev + 2


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("method", METHODS)
def test_single_precision_comes_as_near_as_it_can(method, name):
    case = CASES[name]
    run = Run(METHODS[method], case.function, torch.tensor(case.start), **TO_THE_END | {"tolerance_grad": 1e-4})
    run.step()
    assert run.gradient.abs().max() <= 1e-4
    torch.testing.assert_close(run.x, torch.tensor(case.minimum), rtol=0, atol=0.05 if case.near > 1e-3 else 2e-3)


@pytest.mark.parametrize("name", ["beale", "rosenbrock"])
@pytest.mark.parametrize("method", METHODS)
def test_a_step_at_a_time_gets_there_too(method, name):
    case = CASES[name]
    run = Run(METHODS[method], case.function, torch.tensor(case.start, dtype=torch.float64), max_iter=1, max_eval=25)
    for _ in range(100):
        run.step()
    torch.testing.assert_close(run.x, torch.tensor(case.minimum).double(), rtol=0, atol=1e-4)


@pytest.fixture(scope="module")
def regression():
    """Logistic regression with a penalty: its minimum is one point."""
    x, y = load_breast_cancer(return_X_y=True)
    x = torch.tensor((x - x.mean(0)) / x.std(0))
    x, y = torch.cat([x, torch.ones(len(x), 1)], 1), torch.tensor(y).double()
    return lambda w: binary_cross_entropy_with_logits(x @ w, y) + 5e-4 * w @ w


@pytest.mark.parametrize("method", METHODS)
def test_a_regression_on_real_data_is_fitted_as_scipy_does(regression, method):
    start = torch.zeros(31, dtype=torch.float64)
    run = Run(METHODS[method], regression, start, **TO_THE_END)
    run.step()
    exact = scipys(regression, start.numpy(), "trust-exact", 1e-10)
    torch.testing.assert_close(run.x, torch.tensor(exact.x), rtol=0, atol=1e-5)
    assert float(regression(run.x)) <= exact.fun + 1e-13
    assert run.evaluations <= 1.5 * scipys(regression, start.numpy(), SCIPY[method]).nfev


@pytest.mark.parametrize("start", [(0.0, 0.0), (0.3, 0.0), (1.0, 1e-9)], ids=["at", "toward", "beside"])
def test_newton_leaves_a_saddle_point(start):
    def saddle(x):
        return x[0] ** 2 - x[1] ** 2 + x[1] ** 4 / 4

    run = Run(optim.Newton, saddle, torch.tensor(start, dtype=torch.float64))
    run.step()
    torch.testing.assert_close(run.x.abs(), torch.tensor([0.0, 2**0.5]).double(), rtol=0, atol=1e-6)


def test_newton_needs_one_step_for_a_quadratic():
    matrix = torch.tensor([[3.0, 1.0], [1.0, 2.0]]).double()
    run = Run(optim.Newton, lambda x: x @ matrix @ x / 2 - x.sum(), torch.zeros(2).double(), max_iter=1, radius=10.0)
    run.step()
    torch.testing.assert_close(run.x, torch.linalg.solve(matrix, torch.ones(2).double()))
    assert run.evaluations == 2


@pytest.mark.parametrize("method", METHODS)
def test_a_flat_direction_is_left_alone(method):
    """A softmax does not see what all its inputs share."""

    def loss(w):
        return torch.nn.functional.cross_entropy(w[None], torch.tensor([0.2, 0.3, 0.5]).double()[None])

    run = Run(METHODS[method], loss, torch.tensor([5.0, 1.0, 3.0]).double(), **TO_THE_END)
    run.step()
    torch.testing.assert_close(run.x.softmax(0), torch.tensor([0.2, 0.3, 0.5]).double(), rtol=0, atol=1e-7)
    assert abs(float(run.x.mean()) - 3) < 1e-3
