"""What PyTorch and its users expect of an optimizer, for the methods that step by a closure."""

from __future__ import annotations

import copy
import math
import pickle
import warnings

import pytest
import torch

from fallline import InputError, optim
from tests.optim.full_batch.functions import CASES, Run, rosenbrock

SETTINGS = {
    "BFGS": {},
    "LBFGS": {"line_search_fn": "strong_wolfe"},
    "LBFGS fixed": {"lr": 1e-3},
    "LBFGS stochastic": {"stochastic": True},
    "Newton": {},
}
START = torch.tensor(CASES["rosenbrock10"].start).double()


def class_of(name):
    return getattr(optim, name.partition(" ")[0])


def run_of(name, function=rosenbrock, start=START, **settings):
    return Run(class_of(name), function, start, **{"max_iter": 3, **SETTINGS[name], **settings})


@pytest.fixture(params=SETTINGS)
def name(request):
    return request.param


def test_the_methods_are_found_where_the_rules_are():
    for method in ("BFGS", "LBFGS", "Newton"):
        assert issubclass(getattr(optim, method), torch.optim.Optimizer)
        assert method in dir(optim)


def test_the_first_loss_is_returned_and_the_loss_falls(name):
    run = run_of(name)
    first = float(rosenbrock(START))
    assert run.step().item() == first
    assert float(rosenbrock(run.x)) < first


def test_a_network_of_several_tensors_is_trained(name):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).double()
    x = torch.randn(30, 2).double()
    optimizer = class_of(name)(model.parameters(), **SETTINGS[name] | ({"lr": 0.1} if "fixed" in name else {}))

    def closure():
        optimizer.zero_grad()
        loss = (model(x) - x.prod(1, keepdim=True)).square().mean()
        loss.backward()
        return loss

    losses = [float(optimizer.step(closure).detach()) for _ in range(15)]
    assert losses[-1] < 0.25 * losses[0]


def test_training_goes_on_from_a_checkpoint_bit_by_bit(name, tmp_path):
    run, other = run_of(name), run_of(name)
    for _ in range(3):
        run.step()
    torch.save({"x": run.x, "optimizer": run.optimizer.state_dict()}, tmp_path / "checkpoint")
    kept = torch.load(tmp_path / "checkpoint", weights_only=True)
    with torch.no_grad():
        other.p.copy_(kept["x"])
    other.optimizer.load_state_dict(kept["optimizer"])
    for _ in range(3):
        assert run.step() == other.step()
        assert torch.equal(run.x, other.x)


def test_a_checkpoint_in_memory_is_not_shared(name):
    run, other = run_of(name), run_of(name)
    run.step()
    other.optimizer.load_state_dict(run.optimizer.state_dict())
    with torch.no_grad():
        other.p.copy_(run.x)
    before = copy.deepcopy(run.optimizer.state_dict()["state"])
    other.step()
    other.step()
    torch.testing.assert_close(run.optimizer.state_dict()["state"], before, rtol=0, atol=0)


@pytest.mark.parametrize(
    "clone", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))], ids=["copy", "pickle"]
)
def test_a_copy_goes_on_alone(name, clone):
    run, other = run_of(name), run_of(name)
    run.step()
    other.p, other.optimizer = clone((run.p, run.optimizer))
    run.step()
    before = run.x
    other.step()
    assert torch.equal(other.x, before)
    other.step()
    assert torch.equal(run.x, before)


def test_a_missing_closure_is_told(name):
    with pytest.raises(InputError, match=f"^{class_of(name).__name__}.step needs a closure: a function that zeroes"):
        run_of(name).optimizer.step()


@pytest.mark.parametrize(
    ("returned", "told"), [(None, "None"), (torch.ones(3), r"a tensor of shape \(3,\)"), ("low", "'low'")],
    ids=["nothing", "several", "text"],
)  # fmt: skip
def test_a_closure_must_return_the_loss(returned, told):
    for name in ("BFGS", "LBFGS"):
        with pytest.raises(InputError, match=rf"the closure of {name}.step returned {told}; it must return the loss"):
            run_of(name).optimizer.step(lambda: returned)


def test_newton_needs_the_loss_with_its_graph():
    run = run_of("Newton")
    for without in (lambda: run.closure().item(), lambda: run.closure().detach()):
        with pytest.raises(InputError, match=r"the closure of Newton.step returned .* with its graph"):
            run.optimizer.step(without)


def test_parameters_stay_where_the_loss_is_not_finite(name):
    for start, told in (([math.nan] * 10, "loss is nan"), ([1e200] * 10, "loss is inf")):
        run = run_of(name, lambda x: (x**2).sum(), torch.tensor(start).double())
        with pytest.warns(RuntimeWarning, match=f"{told}; the parameters stay as they were") as told_of:
            loss = run.step().item()
        assert not math.isfinite(loss)
        assert torch.equal(run.x.nan_to_num(), torch.tensor(start).double().nan_to_num())
        assert told_of[0].filename.endswith("functions.py")  # where step was called


def test_parameters_stay_where_the_gradient_is_not_finite(name):
    run = run_of(name, function=lambda x: x.abs().sqrt().sum(), start=torch.tensor([0.0, 1.0]).double())
    with pytest.warns(RuntimeWarning, match="gradient is not finite"):
        run.step()
    assert run.x.tolist() == [0.0, 1.0]


def test_a_fixed_step_to_where_the_loss_is_not_finite_is_taken_back():
    run = run_of("LBFGS fixed", function=lambda x: (x - x.log()).sum(), start=torch.tensor([2.0]), lr=100.0)
    with pytest.warns(RuntimeWarning, match="LBFGS: the loss is nan; the parameters stay as they were"):
        run.step()
    assert run.x.tolist() == [2.0]
    run.optimizer.param_groups[0]["lr"] = 0.1
    run.step()
    assert 1.0 < run.x.item() < 2.0


def test_what_the_closure_raises_leaves_the_parameters(name):
    run = run_of(name)
    calls = 0

    def closure():
        nonlocal calls
        calls += 1
        if calls > 1:
            raise KeyboardInterrupt
        return run.closure()

    with pytest.raises(KeyboardInterrupt):
        run.optimizer.step(closure)
    assert torch.equal(run.x, START)
    run.step()
    assert not torch.equal(run.x, START)


def test_no_rate_is_no_step(name):
    run = run_of(name, lr=0.0)
    run.step()
    assert torch.equal(run.x, START)


def test_a_scheduler_sets_the_rate(name):
    run = run_of(name)
    schedule = torch.optim.lr_scheduler.LambdaLR(run.optimizer, lambda step: 0.0)
    run.step()
    assert torch.equal(run.x, START)
    schedule.step()
    assert run.optimizer.param_groups[0]["lr"] == 0


def test_parameters_without_gradient_are_left_alone(name):
    p, idle, frozen = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True), torch.ones(2)
    optimizer = class_of(name)([frozen, idle, p], **SETTINGS[name])

    def closure():
        optimizer.zero_grad()
        loss = (p**4).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert idle.tolist() == [1, 1, 1]
    assert frozen.tolist() == [1, 1]
    assert p.abs().max() < 1


def test_a_start_at_the_minimum_stays(name):
    run = run_of(name, start=torch.ones(10).double())
    run.step()
    assert run.x.tolist() == [1] * 10
    assert run.evaluations == 1


def test_several_groups_are_refused(name):
    p, q = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    cls = class_of(name)
    with pytest.raises(InputError, match=f"{cls.__name__} was given several parameter groups"):
        cls([{"params": [p]}, {"params": [q]}])
    optimizer = cls([p], **SETTINGS[name])
    with pytest.raises(InputError, match="several parameter groups"):
        optimizer.add_param_group({"params": [q]})


def test_named_parameters_are_taken(name):
    model = torch.nn.Linear(2, 1)
    optimizer = class_of(name)(model.named_parameters())
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: optim.LBFGS(p, lr=-1), "lr=-1 is not allowed for LBFGS; allowed: one number, at least 0"),
        (lambda p: optim.LBFGS(p, lr=torch.ones(2)), r"lr=tensor\(\[1., 1.\]\) is not allowed for LBFGS"),
        (lambda p: optim.BFGS(p, lr=math.nan), "lr=nan is not allowed for BFGS"),
        (lambda p: optim.LBFGS(p, max_iter=0), "max_iter=0 is not allowed for LBFGS; allowed: a whole number"),
        (lambda p: optim.Newton(p, max_iter=2.5), "max_iter=2.5 is not allowed for Newton"),
        (lambda p: optim.LBFGS(p, max_eval=0), "max_eval=0 is not allowed for LBFGS"),
        (lambda p: optim.LBFGS(p, history_size=0), "history_size=0 is not allowed for LBFGS"),
        (lambda p: optim.BFGS(p, tolerance_grad=-1e-3), "tolerance_grad=-0.001 is not allowed for BFGS"),
        (lambda p: optim.BFGS(p, tolerance_change="no"), "tolerance_change='no' is not allowed for BFGS"),
        (lambda p: optim.LBFGS(p, line_search_fn="armijo"), "line_search_fn='armijo' is not allowed for LBFGS"),
        (lambda p: optim.LBFGS(p, stochastic=1), "stochastic=1 is not allowed for LBFGS; allowed: True or False"),
        (
            lambda p: optim.LBFGS(p, stochastic=True, line_search_fn="strong_wolfe"),
            "line_search_fn='strong_wolfe' is not allowed for LBFGS with stochastic=True",
        ),
        (lambda p: optim.Newton(p, radius=0.0), "radius=0.0 is not allowed for Newton"),
        (lambda p: optim.Newton([{"params": p, "max_radius": -1}]), "max_radius=-1 is not allowed for Newton"),
    ],
)
def test_a_setting_that_is_not_allowed_is_named(make, message):
    with pytest.raises(InputError, match=message) as raised:
        make([torch.ones(1, requires_grad=True)])
    assert isinstance(raised.value, ValueError)


def test_parameters_that_a_method_cannot_step_are_refused():
    many = torch.empty(150, 150, requires_grad=True)
    for cls in (optim.BFGS, optim.Newton):
        with pytest.raises(InputError, match=rf"{cls.__name__} was given 22,500 parameters.*LBFGS keeps no matrix"):
            cls([many])
    for dtype in (torch.complex64, torch.bfloat16):
        with pytest.raises(InputError, match=f"Newton was given parameters of {dtype}"):
            optim.Newton([torch.ones(1, dtype=dtype, requires_grad=True)])
    with pytest.raises(InputError, match="LBFGS was given parameters on cpu and meta"):
        optim.LBFGS([torch.ones(1, requires_grad=True), torch.ones(1, device="meta", requires_grad=True)])


def test_a_checkpoint_of_another_optimizer_or_model_is_refused(name):
    run = run_of(name)
    with pytest.raises(InputError, match=r"the checkpoint is not of .*: it has no .*max_iter"):
        run.optimizer.load_state_dict(torch.optim.Adam([run.p]).state_dict())
    if "Newton" not in name:
        larger = run_of(name, start=torch.ones(12).double() * 0.5)
        larger.step()
        with pytest.raises(InputError, match=r"the checkpoint is of 12 parameters; L?BFGS was given 10"):
            run.optimizer.load_state_dict(larger.optimizer.state_dict())


def test_nothing_is_told_where_all_is_well(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_of(name).step()
