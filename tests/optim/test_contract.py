"""What PyTorch and its users expect of any optimizer, for every rule."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch

from fallline import InputError, optim
from fallline.rules import REGISTRY, get
from tests.kernels.executors import text_alone

RULES = sorted(REGISTRY)


def small_model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1)).double()


def train(model, optimizer, steps, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        x = torch.randn(8, 3, generator=generator, dtype=torch.float64)
        optimizer.zero_grad()
        (model(x) - x.sum(1, keepdim=True)).square().mean().backward()
        optimizer.step()


def values(model):
    return [p.detach().clone() for p in model.parameters()]


def test_every_rule_has_a_class_by_its_title():
    for name in RULES:
        cls = getattr(optim, get(name).title)
        assert issubclass(cls, torch.optim.Optimizer)
        assert cls.__name__ == get(name).title
    assert "AdamW" in dir(optim)
    with pytest.raises(AttributeError, match=r"fallline\.optim has no 'Adamm'"):
        _ = optim.Adamm


@pytest.mark.parametrize("name", RULES)
def test_state_goes_through_torch_save_and_load(name):
    model, other = small_model(), small_model()
    cls = getattr(optim, get(name).title)
    one, two = cls(model.parameters()), cls(other.parameters())
    train(model, one, 4)
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": one.state_dict()}, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    other.load_state_dict(loaded["model"])
    two.load_state_dict(loaded["optimizer"])
    train(model, one, 4, seed=1)
    train(other, two, 4, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(values(model), values(other), strict=True))


@pytest.mark.parametrize(
    "clone", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))], ids=["copy", "pickle"]
)
@pytest.mark.parametrize("name", ["adam", "nadam", "lion", "rprop"])
def test_a_copy_goes_on_alone(name, clone):
    model = small_model()
    optimizer = getattr(optim, get(name).title)(model.parameters())
    train(model, optimizer, 3)
    other_model, other_optimizer = clone((model, optimizer))
    train(model, optimizer, 3, seed=1)
    train(other_model, other_optimizer, 3, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(values(model), values(other_model), strict=True))
    before = values(model)
    train(other_model, other_optimizer, 1)
    assert all(torch.equal(a, b) for a, b in zip(before, values(model), strict=True))


def test_an_optimizer_made_from_a_rule_can_be_pickled():
    model = small_model()
    optimizer = optim.optimizer("adam", model.parameters(), lr=0.1)
    train(model, optimizer, 2)
    model, optimizer = pickle.loads(pickle.dumps((model, optimizer)))
    assert optimizer.param_groups[0]["lr"] == 0.1
    before = values(model)
    train(model, optimizer, 1)
    assert not torch.equal(before[0], values(model)[0])


@pytest.mark.parametrize("name", RULES)
def test_maximize_is_minimize_of_the_negative(name):
    """By the text alone: that kernels of such rules follow it is what tests/kernels is about."""
    one, two = torch.ones(4, requires_grad=True), torch.ones(4, requires_grad=True)
    cls = getattr(optim, get(name).title)
    up, down = cls([one], maximize=True), cls([two])
    with text_alone():
        for step in range(3):
            g = torch.linspace(-1, 1, 4) * (step + 1)
            one.grad, two.grad = g, -g
            up.step()
            down.step()
    torch.testing.assert_close(one, two)


@pytest.mark.parametrize("name", RULES)
def test_parameters_without_gradient_are_left_alone(name):
    p, idle = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    optimizer = getattr(optim, get(name).title)([p, idle])
    p.grad = torch.ones(3)
    for _ in range(10):  # some rules only look at first
        optimizer.step()
    assert torch.equal(idle.detach(), torch.ones(3))
    assert not optimizer.state[idle]
    assert not torch.equal(p.detach(), torch.ones(3))


def test_a_closure_computes_the_gradient_and_its_loss_is_returned():
    p = torch.full((1,), 2.0, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.25)

    def closure():
        optimizer.zero_grad()
        loss = (p**2).sum()
        loss.backward()
        return loss

    with torch.no_grad():
        assert optimizer.step(closure).item() == 4.0
    assert p.item() == 1.0


def test_momentum_switched_on_by_a_scheduler_gets_its_state():
    p = torch.ones(2, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.1)
    p.grad = torch.ones(2)
    optimizer.step()
    assert "momentum_buffer" not in optimizer.state[p]
    optimizer.param_groups[0]["momentum"] = 0.9
    optimizer.step()
    optimizer.step()
    torch.testing.assert_close(p.detach(), torch.full((2,), 1 - 0.1 - 0.1 - 0.19))


def test_hooks_run():
    p = torch.ones(1, requires_grad=True)
    p.grad = torch.ones(1)
    optimizer, seen = optim.Lion([p]), []
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    optimizer.step()
    assert seen == ["before", "after"]


def test_groups_and_named_parameters():
    model = small_model()
    optimizer = optim.AdamW([{"params": [model[0].weight], "lr": 0.5}], weight_decay=0.3)
    optimizer.add_param_group({"params": model[2].parameters(), "betas": (0.5, 0.6)})
    assert [g["lr"] for g in optimizer.param_groups] == [0.5, 1e-3]
    assert [g["betas"] for g in optimizer.param_groups] == [(0.9, 0.999), (0.5, 0.6)]
    train(model, optimizer, 2)
    named = optim.AdamW(model.named_parameters())
    assert named.param_groups[0]["param_names"][0] == "0.weight"


def test_a_tensor_rate_is_read_at_every_step():
    p = torch.zeros(1, requires_grad=True)
    lr = torch.tensor(1.0)
    optimizer = optim.SGD([p], lr=lr)
    p.grad = torch.ones(1)
    optimizer.step()
    lr.fill_(10)
    optimizer.step()
    assert p.item() == -11


def test_states_replaced_or_cleared_by_the_user_are_used():
    p = torch.zeros(2, requires_grad=True)
    optimizer = optim.SGD([p], lr=1.0, momentum=0.5)
    p.grad = torch.ones(2)
    optimizer.step()
    optimizer.state[p]["momentum_buffer"] = torch.full((2,), 10.0)
    optimizer.step()
    assert p.detach().tolist() == [-7, -7]
    optimizer.state.clear()
    optimizer.step()
    assert p.detach().tolist() == [-8, -8]


def test_a_parameter_whose_data_moved_is_stepped_where_it_is():
    p = torch.nn.Parameter(torch.zeros(3))
    optimizer = optim.SGD([p], lr=1.0, momentum=0.5)
    p.grad = torch.ones(3)
    optimizer.step()
    old = p.data
    p.data = torch.full((3,), 5.0)
    optimizer.step()
    assert old.tolist() == [-1, -1, -1]
    assert p.tolist() == [3.5, 3.5, 3.5]


def test_a_stale_graph_is_noticed_after_a_step():
    """As with `torch.optim`: a backward pass through weights that a step has changed since is an error."""
    p = torch.ones(2, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.1)
    loss = (p * p).sum()
    p.grad = torch.ones(2)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: optim.Adam(p, lr=-1), "lr=-1 is not allowed for Adam; allowed: at least 0"),
        (lambda p: optim.Adam(p, lr="fast"), "lr='fast' of Adam is not a number; allowed: at least 0"),
        (lambda p: optim.Adam(p, lr=float("nan")), "lr=nan is not allowed for Adam"),
        (
            lambda p: optim.Adam(p, betas=(0.9, 1.0)),
            "beta2=1 is not allowed for Adam; allowed: from 0 to 1, 1 excluded",
        ),
        (lambda p: optim.Adam(p, betas=0.9), r"betas=0.9 is not allowed for Adam: 2 numbers are needed"),
        (lambda p: optim.Adam(p, beta2=1.5), "beta2=1.5 is not allowed for Adam"),
        (lambda p: optim.Lion(p, weight_decay=-0.1), "weight_decay=-0.1 is not allowed for Lion; allowed: at least 0"),
        (lambda p: optim.Lion(p, momentum=0.1), "unknown argument of Lion 'momentum'"),
        (lambda p: optim.SGD(p, 1, 2, 3, 4, True, False, 7), "SGD takes at most 6 settings: lr, momentum"),
        (lambda p: optim.Adam([{"params": p, "lr": -2}]), "lr=-2 is not allowed for Adam"),
    ],
)
def test_a_setting_that_is_not_allowed_is_named_before_work_starts(make, message):
    with pytest.raises(InputError, match=message) as raised:
        make([torch.ones(1, requires_grad=True)])
    assert isinstance(raised.value, ValueError)


def test_any_rule_takes_decoupled_decay_and_penalties():
    p = torch.tensor([2.0], requires_grad=True)
    p.grad = torch.zeros(1)
    optim.SignSGD([p], lr=0.5, weight_decay=0.1).step()
    torch.testing.assert_close(p.detach(), torch.tensor([1.9]))
    optim.SignSGD([p], lr=0.5, l2=0.1).step()
    torch.testing.assert_close(p.detach(), torch.tensor([1.4]))
    optim.SignSGD([p], lr=0.5, l1=0.1).step()
    torch.testing.assert_close(p.detach(), torch.tensor([0.9]))


def test_the_stub_is_current():
    from fallline.optim import stubs

    assert stubs.PATH.read_text() == stubs.text(), "run `make stubs`"


def test_a_step_that_failed_leaves_nothing_for_the_next():
    p = torch.zeros(1000, requires_grad=True)
    sparse = torch.nn.Embedding(3, 4, sparse=True)
    norm = {"clip_tensor_norm": 1.0}
    optimizer = optim.SGD([{"params": [p]}, {"params": sparse.parameters(), **norm}], lr=1.0)
    p.grad = torch.ones(1000)
    sparse(torch.tensor([1])).sum().backward()
    with pytest.raises(InputError, match="sparse"):
        optimizer.step()
    before = p.detach().clone()
    optimizer.zero_grad()
    sparse.weight.grad = torch.zeros(3, 4)
    optimizer.step()
    assert torch.equal(p.detach(), before)


def test_a_parameter_that_shrank_or_turned_in_its_place_is_stepped_as_it_is():
    p = torch.nn.Parameter(torch.zeros(4, 3))
    optimizer = optim.SGD([p], lr=1.0)
    p.grad = torch.ones(4, 3)
    optimizer.step()
    whole = p.data
    p.grad = None
    p.data = whole[:2]
    p.grad = torch.ones(2, 3)
    optimizer.step()
    assert whole.tolist() == [[-2.0] * 3] * 2 + [[-1.0] * 3] * 2
    p.grad = None
    p.data = whole.t()
    p.grad = torch.arange(12.0).view(3, 4)
    expected = whole - torch.arange(12.0).view(3, 4).t()
    optimizer.step()
    assert torch.equal(whole, expected)


def test_a_gradient_that_is_a_negated_view_is_read_as_its_values():
    p = torch.zeros(3, requires_grad=True)
    p.grad = torch._neg_view(torch.ones(3))
    optim.SGD([p], lr=1.0).step()
    assert p.detach().tolist() == [1, 1, 1]


def test_groups_may_carry_notes_of_their_own():
    p = torch.ones(1, requires_grad=True)
    optimizer = optim.Adam([{"params": [p], "name": "head", "initial_lr": 0.1, "lr_scale": 2}])
    assert optimizer.param_groups[0]["name"] == "head"
    torch.optim.lr_scheduler.StepLR(optimizer, 1)
    optim.Adam(optimizer.param_groups)
    with pytest.raises(InputError, match=r"unknown argument of Adam 'weight_decy'\. Did you mean weight_decay"):
        optim.Adam([{"params": [p], "weight_decy": 0.1}])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: optim.SGD(p, nesterov=True), "nesterov=True is not allowed for SGD without momentum"),
        (lambda p: optim.Rprop(p, etas=(1.5, 0.5)), r"etas=\(1.5, 0.5\) is not allowed for Rprop"),
        (lambda p: optim.Rprop(p, etas=(0.5,)), r"etas=\(0.5,\) is not allowed for Rprop: 2 numbers are needed"),
        (lambda p: optim.Adam(p, 1e-3, lr=2.0), "Adam was given lr twice"),
        (lambda p: optim.SGD(p, weight_decay=-1), "weight_decay=-1 is not allowed for SGD"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make([torch.ones(1, requires_grad=True)])


def test_a_rule_of_ones_own_never_gets_a_twins_class():
    from fallline.rules import rule

    @rule
    def group(p, g, *, t, lr=0.1):
        return p - lr * g

    try:
        assert issubclass(optim.class_of("group"), optim.RuleOptimizer)
    finally:
        REGISTRY.pop("group")
    with pytest.raises(InputError, match="taken by a built-in rule"):
        rule(name="Adam")(group.function)


def test_the_profiler_sees_a_step():
    p = torch.ones(3, requires_grad=True)
    p.grad = torch.ones(3)
    optimizer = optim.AdamW([p])
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        optimizer.step()
    assert "Optimizer.step#AdamW.step" in {event.key for event in profiler.key_averages()}
