"""Sharpness-aware minimization through the closure, against another library and the papers' formulas in float64."""

from __future__ import annotations

import pytest
import pytorch_optimizer
import torch

from fallline import InputError, optim


def problem():
    """Parameters in two tensors, and a loss that is not quadratic in them."""
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(4, 3, generator=generator, dtype=torch.float64).requires_grad_()
    b = torch.randn(4, generator=generator, dtype=torch.float64).requires_grad_()
    x = torch.randn(10, 3, generator=generator, dtype=torch.float64)

    def loss():
        return ((x @ w.T + b).tanh() - x.sum(1, keepdim=True)).square().mean()

    return [w, b], loss


def closure_of(optimizer, loss, seen=None):
    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        if seen is not None:
            seen.append([p.detach().clone() for group in optimizer.param_groups for p in group["params"]])
        return value

    return closure


@pytest.mark.parametrize("rule", ["SGD", "Adam"])
@pytest.mark.parametrize("adaptive", [False, True], ids=["SAM", "ASAM"])
def test_sam_is_the_other_librarys(rule, adaptive):
    ours, our_loss = problem()
    theirs, their_loss = problem()
    settings = {"asam": 0.3, "asam_eta": 0.0} if adaptive else {"sam": 0.3}
    optimizer = getattr(optim, rule)(ours, lr=0.1, **settings)
    reference = pytorch_optimizer.SAM(theirs, getattr(torch.optim, rule), rho=0.3, adaptive=adaptive, lr=0.1)
    for _ in range(6):
        value = optimizer.step(closure_of(optimizer, our_loss))
        first = closure_of(reference, their_loss)
        assert value.item() == pytest.approx(first().item(), rel=1e-9)
        reference.step(first)
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-8)  # their norm is a float32


def test_asam_measures_in_units_of_each_weights_size():
    params, loss = problem()
    optimizer = optim.SGD(params, lr=0.1, asam=0.3, asam_eta=0.01)
    gradients = torch.autograd.grad(loss(), params)
    sizes = [p.detach().abs() + 0.01 for p in params]
    norm = torch.cat([(s * g).flatten() for s, g in zip(sizes, gradients, strict=True)]).norm()
    uphill = [p.detach() + 0.3 * s**2 * g / norm for p, s, g in zip(params, sizes, gradients, strict=True)]
    seen: list[list[torch.Tensor]] = []
    optimizer.step(closure_of(optimizer, loss, seen))
    torch.testing.assert_close(seen[1], uphill, rtol=1e-9, atol=1e-12)


def test_the_parameters_come_back_exactly_before_the_step():
    params, loss = problem()
    start = [p.detach().clone() for p in params]
    optimizer = optim.SGD(params, lr=0.0, sam=0.5)
    seen: list[list[torch.Tensor]] = []
    optimizer.step(closure_of(optimizer, loss, seen))
    assert len(seen) == 2
    assert all(torch.equal(a, b) for a, b in zip(seen[0], start, strict=True))
    assert not torch.equal(seen[1][0], start[0])
    assert all(torch.equal(p.detach(), b) for p, b in zip(params, start, strict=True))
    assert not any("origin" in state for state in optimizer.state.values())


def test_the_parameters_come_back_when_the_closure_fails_uphill():
    params, loss = problem()
    start = [p.detach().clone() for p in params]
    optimizer = optim.SGD(params, lr=0.1, sam=0.5)
    calls = []

    def failing():
        calls.append(None)
        if len(calls) == 2:
            raise RuntimeError("out of data")
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    with pytest.raises(RuntimeError, match="out of data"):
        optimizer.step(failing)
    assert all(torch.equal(p.detach(), b) for p, b in zip(params, start, strict=True))


def test_only_groups_that_ask_for_it_climb():
    params, loss = problem()
    start = [p.detach().clone() for p in params]
    optimizer = optim.SGD([{"params": params[:1], "sam": 0.5}, {"params": params[1:]}], lr=0.1)
    seen: list[list[torch.Tensor]] = []
    optimizer.step(closure_of(optimizer, loss, seen))
    assert torch.equal(seen[1][1], start[1])
    assert torch.linalg.vector_norm(seen[1][0] - start[0]).item() == pytest.approx(0.5, rel=1e-9)


def test_a_step_without_a_closure_is_refused_and_uphill_stands_for_it():
    params, loss = problem()
    other, other_loss = problem()
    optimizer, second = optim.SGD(params, lr=0.1, sam=0.3), optim.SGD(other, lr=0.1, sam=0.3)
    loss().backward()
    with pytest.raises(InputError, match=r"sam takes a second gradient: call step\(closure\)"):
        optimizer.step()
    for _ in range(2):
        second.step(closure_of(second, other_loss))
        closure = closure_of(optimizer, loss)
        closure()
        optimizer.uphill(closure)
        optimizer.step()
        torch.testing.assert_close(params, other)
    with pytest.raises(InputError, match="sam takes a second gradient"):
        optimizer.step()


def test_a_gradient_scaler_goes_with_uphill():
    """The climb does not depend on the gradients' scale; a step whose gradients overflow is left out."""
    params, loss = problem()
    other, other_loss = problem()
    optimizer, second = optim.SGD(params, lr=0.1, sam=0.3), optim.SGD(other, lr=0.1, sam=0.3)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)

    def scaled():
        optimizer.zero_grad()
        scaler.scale(loss()).backward()

    scaled()
    optimizer.uphill(scaled)
    scaler.step(optimizer)
    scaler.update()
    second.step(closure_of(second, other_loss))
    torch.testing.assert_close(params, other, rtol=1e-9, atol=1e-11)
    before = [p.detach().clone() for p in params]
    scaled()
    params[0].grad[0, 0] = torch.inf
    optimizer.uphill(scaled)
    scaler.step(optimizer)
    scaler.update()
    assert all(torch.equal(p.detach(), b) for p, b in zip(params, before, strict=True))


def test_sam_composes_with_what_is_done_to_gradients_and_weights():
    params, loss = problem()
    other, other_loss = problem()
    ours = optim.AdamW(params, lr=0.1, sam=0.3, clip_norm=0.2, ema=0.9)
    theirs = pytorch_optimizer.SAM(other, torch.optim.AdamW, rho=0.3, lr=0.1, weight_decay=1e-2)
    for _ in range(4):
        ours.step(closure_of(ours, loss))
        closure_of(theirs, other_loss)()
        theirs.first_step(zero_grad=True)
        other_loss().backward()
        torch.nn.utils.clip_grad_norm_(other, 0.2)
        theirs.second_step()
        torch.testing.assert_close(params, other, rtol=1e-6, atol=1e-8)
    assert "average" in ours.state[params[0]]
