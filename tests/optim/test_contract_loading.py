"""Checkpoints: hooks, other types and devices, those of `torch.optim`, and what is refused."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from fallline import InputError, optim
from fallline.rules import REGISTRY, get
from tests.database import TWINS, VARIANTS

# torch's Muon iterates in bfloat16 whatever its parameters are: tests/optim/test_twins.py exchanges its checkpoints
ROWS = {str(twin): twin for twin in [*TWINS.values(), *VARIANTS] if twin.cls != "Muon"}
EXCHANGED = [
    *((row, torch.float32) for row in ROWS),
    *((str(TWINS[name]), torch.bfloat16) for name in ("momentum", "amsgrad", "nadam", "rprop", "asgd", "adafactor")),
]
"""In half precision every kind of state: one or more tensors, numbers, rows and columns; the others keep no further."""
RULES = sorted(REGISTRY)


def model(dtype=torch.float64):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).to(dtype)


def train(model, optimizer, steps=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        x = torch.randn(8, 3, generator=generator).to(model[0].weight.dtype)
        optimizer.zero_grad()
        (model(x) - x[:, :2]).square().mean().backward()
        optimizer.step()
    return [p.detach().clone() for p in model.parameters()]


def trained(module, cls, dtype=torch.float64, **settings):
    made = model(dtype)
    optimizer = getattr(module, cls)(made.parameters(), **settings)
    train(made, optimizer)
    return made, optimizer


@pytest.mark.parametrize(("row", "dtype"), EXCHANGED, ids=str)
def test_a_checkpoint_is_exchanged_with_torch_and_cast_to_the_parameters_type(row, dtype):
    """As with PyTorch: every state but the step takes its parameter's type."""
    twin = ROWS[row]
    for here, there in ((torch.optim, optim), (optim, torch.optim)):
        _, given = trained(here, twin.cls, **twin.settings)
        one, two = model(dtype), model(dtype)
        a, b = (getattr(each, twin.cls)(m.parameters(), **twin.settings) for each, m in ((here, one), (there, two)))
        a.load_state_dict(copy.deepcopy(given.state_dict()))
        b.load_state_dict(copy.deepcopy(given.state_dict()))
        for p in two.parameters():
            held = [
                state for state in b.state[p].values() if isinstance(state, torch.Tensor) and state.shape == p.shape
            ]
            assert {state.dtype for state in held} <= {dtype}
        rtol = {torch.float32: 1e-4, torch.bfloat16: 3e-2}[dtype]
        torch.testing.assert_close(train(one, a, 2), train(two, b, 2), rtol=rtol, atol=rtol)


def test_what_torch_writes_beside_the_settings_comes_back_to_it():
    _, theirs = trained(torch.optim, "AdamW", foreach=False)
    saved = theirs.state_dict()
    saved["param_groups"][0]["capturable"] = True
    made, ours = trained(optim, "AdamW")
    ours.load_state_dict(saved)
    train(made, ours)
    _, again = trained(torch.optim, "AdamW")
    again.load_state_dict(ours.state_dict())
    assert again.param_groups[0]["foreach"] is False
    assert again.param_groups[0]["capturable"] is True
    assert all(state["step"].item() == 6 for state in again.state.values())


@pytest.mark.parametrize("name", RULES)
def test_states_take_the_type_and_the_device_of_their_parameters(name):
    cls = get(name).title
    _, given = trained(optim, cls)
    abroad = model(torch.float32).to("meta")
    optimizer = getattr(optim, cls)(abroad.parameters())
    optimizer.load_state_dict(given.state_dict())
    for p, q in zip(given.state, optimizer.state, strict=True):
        for key, state in given.state[p].items():
            moved = optimizer.state[q][key]
            if isinstance(state, torch.Tensor):
                assert (moved.dtype, moved.device.type, moved.shape) == (torch.float32, "meta", state.shape)
            else:
                assert moved == state


def test_hooks_see_and_change_checkpoints():
    made, optimizer = trained(optim, "Adam")
    seen = []
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("before saving"))
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "note": 7})
    optimizer.register_load_state_dict_pre_hook(lambda o, state: seen.append(state["note"]))
    optimizer.register_load_state_dict_pre_hook(renamed)
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append(o.param_groups[0]["lr"]))
    state = copy.deepcopy(optimizer.state_dict())
    for each in state["state"].values():
        each["m"] = each.pop("exp_avg")
    before = copy.deepcopy(optimizer.state[made[0].weight]["exp_avg"])
    optimizer.param_groups[0]["lr"] = 5.0
    optimizer.load_state_dict(state)
    assert seen == ["before saving", 7, 1e-3]
    assert torch.equal(optimizer.state[made[0].weight]["exp_avg"], before)


def renamed(optimizer, state):
    """A hook that reads a checkpoint with other names, and gives a new one."""
    names = {"m": "exp_avg"}
    states = {k: {names.get(key, key): v for key, v in s.items()} for k, s in state["state"].items()}
    return {**state, "state": states}


def test_settings_that_a_checkpoint_does_not_mention_stay():
    _, theirs = trained(torch.optim, "AdamW", lr=0.5)
    optimizer = optim.AdamW(model().parameters(), lr=0.1, clip_norm=2.0, ema=0.9)
    optimizer.load_state_dict(theirs.state_dict())
    group = optimizer.param_groups[0]
    assert (group["lr"], group["clip_norm"], group["ema"]) == (0.5, 2.0, 0.9)


def test_what_is_no_checkpoint_of_this_optimizer_is_refused_before_anything_changes():
    made, optimizer = trained(optim, "Adam")
    before = copy.deepcopy(optimizer.state_dict())
    _, other = trained(torch.optim, "SGD", momentum=0.9)
    with pytest.raises(InputError, match="of another rule: it holds momentum_buffer; Adam keeps exp_avg, exp_avg_sq"):
        optimizer.load_state_dict(other.state_dict())
    wide = nn.Sequential(nn.Linear(3, 7), nn.Tanh(), nn.Linear(7, 2)).double()
    larger = optim.Adam(wide.parameters())
    train(wide, larger)
    with pytest.raises(InputError, match=r"exp_avg has the shape \(7, 3\) for a parameter of the shape \(5, 3\)"):
        optimizer.load_state_dict(larger.state_dict())
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optimizer.load_state_dict({"state": {}, "param_groups": []})
    assert optimizer.param_groups[0]["params"] == list(made.parameters())
    torch.testing.assert_close(optimizer.state_dict(), before, rtol=0, atol=0)


def test_groups_added_after_steps_and_gradients_set_to_zero():
    made = model()
    optimizer = optim.AdamW(made[0].parameters())
    train(made, optimizer)
    made[2].zero_grad()
    optimizer.add_param_group({"params": made[2].parameters(), "lr": 0.5, "betas": (0.5, 0.7)})
    optimizer.zero_grad(set_to_none=False)
    assert all(torch.equal(p.grad, torch.zeros_like(p)) for p in made[0].parameters())
    train(made, optimizer)
    assert [optimizer.state[p]["step"] for p in made.parameters()] == [6, 6, 3, 3]
    twin_model = model()
    twin = torch.optim.AdamW(twin_model[0].parameters())
    train(twin_model, twin)
    twin_model[2].zero_grad()
    twin.add_param_group({"params": twin_model[2].parameters(), "lr": 0.5, "betas": (0.5, 0.7)})
    train(twin_model, twin)
    torch.testing.assert_close(list(made.parameters()), list(twin_model.parameters()), rtol=1e-12, atol=1e-14)
    assert "Parameter Group 1" in repr(optimizer)
    assert "lr: 0.5" in repr(optimizer)


def test_the_optimizer_itself_goes_through_torch_save(tmp_path):
    made, optimizer = trained(optim, "NAdam")
    torch.save((made, optimizer), tmp_path / "both.pt")
    other, loaded = torch.load(tmp_path / "both.pt", weights_only=False)
    assert all(torch.equal(a, b) for a, b in zip(train(made, optimizer), train(other, loaded), strict=True))
