"""Estimates of the Hessian's diagonal, and the rule that reads them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from fallline import InputError, optim
from fallline.rules import REGISTRY, rule
from tests.database import PAPERS


def bowl(seed=0, size=6):
    """A quadratic, which has one Hessian everywhere, and where it is looked at."""
    generator = torch.Generator().manual_seed(seed)
    factor = torch.randn(size, size, dtype=torch.float64, generator=generator)
    return factor @ factor.T, torch.randn(size, dtype=torch.float64, generator=generator).requires_grad_()


def test_the_mean_of_hutchinsons_estimates_is_the_hessians_diagonal():
    hessian, x = bowl()
    optimizer = optim.Sophia([x])
    generator = torch.Generator().manual_seed(1)
    loss = x @ hessian @ x / 2
    estimates = []
    for _ in range(800):
        optimizer.estimate(loss, generator)
        estimates.append(optimizer.state[x]["hutchinson"].clone())
    found = torch.stack(estimates)
    error = found.std(0) / len(found) ** 0.5
    assert ((found.mean(0) - hessian.diag()).abs() < 4 * error).all()
    assert (error < 0.4 * hessian.diag()).all()


def test_a_diagonal_hessian_is_estimated_up_to_the_squares_of_the_noise():
    x = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
    optimizer = optim.Sophia([x])
    optimizer.estimate((x**4).sum(), torch.Generator().manual_seed(3))
    noise = torch.empty_like(x).normal_(generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(optimizer.state[x]["hutchinson"], 12 * x.detach() ** 2 * noise**2)


def test_the_backward_pass_stays_possible_and_gives_the_same_gradients():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    optimizer = optim.Sophia(model.parameters())
    x, y = torch.randn(8, 3), torch.randint(2, (8,))
    expected = torch.autograd.grad(functional.cross_entropy(model(x), y), list(model.parameters()))
    logits = model(x)
    loss = functional.cross_entropy(logits, y)
    optimizer.estimate(loss)
    optimizer.estimate_gauss_newton(logits)
    loss.backward()
    for p, g in zip(model.parameters(), expected, strict=True):
        assert torch.equal(p.grad, g)


def test_the_mean_of_bartletts_estimates_is_the_gauss_newton_diagonal():
    """Of logistic regression, where that is the Hessian's diagonal of the mean loss."""
    torch.manual_seed(0)
    weight = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    x = torch.randn(5, 2, dtype=torch.float64)
    optimizer = optim.Sophia([weight])
    generator = torch.Generator().manual_seed(1)
    logits = x @ weight.T
    found = []
    for _ in range(800):
        optimizer.estimate_gauss_newton(logits, generator)
        found.append(optimizer.state[weight]["hutchinson"].clone())
    found = torch.stack(found)
    share = logits.detach().softmax(-1)
    exact = torch.einsum("bc,bk->ck", share * (1 - share), x**2) / len(x)
    error = found.std(0) / len(found) ** 0.5
    assert ((found.mean(0) - exact).abs() < 4 * error).all()
    assert (error < 0.2 * exact).all()


def test_what_has_no_curvature_is_estimated_at_nothing():
    flat, bent, unused = (torch.ones(2, requires_grad=True) for _ in range(3))
    optimizer = optim.Sophia([flat, bent, unused])
    optimizer.estimate((3 * flat).sum() + (bent**2).sum())
    assert optimizer.state[flat]["hutchinson"].tolist() == [0, 0]
    assert (optimizer.state[bent]["hutchinson"] > 0).all()
    assert not optimizer.state[unused]
    optimizer.estimate((3 * flat).sum())
    assert optimizer.state[flat]["hutchinson"].tolist() == [0, 0]


@pytest.mark.parametrize("every", [1, 3, 10])
def test_sophia_follows_its_paper_with_estimates(every):
    random = np.random.default_rng(0)
    start = random.standard_normal((3, 4))
    gradients = [random.standard_normal((3, 4)) for _ in range(25)]
    estimates = [30 * random.random((3, 4)) for _ in range(25)]
    x = torch.tensor(start, requires_grad=True)
    optimizer = optim.Sophia([x], every=every, gamma=0.05)
    path = PAPERS["sophia"](
        start, gradients, lr=6e-4, beta1=0.96, beta2=0.99, eps=1e-12, gamma=0.05, every=every, estimates=estimates
    )
    optimizer.estimate((x**2).sum())
    for gradient, estimate, expected in zip(gradients, estimates, path, strict=True):
        optimizer.state[x]["hutchinson"].copy_(torch.tensor(estimate))
        x.grad = torch.tensor(gradient)
        optimizer.step()
        np.testing.assert_allclose(x.detach().numpy(), expected, rtol=1e-12, atol=1e-13)
        assert np.array_equal(optimizer.state[x]["hutchinson"].numpy(), estimate)


def test_the_estimate_is_part_of_a_checkpoint():
    x = torch.ones(3, requires_grad=True)
    one, two = optim.Sophia([x]), optim.Sophia([x])
    one.estimate((x**3).sum())
    two.load_state_dict(one.state_dict())
    assert torch.equal(two.state[x]["hutchinson"], one.state[x]["hutchinson"])


def test_a_rule_of_ones_own_with_that_state_gets_the_methods():
    @rule
    def newton_diagonal(p, g, hutchinson, *, t, lr=1.0):
        return p - lr * g / hutchinson.abs().clamp(min=1e-3), hutchinson

    try:
        assert issubclass(optim.class_of("newton_diagonal"), optim.CurvatureOptimizer)
    finally:
        REGISTRY.pop("newton_diagonal")
    assert not hasattr(optim.Adam, "estimate")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda o, x: o.estimate(x**2), r"loss of shape \(3,\) is not allowed: it must be one number"),
        (lambda o, x: o.estimate(x.detach().sum()), "loss depends on no parameter"),
        (lambda o, x: o.estimate(torch.ones(1, requires_grad=True).sum()), "loss depends on none of the optimizer's"),
        (lambda o, x: o.estimate_gauss_newton(x.sum()), r"logits of shape \(\) are not allowed"),
        (lambda o, x: o.estimate_gauss_newton(torch.ones(2, 3, requires_grad=True)), "logits depends on none"),
    ],
    ids=["vector", "detached", "another's", "one number", "another's logits"],
)
def test_bad_input_is_named(call, message):
    x = torch.ones(3, requires_grad=True)
    with pytest.raises(InputError, match=message):
        call(optim.Sophia([x]), x)
