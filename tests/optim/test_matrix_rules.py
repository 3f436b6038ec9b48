"""What a user of the rules for matrices relies on: which rule steps what, states, types, and Muon as PyTorch has it."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

import pytest
import torch

from fallline import InputError, optim
from fallline.kernels import cost, equation
from fallline.rules import REGISTRY, get, rule, shaped
from fallline.rules.families.muon import VOCABULARY
from fallline.rules.rule import is_built_in

RULES = sorted(r.name for r in REGISTRY.values() if is_built_in(r) and r.otherwise is not None and not r.by_units)
"""Those that step matrices otherwise than the rest, for their own sake and not a modifier's."""


def parameters(*shapes, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(s, generator=generator, dtype=torch.float64).to(dtype).requires_grad_() for s in shapes]


def take(optimizer, params, steps=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        for p in params:
            p.grad = torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p.dtype)
        optimizer.step()


def state_shapes(optimizer, p):
    return {name: tuple(s.shape) for name, s in optimizer.state[p].items() if isinstance(s, torch.Tensor)}


@pytest.mark.parametrize("name", RULES)
def test_every_kind_of_tensor_is_stepped(name):
    shapes = [(), (7,), (4, 5), (9, 3), (3, 2, 2, 2), (1, 4), (4, 1), (0, 3)]
    params = parameters(*shapes)
    before = [p.detach().clone() for p in params]
    take(optim.optimizer(name, params), params)
    for p, start in zip(params, before, strict=True):
        assert p.isfinite().all()
        assert not p.numel() or not torch.equal(p, start)


@pytest.mark.parametrize("name", RULES)
def test_zero_gradients_are_no_trouble(name):
    params = parameters((4, 5), (7,))
    optimizer = optim.optimizer(name, params)
    for p in params:
        p.grad = torch.zeros_like(p)
    for _ in range(2):
        optimizer.step()
    assert all(p.isfinite().all() for p in params)
    take(optimizer, params)
    assert all(p.isfinite().all() for p in params)


HALF = [(name, (torch.bfloat16, torch.float16)[k % 2]) for k, name in enumerate(RULES)]
"""Every rule in one of the types, either type with rules of every sort."""


@pytest.mark.parametrize(("name", "dtype"), [*HALF, ("muon", torch.float16)])
def test_half_types_are_computed_in_single_precision(name, dtype):
    """One step, from states at their start, gives what single precision gives, rounded."""
    half = parameters((6, 8), (5,), dtype=dtype)
    whole = [p.detach().float().requires_grad_() for p in half]
    a, b = optim.optimizer(name, half), optim.optimizer(name, whole)
    for p, q in zip(half, whole, strict=True):
        q.grad = torch.randn(q.shape, generator=torch.Generator().manual_seed(1)).to(dtype).float()
        p.grad = q.grad.to(dtype)
    a.step()
    b.step()
    for p, q in zip(half, whole, strict=True):
        assert torch.equal(p, q.to(dtype))


@pytest.mark.parametrize("name", RULES)
def test_a_checkpoint_goes_on_as_the_run_would_have(name):
    params = parameters((4, 5), (6,), (3, 2, 2, 2))
    optimizer = optim.optimizer(name, params)
    take(optimizer, params)
    copies = [p.detach().clone().requires_grad_() for p in params]
    other = optim.optimizer(name, copies)
    other.load_state_dict(deepcopy(optimizer.state_dict()))
    take(optimizer, params, seed=1)
    take(other, copies, seed=1)
    for p, q in zip(params, copies, strict=True):
        assert torch.equal(p, q)


@pytest.mark.parametrize("name", RULES)
def test_complex_matrices_are_refused_at_once(name):
    with pytest.raises(InputError, match="takes no complex matrices"):
        optim.optimizer(name, [torch.zeros(3, 4, dtype=torch.complex64, requires_grad=True)])


@pytest.mark.parametrize("name", RULES)
def test_the_sheet_and_the_equation_are_there(name):
    assert cost(get(name)).states >= 1
    assert any("return" in line or "=" in line for line in equation(get(name), "text"))


def test_vectors_embeddings_and_element_wise_groups_are_adamws():
    matrix, vector, embedding, head = parameters((4, 5), (6,), (VOCABULARY + 1, 2), (5, 3))
    groups = [{"params": [matrix, vector, embedding]}, {"params": [head], "elementwise": True}]
    optimizer = optim.optimizer("muon", groups)
    twins = [p.detach().clone().requires_grad_() for p in (vector, embedding, head)]
    adamw = torch.optim.AdamW(twins, lr=1e-3, weight_decay=0.1)
    take(optimizer, [vector, embedding, head])
    take(adamw, twins)
    torch.testing.assert_close([vector, embedding, head], twins, rtol=1e-12, atol=1e-12)


def test_tensors_of_more_dimensions_are_matrices_of_their_first():
    for name in ("muon", "scion", "sm3", "shampoo", "soap", "galore"):
        (kernel,) = parameters((4, 3, 2, 2))
        flat = kernel.detach().reshape(4, 12).clone().requires_grad_()
        take(optim.optimizer(name, [kernel]), [kernel])
        take(optim.optimizer(name, [flat]), [flat])
        torch.testing.assert_close(kernel.reshape(4, 12), flat, rtol=1e-12, atol=1e-12)


def test_factors_are_as_small_as_they_say():
    p, q = parameters((6, 10), (2, 6, 10))
    optimizer = optim.optimizer("adafactor", [p, q])
    take(optimizer, [p, q])
    assert state_shapes(optimizer, p) == {"r": (6, 1), "c": (1, 10)}
    assert state_shapes(optimizer, q) == {"r": (2, 6, 1), "c": (2, 1, 10)}


def test_a_projections_rank_is_at_most_the_smaller_side():
    p, q = parameters((4, 50), (50, 30))
    optimizer = optim.optimizer("galore", [p, q], rank=8)
    take(optimizer, [p, q])
    assert state_shapes(optimizer, p) == {"m": (4, 50), "v": (4, 50), "q": (4, 4)}
    assert state_shapes(optimizer, q) == {"m": (8, 50), "v": (8, 50), "q": (30, 8)}


@pytest.mark.parametrize("name", ["shampoo", "soap", "psgd"])
def test_a_long_side_keeps_a_diagonal(name):
    (p,) = parameters((40, 3))
    optimizer = optim.optimizer(name, [p], max_precondition_dim=10)
    take(optimizer, [p], steps=12)
    sides = [shape for state, shape in state_shapes(optimizer, p).items() if state not in ("m", "v")]
    assert set(sides) == {(40, 1), (3, 3)}
    assert p.isfinite().all()


def test_shampoo_of_a_long_side_divides_its_rows_by_their_own_root():
    (p,) = parameters((5, 1))
    start, g = p.detach().clone(), torch.arange(1.0, 6.0, dtype=torch.float64).unsqueeze(1)
    p.grad = g
    optim.optimizer("shampoo", [p], lr=1.0, eps=0.0, max_precondition_dim=2).step()
    torch.testing.assert_close(start - p.detach(), g / (g**2) ** 0.25 / (g**2).sum() ** 0.25)


def test_soap_rotates_its_moments_only_as_often_as_asked():
    (p,) = parameters((4, 5))
    optimizer = optim.optimizer("soap", [p], precondition_frequency=3, weight_decay=0.0)
    start, bases = p.detach().clone(), []
    for step in range(7):
        take(optimizer, [p], steps=1, seed=step)
        bases.append(optimizer.state[p]["q_l"].clone())
        if not step:
            assert torch.equal(p, start)
    changed = [not torch.equal(a, b) for a, b in pairwise(bases)]
    assert changed == [False, False, True, False, False, True]


def test_scion_chooses_the_norm_by_the_kind_of_layer():
    matrix, bias, head = parameters((6, 4), (5,), (3, 8))
    before = [p.detach().clone() for p in (matrix, bias, head)]
    groups = [{"params": [matrix, bias]}, {"params": [head], "elementwise": True}]
    optimizer = optim.optimizer("scion_unconstrained", groups, lr=0.1, radius=2.0)
    take(optimizer, [matrix, bias, head], steps=1)
    steps = [(a - p.detach()) / 0.2 for a, p in zip(before, (matrix, bias, head), strict=True)]
    singular = torch.linalg.svdvals(steps[0]) / (6 / 4) ** 0.5
    assert ((singular > 0.6) & (singular < 1.3)).all()
    assert steps[1].square().mean().item() == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(steps[2], head.grad.sign() / 8)


def test_constrained_scion_stays_in_its_ball():
    (p,) = parameters((5, 5))
    optimizer = optim.optimizer("scion", [p], lr=0.1, radius=3.0)
    take(optimizer, [p], steps=200)
    assert torch.linalg.matrix_norm(p.detach(), 2) <= 3.0 * 1.3


def test_apollo_lets_its_steps_grow_slowly():
    (p,) = parameters((4, 5))
    optimizer = optim.optimizer("apollo_adamw", [p], lr=1.0)
    lengths = []
    for step in range(6):
        before = p.detach().clone()
        p.grad = 10.0**step * torch.ones_like(p)
        optimizer.step()
        lengths.append((p.detach() - before).norm().item())
    assert all(b <= 1.01 * a * (1 + 1e-9) for a, b in pairwise(lengths))


def test_random_probes_are_the_same_in_every_run_and_differ_between_parameters():
    def run(**settings):
        params = parameters((4, 5), (4, 5), (3,))
        take(optim.optimizer("psgd", params, **settings), params, steps=5)
        return params

    assert all(torch.equal(a, b) for a, b in zip(run(), run(), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(run(), run(seed=1), strict=True))
    p, q = (torch.ones(4, 5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    optimizer = optim.optimizer("psgd", [p, q])
    p.grad = q.grad = torch.ones_like(p)
    optimizer.step()
    assert not torch.equal(optimizer.state[p]["q_l"], optimizer.state[q]["q_l"])


def test_psgds_factors_are_brought_to_one_size_and_their_product_stays():
    (p,) = parameters((3, 6))
    optimizer = optim.optimizer("psgd", [p], precondition_frequency=1000)
    take(optimizer, [p], steps=99)
    left, right = (optimizer.state[p][name].clone() for name in ("q_l", "q_r"))
    take(optimizer, [p], steps=1)
    after = [optimizer.state[p][name] for name in ("q_l", "q_r")]
    assert left.abs().max() != right.abs().max()
    torch.testing.assert_close(after[0].abs().max(), after[1].abs().max())
    torch.testing.assert_close(torch.kron(*after), torch.kron(left, right))


def test_settings_that_are_counts_are_whole():
    (p,) = parameters((4, 5))
    with pytest.raises(InputError, match=r"rank=2.5 is not allowed for GaLore; allowed: a whole number, at least 1"):
        optim.GaLore([p], rank=2.5)
    with pytest.raises(InputError, match=r"beta2_decay=0.5 is not allowed for Adafactor; allowed: at most 0"):
        optim.Adafactor([p], beta2_decay=0.5)
    with pytest.raises(InputError, match=r"adjust_lr_fn='adam' is not allowed for Muon; allowed: None, 'original'"):
        optim.Muon([p], adjust_lr_fn="adam")


@pytest.mark.parametrize("adjust", [None, "match_rms_adamw"])
def test_muon_in_single_precision_goes_where_pytorchs_goes(adjust):
    """Both iterate in bfloat16, whose rounding tells them apart by little."""
    ours = parameters((128, 96), (96, 192), (8, 20), dtype=torch.float32)
    theirs = [p.detach().clone().requires_grad_() for p in ours]
    starts = [p.detach().clone() for p in ours]
    take(optim.Muon(ours, adjust_lr_fn=adjust), ours, steps=10)
    take(torch.optim.Muon(theirs, adjust_lr_fn=adjust), theirs, steps=10)
    for start, p, q in zip(starts, ours, theirs, strict=True):
        assert (p - q).norm() < 0.01 * (q - start).norm()


def test_adafactors_rounding_error_is_that_of_the_parameters_type():
    """`torch.optim` takes it as a floor of the squared gradients: visible where these are tiny."""
    for dtype in (torch.float32, torch.float64):
        p, q = (torch.ones(4, 5, dtype=dtype, requires_grad=True) for _ in range(2))
        a, b = optim.Adafactor([p]), torch.optim.Adafactor([q])
        p.grad = 1e-9 * torch.ones_like(p)
        q.grad = p.grad.clone()
        a.step()
        b.step()
        torch.testing.assert_close(1 - p.detach(), 1 - q.detach(), rtol=1e-5, atol=0)


def test_a_rule_whose_name_starts_with_an_underscore_is_a_part_of_others():
    @rule
    def _rest(p, g, *, t, lr=0.1):
        return p - lr * g

    with pytest.raises(InputError, match="unknown rule '_rest'"):
        get("_rest")


def test_shapes_of_states_say_what_they_hold():
    assert shaped("rows", "rows", limit=4).shape((5, 3), {}) == (5, 1)
    assert shaped("columns", "columns", limit="most").shape((5, 3), {"most": 3.0}) == (3, 3)
    assert shaped("rank", "larger").shape((7, 5, 3), {"rank": 4.0}) == (7, 3, 5)
