"""PyTorch's schedulers act on our optimizers as on its own."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.optim import lr_scheduler, swa_utils

from fallline import optim

STEPS = 12

SCHEDULERS = {
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda step: 0.9**step),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda step: 0.95),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 3, gamma=0.5),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [2, 7], gamma=0.3),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o, factor=0.5, total_iters=4),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, start_factor=0.1, total_iters=6),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.LinearLR(o, 0.1, total_iters=4), lr_scheduler.CosineAnnealingLR(o, 8)], [4]
    ),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, total_iters=10, power=2),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS, eta_min=1e-4),
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(o, 0.5, 3), lr_scheduler.ExponentialLR(o, 0.9)], optimizer=o
    ),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=1),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, step_size_up=3),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=4),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.1, total_steps=STEPS + 1),
    "SWALR": lambda o: swa_utils.SWALR(o, swa_lr=0.01, anneal_epochs=5),
}
TWINS = {"SGD": {"momentum": 0.9}, "AdamW": {}}


def run(module, cls, make, rate, steps=STEPS, from_state=None):
    """A few steps under a scheduler; gives the parameter, every step's settings, and the state of both."""
    torch.manual_seed(0)
    p = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    q = torch.ones(2, dtype=torch.float64, requires_grad=True)
    optimizer = getattr(module, cls)([{"params": [p]}, {"params": [q], "lr": 0.3}], lr=rate(), **TWINS[cls])
    scheduler = make(optimizer)
    if from_state is not None:
        for each, state in zip((optimizer, scheduler), copy.deepcopy(from_state), strict=True):
            each.load_state_dict(state)
    settings = []
    for step in range(steps):
        p.grad, q.grad = torch.randn(3, dtype=torch.float64), torch.randn(2, dtype=torch.float64)
        optimizer.step()
        needs_loss = isinstance(scheduler, lr_scheduler.ReduceLROnPlateau)
        scheduler.step(*([1.0 + step // 5] if needs_loss else []))
        settings.append([(float(g["lr"]), g.get("momentum"), g.get("betas")) for g in optimizer.param_groups])
    return torch.cat([p, q]).detach(), settings, (optimizer.state_dict(), scheduler.state_dict())


def test_all_of_pytorchs_schedulers_are_tried():
    named = {name for name, cls in vars(lr_scheduler).items() if isinstance(cls, type) and not name.startswith("_")}
    schedulers = {name for name in named if issubclass(getattr(lr_scheduler, name), lr_scheduler.LRScheduler)}
    assert schedulers - {"LRScheduler"} <= SCHEDULERS.keys()


@pytest.mark.parametrize("cls", TWINS)
@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_same_path_as_torchs_optimizer(name, cls):
    ours, settings, _ = run(optim, cls, SCHEDULERS[name], lambda: 0.1)
    theirs, wanted, _ = run(torch.optim, cls, SCHEDULERS[name], lambda: 0.1)
    assert settings == wanted
    assert len({str(step) for step in settings}) > 1
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["CosineAnnealingLR", "OneCycleLR", "ReduceLROnPlateau", "SequentialLR"])
def test_a_rate_in_a_tensor_is_changed_in_place_and_honoured(name):
    rate = torch.tensor(0.1, dtype=torch.float64)
    ours, settings, (state, _) = run(optim, "AdamW", SCHEDULERS[name], lambda: rate)
    theirs, wanted, _ = run(torch.optim, "AdamW", SCHEDULERS[name], lambda: torch.tensor(0.1, dtype=torch.float64))
    assert settings == wanted
    assert isinstance(state["param_groups"][0]["lr"], torch.Tensor)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["CosineAnnealingLR", "OneCycleLR", "ReduceLROnPlateau", "CyclicLR"])
def test_a_scheduler_goes_on_from_the_checkpoint_of_one_over_torchs_optimizer(name):
    *_, half = run(torch.optim, "AdamW", SCHEDULERS[name], lambda: 0.1, steps=6)
    ours, settings, _ = run(optim, "AdamW", SCHEDULERS[name], lambda: 0.1, steps=5, from_state=half)
    theirs, wanted, _ = run(torch.optim, "AdamW", SCHEDULERS[name], lambda: 0.1, steps=5, from_state=half)
    assert settings == wanted
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


def test_the_momentum_of_any_rule_with_two_decay_rates_is_cycled():
    p = torch.zeros(1, requires_grad=True)
    optimizer = optim.Lion([p])
    scheduler = lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=10, base_momentum=0.5, max_momentum=0.8)
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.99)
    p.grad = torch.ones(1)
    optimizer.step()
    scheduler.step()
    assert 0.5 < optimizer.param_groups[0]["betas"][0] < 0.8
