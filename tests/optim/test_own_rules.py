"""A rule of a user's own gets what every built-in rule gets, without another line."""

from __future__ import annotations

import copy
import io
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from fallline import InputError, optim
from fallline.kernels import cost
from fallline.rules import get, modifiers
from fallline.rules.storage import Storage
from tests.kernels.executors import forms, text_alone

from .own import ELEMENTS, MATRICES

each = pytest.mark.parametrize("rule", [ELEMENTS, MATRICES], ids=["elements", "matrices"])


def small_model(dtype=torch.float32):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)).to(dtype)


def loss_of(net, seed):
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(seed)).to(net[0].weight.dtype)
    return (net(x) - x.flip(1)).square().mean()


def train(net, optimizer, steps=4, first=0):
    for seed in range(first, first + steps):
        optimizer.zero_grad()
        loss_of(net, seed).backward()
        optimizer.step()
    return [p.detach().clone() for p in net.parameters()]


def same(one, two):
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@each
def test_it_is_compiled_and_does_what_its_text_says(rule):
    p, g = torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(0))
    q = p.clone().requires_grad_()
    optimizer = optim.optimizer(rule, [q], lr=0.1)
    states = [torch.zeros(4, 4), torch.eye(4) if rule is MATRICES else torch.zeros(4, 4)]
    for step in range(1, 4):
        q.grad = g * step
        optimizer.step()
        p, *states = rule(p, g * step, *states, t=step, lr=0.1)
    assert None not in forms(optimizer)
    torch.testing.assert_close(q.detach(), p, rtol=1e-5, atol=1e-6)


def test_modifiers_are_compiled_into_as_few_passes_as_around_a_built_in_rule_with_its_states():
    assert cost(ELEMENTS).bytes_per_parameter == cost(get("adam")).bytes_per_parameter == 28
    averaged = modifiers.ema(modifiers.clip_norm(ELEMENTS))
    assert cost(averaged).sweeps == cost(get("ema(clip_norm(adam))")).sweeps
    assert len(cost(averaged).sweeps) == 2
    assert cost(MATRICES).states == 2


def test_rows_that_a_sparse_gradient_names_are_stepped_and_no_others():
    whole = torch.randn(10, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    part, before = whole.detach()[2:5].clone().requires_grad_(), whole.detach().clone()
    one, two = (optim.optimizer(ELEMENTS, [p], weight_decay=0.1) for p in (whole, part))
    for step in range(4):
        part.grad = torch.linspace(-1, 1, 12).view(3, 4) * (step + 1)
        rows, values = torch.tensor([[3, 2, 4]]), part.grad[[1, 0, 2]]
        whole.grad = torch.sparse_coo_tensor(rows, values, (10, 4), check_invariants=True)
        one.step()
        two.step()
    assert torch.equal(whole[2:5], part)
    assert torch.equal(whole[5:], before[5:])
    assert torch.equal(whole[:2], before[:2])


def test_a_table_is_left_to_the_rule_for_the_rest():
    table = nn.Embedding(10, 4, sparse=True)
    before = table.weight.detach().clone()
    for group, refused in (({}, True), ({"elementwise": True}, False)):
        optimizer = optim.optimizer(MATRICES, [{"params": table.parameters(), **group}])
        table.zero_grad()
        table(torch.tensor([1, 5])).square().sum().backward()
        if refused:
            with pytest.raises(InputError, match="put the parameter in a group with elementwise=True"):
                optimizer.step()
        else:
            optimizer.step()
        changed = (table.weight != before).any(1).nonzero().flatten().tolist()
        assert changed == ([] if refused else [1, 5])


@each
def test_steps_in_the_backward_pass_are_the_ordinary_ones(rule):
    plain, inside = small_model(), small_model()
    one, two = (optim.optimizer(rule, net.parameters()) for net in (plain, inside))
    optim.in_backward(two)
    # matrices of one shape are stacked in the ordinary step: their products may be rounded otherwise
    within = {"rtol": 0, "atol": 0} if rule is ELEMENTS else {"rtol": 1e-4, "atol": 1e-6}
    torch.testing.assert_close(train(plain, one), train(inside, two), **within)
    assert all(p.grad is None for p in inside.parameters())


@each
def test_a_loss_scale_leaves_out_the_steps_whose_gradients_are_not_finite(rule):
    spoiled, net, reference = {1, 2}, small_model(), small_model()
    optimizer, plain = (optim.optimizer(rule, each.parameters()) for each in (net, reference))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    for seed in range(5):
        optimizer.zero_grad()
        scaler.scale(loss_of(net, seed)).backward()
        if seed in spoiled:
            net[0].weight.grad[0, 0] = torch.inf
        else:
            train(reference, plain, 1, first=seed)
        scaler.step(optimizer)
        scaler.update()
    assert same(net.parameters(), reference.parameters())  # a scale is a power of two
    assert {state["step"] for state in optimizer.state.values()} == {3}


def test_complex_vectors_are_stepped_by_their_parts_and_complex_matrices_refused():
    torch.manual_seed(0)
    p = torch.randn(6, dtype=torch.complex64).requires_grad_()
    q = torch.view_as_real(p.detach()).clone().requires_grad_()
    one, two = (optim.optimizer(ELEMENTS, [x]) for x in (p, q))
    for _ in range(3):
        p.grad = torch.randn(6, dtype=torch.complex64)
        q.grad = torch.view_as_real(p.grad).clone()
        one.step()
        two.step()
    torch.testing.assert_close(torch.view_as_real(p.detach()), q.detach())
    with pytest.raises(InputError, match="OwnTurned takes no complex matrices"):
        optim.optimizer(MATRICES, [torch.ones(3, 4, dtype=torch.complex64, requires_grad=True)])


def test_what_may_be_kept_in_eight_bits_is_told_from_the_text():
    assert modifiers.state_8bit(ELEMENTS).storage == {"m": Storage.CODES, "v": Storage.CODES_OF_SIZES}
    assert modifiers.state_8bit(MATRICES).storage == {"m": Storage.CODES}  # the other has a shape of its own


@pytest.mark.parametrize(
    ("rule", "executor"), [(ELEMENTS, nullcontext), (MATRICES, text_alone)], ids=["elements", "matrices_by_text"]
)
def test_states_in_eight_bits_lead_near_to_where_whole_ones_do(rule, executor):
    ends = []
    for settings in ({}, {"state_8bit": True}):
        generator = torch.Generator().manual_seed(0)
        p = torch.randn(64, 64, generator=generator).requires_grad_()
        start = p.detach().clone()
        optimizer = optim.optimizer(rule, [p], **settings)
        for _ in range(20):
            p.grad = p.detach() - 0.5 + 0.1 * torch.randn(64, 64, generator=generator)
            with executor():
                optimizer.step()
        ends.append(p.detach())
        assert (optimizer.state[p]["m"].dtype is torch.uint8) == bool(settings)
    assert (ends[1] - ends[0]).norm() < 0.2 * (ends[0] - start).norm()


@pytest.mark.parametrize("setting", ["kahan_sum", "stochastic_rounding"])
def test_weights_in_bfloat16_alone_lose_no_step(setting):
    plain, careful = (torch.ones(32, 32, dtype=torch.bfloat16, requires_grad=True) for _ in range(2))
    for p, settings in ((plain, {}), (careful, {setting: True})):
        optimizer = optim.optimizer(ELEMENTS, [p], lr=1e-4, **settings)
        for _ in range(300):
            p.grad = torch.ones_like(p)
            optimizer.step()
    assert (plain == 1).all()
    assert careful.double().mean().item() == pytest.approx(1 - 300 * 1e-4, abs=6e-3)


@each
def test_a_checkpoint_goes_on_as_the_run_would_have(rule):
    net, other = small_model(), small_model()
    one, two = (optim.optimizer(rule, each.parameters()) for each in (net, other))
    train(net, one)
    file = io.BytesIO()
    torch.save({"model": net.state_dict(), "optimizer": one.state_dict()}, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    other.load_state_dict(loaded["model"])
    two.load_state_dict(loaded["optimizer"])
    assert same(train(net, one, first=4), train(other, two, first=4))


@each
def test_a_checkpoint_is_cast_to_the_parameters_and_one_of_another_rule_is_refused(rule):
    net = small_model()
    optimizer = optim.optimizer(rule, net.parameters())
    train(net, optimizer, 2)
    saved = copy.deepcopy(optimizer.state_dict())
    abroad = optim.optimizer(rule, small_model(torch.float64).to("meta").parameters())
    abroad.load_state_dict(saved)
    for p, state in abroad.state.items():
        held = [value for value in state.values() if isinstance(value, torch.Tensor)]
        assert len(held) == 2
        assert {(value.dtype, value.device) for value in held} == {(p.dtype, p.device)}
    with pytest.raises(InputError, match="of another rule"):
        optim.Adam(net.parameters()).load_state_dict(saved)
