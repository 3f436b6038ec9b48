"""States in eight bits and in bfloat16, and weights in bfloat16 alone: small, exact where it counts, and as good."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fallline import InputError, RuleError, optim
from fallline.kernels.formats import decoded
from fallline.kernels.storage import SMALLEST, in_memory
from fallline.rules import REGISTRY, get
from fallline.rules.bounds import never_negative
from fallline.rules.storage import Storage, storable
from tests.child import Child
from tests.kernels.executors import text_alone

CODES, SIZES = Storage.CODES, Storage.CODES_OF_SIZES
LOW = ["state_8bit", "state_bfloat16"]


def weights(*shapes: tuple[int, ...], dtype=torch.float32, seed=0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator).to(dtype)) for shape in shapes]


def noisy_steps(optimizer, params, steps, seed=1, noise=1.0):
    """Steps on the squares of the parameters' distance to 0.5, with noise in the gradients."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        for p in params:
            g = p.detach().float() - 0.5 + noise * torch.randn(p.shape, generator=generator)
            p.grad = g.to(p.dtype)
        optimizer.step()
    return [p.detach().clone() for p in params]


def state_bytes(optimizer, p) -> int:
    return sum(value.nbytes for value in optimizer.state[p].values() if isinstance(value, torch.Tensor))


# --- which states


KEPT = {
    "adam": {"m": CODES, "v": SIZES},
    "amsgrad": {"m": CODES, "v": SIZES, "v_max": SIZES},
    "adamax": {"m": CODES, "u": SIZES},
    "yogi": {"m": CODES, "v": SIZES},
    "momentum": {"v": CODES},
    "lion": {"m": CODES},
    "muon": {"m": CODES},
    "ranger": {"m": CODES, "v": SIZES},
    "schedule_free_adamw": {"v": SIZES},
    "madgrad": {"nu": SIZES},
    "adafactor_momentum": {"m": CODES},
    "rmsprop_centered_momentum": {"b": CODES},
    "sophia": {"m": CODES, "h": CODES},
    "ema(lookahead(accumulate(adam)))": {"m": CODES, "v": SIZES, "g_sum": CODES},
}


@pytest.mark.parametrize("name", KEPT)
def test_what_is_made_of_gradients_is_kept_in_eight_bits_and_weights_are_not(name):
    assert get(
        f"state_8bit({name})" if "(" not in name else name.replace("ema(", "ema(state_8bit(", 1) + ")"
    ).storage == {**KEPT[name]}


@pytest.mark.parametrize("name", ["sgd", "asgd", "rmsprop_centered", "schedule_free_sgd", "dadapt_sgd", "accsgd"])
@pytest.mark.parametrize("modifier", LOW)
def test_a_rule_without_such_states_is_refused(modifier, name):
    with pytest.raises(RuleError, match="no state that could be kept so"):
        get(f"{modifier}({name})")


def test_a_rule_for_matrices_and_its_other_are_kept_alike():
    rule = get("state_8bit(muon)")
    assert rule.otherwise.storage == {"m": CODES, "v": SIZES}
    assert get("state_8bit(galore)").storage == {}  # its moments have a shape of their own
    assert get("state_8bit(galore)").otherwise.storage == {"m": CODES, "v": SIZES}


def test_the_innermost_storage_holds():
    assert get("state_bfloat16(accumulate(state_8bit(adam)))").storage == {
        "m": CODES,
        "v": SIZES,
        "g_sum": Storage.BFLOAT16,
    }
    with pytest.raises(RuleError, match=r"state_bfloat16\(state_8bit\(adamw\)\): the rule has no state that could"):
        get("state_bfloat16(state_8bit(adamw))")


def test_what_compensates_for_rounding_is_not_rounded_itself():
    for name in ("state_8bit(kahan(adamw))", "kahan(state_8bit(adamw))"):
        assert get(name).storage == {"m": CODES, "v": SIZES}


ELEMENTWISE = sorted(name for name, rule in REGISTRY.items() if rule.otherwise is None and not rule.shapes)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_states_that_are_said_to_be_never_negative_are_not(name):
    """By the text: that kernels of such rules follow it is what tests/kernels is about."""
    rule = REGISTRY[name]
    found = never_negative(rule)
    generator = torch.Generator().manual_seed(0)
    p = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    optimizer = optim.optimizer(rule, [q := nn.Parameter(p)])
    with text_alone():
        for step in range(12):
            q.grad = torch.randn(6, 4, generator=generator, dtype=torch.float64) * (step % 4)
            if "hutchinson" in rule.states:
                optimizer.state[q]["hutchinson"] = torch.randn(6, 4, generator=generator, dtype=torch.float64)
            optimizer.step()
            for state in found:
                assert (optimizer.state[q][state] >= 0).all()
    divisors = {"v", "s", "u", "v_max", "nu", "n"} & set(storable(rule))
    signed = {"momentum", "classical_momentum", "nesterov", "nesterov_lookahead", "sgdw", "lars", "sgdp", "adan"}
    if name not in signed and name not in ("dadapt_adam", "prodigy"):
        assert divisors <= found


# --- in an optimizer


@pytest.mark.parametrize("modifier", LOW)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_adam_keeps_as_many_bytes_as_it_says(modifier, dtype):
    (p,) = weights((300, 256), dtype=dtype)
    optimizer = optim.AdamW([p], **{modifier: True})
    noisy_steps(optimizer, [p], 1)
    count = p.numel()
    assert (
        state_bytes(optimizer, p) == {"state_8bit": 2 * (count + count // 256), "state_bfloat16": 4 * count}[modifier]
    )


def test_small_tensors_double_precision_and_complex_numbers_keep_all():
    small, double, complex_one = (
        nn.Parameter(torch.ones(SMALLEST - 1)),
        *(nn.Parameter(torch.ones(SMALLEST, dtype=dtype)) for dtype in (torch.float64, torch.complex64)),
    )
    large = nn.Parameter(torch.ones(SMALLEST))
    optimizer = optim.Adam([small, double, complex_one, large], state_8bit=True)
    for p in (small, double, complex_one, large):
        p.grad = torch.ones_like(p)
    optimizer.step()
    assert [optimizer.state[p]["exp_avg"].dtype for p in (small, double, complex_one)] == [
        torch.float32,
        torch.float64,
        torch.complex64,
    ]
    assert optimizer.state[large]["exp_avg"].dtype is torch.uint8


def test_a_parameter_with_sparse_gradients_keeps_all():
    embedding = nn.Embedding(100, 64, sparse=True)
    optimizer = optim.SparseAdam(embedding.parameters(), state_8bit=True)
    for _ in range(2):
        optimizer.zero_grad()
        embedding(torch.tensor([1, 5])).sum().backward()
        optimizer.step()
    state = optimizer.state[embedding.weight]
    assert state["exp_avg"].dtype is torch.float32
    assert (state["exp_avg"] != 0).any(1).nonzero().flatten().tolist() == [1, 5]


@pytest.mark.parametrize("name", ["adamw", "amsgrad", "momentum", "lion", "adamax", "muon", "lamb", "yogi"])
@pytest.mark.parametrize("modifier", LOW)
def test_a_path_stays_near_that_of_whole_states(modifier, name):
    (whole,), (low,) = weights((80, 64)), weights((80, 64))
    settings = {"lr": 1e-2}
    noisy_steps(optim.optimizer(name, [whole], **settings), [whole], 60)
    noisy_steps(optim.optimizer(f"{modifier}({name})", [low], **settings), [low], 60)
    (start,) = weights((80, 64))
    way, apart = (whole - start).norm(), (low - whole).norm()
    assert apart < {"state_8bit": 0.2, "state_bfloat16": 0.05}[modifier] * way


def test_second_moments_follow_gradients_that_shrink_which_rounding_to_nearest_would_not():
    """With beta2=0.999 a step takes a thousandth of what is kept, and a last place is sixty times that."""
    params = {low: weights((64, 64))[0] for low in ("", *LOW)}
    for low, p in params.items():
        optimizer = optim.Adam([p], lr=0.0, **({low: True} if low else {}))
        generator = torch.Generator().manual_seed(0)
        for step in range(1500):
            size = 1.0 if step < 100 else 0.1
            p.grad = size * torch.randn(64, 64, generator=generator)
            optimizer.step()
        state = optimizer.state[p]
        v = state["exp_avg_sq"].float()
        if low == "state_8bit":
            v = decoded(in_memory(state["exp_avg_sq"]), state["exp_avg_sq_scale"], signed=False).view(64, 64)
        params[low] = v
    for low in LOW:
        ratio = params[low] / params[""]
        assert 0.95 < ratio.mean() < 1.05
        assert 0.9 < ratio.median() < 1.1
        assert ratio.min() > 0.2
        assert ratio.max() < 4


def test_a_gradient_far_smaller_than_its_neighbours_takes_no_longer_steps():
    """A second moment that was rounded to zero would divide by epsilon alone."""
    (p,) = weights((64, 64))
    before = p.detach().clone()
    optimizer = optim.Adam([p], lr=1e-3, state_8bit=True)
    for _ in range(30):
        p.grad = torch.full((64, 64), 1e-6)
        p.grad[:, 0] = 100.0
        optimizer.step()
    assert (p - before).abs().max() < 30 * 1e-3 * 1.2


def test_two_runs_give_the_same_bits_and_another_parameter_draws_otherwise():
    paths = []
    for _ in range(2):
        params = weights((64, 80), (64, 80))
        params[1].data.copy_(params[0].data)
        optimizer = optim.AdamW(params, state_8bit=True)
        for _ in range(5):
            for p in params:
                p.grad = torch.full_like(p, 0.3) + p.detach()
            optimizer.step()
        paths.append([p.detach().clone() for p in params])
    assert torch.equal(paths[0][0], paths[1][0])
    assert torch.equal(paths[0][1], paths[1][1])
    assert not torch.equal(paths[0][0], paths[0][1])


def test_codes_follow_a_parameter_that_lies_in_memory_otherwise():
    generator = torch.Generator().manual_seed(0)
    plain = torch.randn(16, 8, 8, 8, generator=generator)
    p, q = nn.Parameter(plain.clone()), nn.Parameter(plain.clone().to(memory_format=torch.channels_last))
    for one in (p, q):
        optimizer = optim.AdamW([one], lr=1e-2, state_8bit=True)
        noisy_steps(optimizer, [one], 10)
    assert (p - q).abs().max() < 0.05
    assert not torch.equal(p, q)  # other blocks, other roundings


# --- weights in bfloat16


def drifted(dtype, steps=1000, **settings):
    """A weight of one with a gradient of one, and a step of 1e-4: half a last place of bfloat16 below one is 2e-3."""
    p = nn.Parameter(torch.ones(64, 64, dtype=dtype))
    optimizer = optim.SGD([p], lr=1e-4, **settings)
    for _ in range(steps):
        p.grad = torch.ones_like(p)
        optimizer.step()
    return p.detach().double(), optimizer


def test_bfloat16_alone_stalls_where_random_rounding_and_compensation_do_not():
    (exact, _), (plain, _) = drifted(torch.float64), drifted(torch.bfloat16)
    assert exact.mean() == pytest.approx(0.9)
    assert (plain == 1).all()
    rounded, _ = drifted(torch.bfloat16, stochastic_rounding=True)
    assert rounded.mean() == pytest.approx(0.9, abs=1e-3)
    assert 0 < rounded.std() < 0.03
    compensated, optimizer = drifted(torch.bfloat16, kahan_sum=True)
    (state,) = optimizer.state.values()
    assert state["compensation"].dtype is torch.bfloat16
    assert (compensated - 0.9).abs().max() < 4e-3
    assert (compensated + state["compensation"].double() - 0.9).abs().max() < 1e-3


@pytest.mark.parametrize("setting", ["stochastic_rounding", "kahan_sum"])
def test_adam_in_bfloat16_alone_ends_where_float64_does(setting):
    target = 0.7 + torch.rand(64, 64, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    ends = {}
    for name, dtype, settings in (
        ("float64", torch.float64, {}),
        ("plain", torch.bfloat16, {}),
        ("careful", torch.bfloat16, {setting: True}),
    ):
        p = nn.Parameter(torch.ones(64, 64, dtype=dtype))
        optimizer = optim.Adam([p], lr=5e-4, **settings)
        generator = torch.Generator().manual_seed(4)
        for _ in range(1000):
            g = p.detach().double() - target
            p.grad = (g + 0.1 * torch.randn(64, 64, generator=generator, dtype=torch.float64)).to(dtype)
            optimizer.step()
        ends[name] = (p.detach().double() - target).square().mean()
    assert ends["careful"] < 1.3 * ends["float64"] + 1e-5
    assert ends["plain"] > 5 * ends["careful"]


def test_what_is_drawn_for_weights_depends_on_the_seed():
    one, again, other = (drifted(torch.bfloat16, 50, stochastic_rounding=seed)[0] for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert get("stochastic_rounding(adamw, rounding_seed=3)").defaults["rounding_seed"] == 3


def test_float32_weights_are_left_as_they_are():
    for setting in ("stochastic_rounding", "kahan_sum"):
        (p,), (q,) = weights((64, 64)), weights((64, 64))
        noisy_steps(optim.AdamW([p]), [p], 5)
        noisy_steps(optim.AdamW([q], **{setting: True}), [q], 5)
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-7)


# --- checkpoints


CODED = {"lr": 1e-2, "state_8bit": True, "ema": 0.9}


def go_on(directory: str, _: Any) -> None:
    """Load what was saved there, take five steps and save what they have made."""
    saved = torch.load(f"{directory}/there.pt", weights_only=True)
    p = nn.Parameter(saved["p"])
    optimizer = optim.AdamW([p], **CODED)
    optimizer.load_state_dict(saved["optimizer"])
    torch.save(noisy_steps(optimizer, [p], 5, seed=2)[0], f"{directory}/back.pt")


def test_a_checkpoint_of_codes_goes_on_as_if_nothing_had_been(tmp_path: Path):
    (p,) = weights((70, 64))
    optimizer = optim.AdamW([p], **CODED)
    noisy_steps(optimizer, [p], 5)
    torch.save({"p": p.detach(), "optimizer": optimizer.state_dict()}, tmp_path / "there.pt")
    (wanted,) = noisy_steps(optimizer, [p], 5, seed=2)
    assert Child(go_on, str(tmp_path)).end() == 0
    assert torch.equal(torch.load(tmp_path / "back.pt", weights_only=True), wanted)


@pytest.mark.parametrize("modifier", LOW)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_a_checkpoint_has_numbers_in_bfloat16_which_come_back_and_are_not_shared(dtype, modifier):
    (p,) = weights((64, 80), dtype=dtype)
    optimizer = optim.Adam([p], **{modifier: True})
    noisy_steps(optimizer, [p], 3)
    saved = optimizer.state_dict()
    assert saved["state"][0].keys() == {"step", "exp_avg", "exp_avg_sq"}
    narrow = modifier == "state_8bit" or dtype is not torch.float16
    assert saved["state"][0]["exp_avg"].dtype is (torch.bfloat16 if narrow else dtype)
    other = optim.Adam([p], **{modifier: True})
    other.load_state_dict(saved)
    assert state_bytes(other, p) == state_bytes(optimizer, p)
    torch.testing.assert_close(other.state_dict(), saved, rtol=0, atol=0)
    before = copy.deepcopy(saved["state"][0])
    noisy_steps(other, [p], 1)
    if modifier == "state_8bit":
        torch.testing.assert_close(saved["state"][0], before, rtol=0, atol=0)


def test_a_checkpoint_of_codes_is_loaded_by_torch():
    (p,) = weights((64, 80))
    optimizer = optim.Adam([p], lr=1e-2, state_8bit=True)
    noisy_steps(optimizer, [p], 20)
    theirs = torch.optim.Adam([q := nn.Parameter(p.detach().clone())])
    theirs.load_state_dict(optimizer.state_dict())
    noisy_steps(optimizer, [p], 1, seed=3)
    noisy_steps(theirs, [q], 1, seed=3)
    torch.testing.assert_close(p, q)


def test_hooks_see_numbers_and_the_state_keeps_its_codes():
    (p,) = weights((64, 80))
    optimizer = optim.Adam([p], state_8bit=True)
    noisy_steps(optimizer, [p], 1)
    seen = []
    optimizer.register_state_dict_post_hook(lambda o, saved: seen.append(saved["state"][0]["exp_avg"].dtype))
    optimizer.state_dict()
    assert seen == [torch.bfloat16]
    assert optimizer.state[p]["exp_avg"].dtype is torch.uint8


@pytest.mark.parametrize("modifier", LOW)
def test_a_checkpoint_of_torch_is_coded_at_the_first_step(modifier):
    (p,) = weights((64, 80))
    theirs = torch.optim.Adam([p], lr=1e-2)
    noisy_steps(theirs, [p], 20)
    saved = copy.deepcopy(theirs.state_dict())
    copies = [nn.Parameter(p.detach().clone()) for _ in range(2)]
    plain, low = optim.Adam([copies[0]], lr=1e-2), optim.Adam([copies[1]], lr=1e-2, **{modifier: True})
    for ours, q in zip((plain, low), copies, strict=True):
        ours.load_state_dict(copy.deepcopy(saved))
        noisy_steps(ours, [q], 1, seed=7)
    assert (
        low.state[copies[1]]["exp_avg"].dtype is {"state_8bit": torch.uint8, "state_bfloat16": torch.bfloat16}[modifier]
    )
    assert (copies[0] - copies[1]).abs().mean() < 0.05 * (copies[0] - p).abs().mean()


def test_codes_are_read_by_a_rule_that_keeps_all():
    (p,) = weights((64, 80))
    low = optim.optimizer("state_8bit(adam)", [p], lr=1e-2)
    noisy_steps(low, [p], 20)
    q = nn.Parameter(p.detach().clone())
    whole = optim.optimizer("adam", [q], lr=1e-2)
    whole.load_state_dict(low.state_dict())
    noisy_steps(low, [p], 1, seed=3)
    noisy_steps(whole, [q], 1, seed=3)
    assert set(whole.state[q]) == {"step", "m", "v"}
    assert whole.state[q]["v"].dtype is torch.float32
    torch.testing.assert_close(p, q)  # the same states were read; only what is kept of them differs


def test_codes_in_place_of_numbers_are_refused():
    (p,) = weights((64, 80))
    optimizer = optim.Adam([p], state_8bit=True)
    noisy_steps(optimizer, [p], 1)
    saved = optimizer.state_dict()
    saved["state"][0] = dict(optimizer.state[p])
    with pytest.raises(InputError, match=r"exp_avg is of the type torch\.uint8; Adam loads numbers of floating point"):
        optimizer.load_state_dict(saved)
