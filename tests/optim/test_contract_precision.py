"""Half precision, loss scaling, complex numbers, compiled models."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fallline import InputError, optim
from fallline.kernels.reach import Reach, reach
from fallline.rules import REGISTRY, get

RULES = sorted(REGISTRY)


def model(dtype=torch.float32):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).to(dtype)


def batches(count, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(16, 3, generator=generator).to(dtype) for _ in range(count)]


def loss_of(model, x):
    return (model(x) - x.sum(1, keepdim=True)).square().mean()


def scaled(module, settings, spoil):
    """Training under a loss scale in which the gradients of some steps are infinite."""
    net = model()
    optimizer = module.AdamW(net.parameters(), **settings)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=3)
    path, scales = [], []
    for step, x in enumerate(batches(8)):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = loss_of(net, x)
        scaler.scale(loss).backward()
        if step in spoil:
            net[0].weight.grad[0, 0] = torch.inf
        if step % 2:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        path.append([p.detach().clone() for p in net.parameters()])
        scales.append(scaler.get_scale())
    return path, scales, optimizer


def test_loss_scaling_under_autocast_skips_the_steps_that_torch_skips():
    ours, scales, optimizer = scaled(optim, {"lr": 0.01}, spoil={2, 5})
    theirs, wanted, _ = scaled(torch.optim, {"lr": 0.01}, spoil={2, 5})
    assert scales == wanted
    assert len(set(scales)) > 1
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert all(torch.equal(a, b) for a, b in zip(ours[2], ours[1], strict=True))
    assert [state["step"] for state in optimizer.state.values()] == [6] * 4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["adamw", "sgd", "lion", "rmsprop"])
def test_half_parameters_are_computed_wide_and_rounded_once(name, dtype):
    net, wide = model(dtype), model(dtype).float()
    one, two = (getattr(optim, get(name).title)(each.parameters(), lr=0.1) for each in (net, wide))
    loss_of(net, *batches(1, dtype)).backward()
    for p, q in zip(net.parameters(), wide.parameters(), strict=True):
        q.grad = p.grad.float()
    one.step()
    two.step()
    for p, q in zip(net.parameters(), wide.parameters(), strict=True):
        torch.testing.assert_close(p.detach(), q.detach().to(dtype), rtol=torch.finfo(dtype).eps, atol=1e-6)


@pytest.mark.parametrize("name", ["adam", "adagrad", "rprop", "momentum"])
def test_complex_parameters_are_stepped_as_torch_steps_them(name):
    start = torch.randn(5, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    p, q = start.clone().requires_grad_(), start.clone().requires_grad_()
    settings = {"initial_accumulator_value": 0.5} if name == "adagrad" else {}
    settings |= {"momentum": 0.9} if name == "momentum" else {}
    cls = "SGD" if name == "momentum" else get(name).title
    ours, theirs = getattr(optim, cls)([p], lr=0.1, **settings), getattr(torch.optim, cls)([q], lr=0.1, **settings)
    for step in range(5):
        p.grad = torch.randn(5, dtype=torch.complex128, generator=torch.Generator().manual_seed(step))
        q.grad = p.grad.clone()
        ours.step()
        theirs.step()
    torch.testing.assert_close(p, q, rtol=1e-10, atol=1e-12)


def pairs(shape, steps=4, settings=(), name="adamw"):
    """A complex parameter, and a real vector of its real and imaginary parts, after some steps."""
    torch.manual_seed(0)
    p = torch.randn(shape, dtype=torch.complex128).requires_grad_()
    q = torch.view_as_real(p.detach()).flatten().clone().requires_grad_()
    one, two = (optim.optimizer(name, [each], **dict(settings)) for each in (p, q))
    for _ in range(steps):
        p.grad = torch.randn(shape, dtype=torch.complex128)
        q.grad = torch.view_as_real(p.grad).flatten().clone()
        one.step()
        two.step()
    return torch.view_as_real(p.detach()).flatten(), q.detach()


@pytest.mark.parametrize("name", RULES)
def test_a_complex_vector_is_stepped_as_the_real_one_of_its_parts(name):
    """Norms too are those of all parts; a rule that reads a tensor's shape takes no complex numbers."""
    if reach(get(name).of_shape((6,)))[0] >= Reach.SIDES:
        with pytest.raises(InputError, match="takes no complex matrices"):
            pairs((6,), name=name)
    else:
        torch.testing.assert_close(*pairs((6,), name=name), rtol=1e-12, atol=1e-14)


def test_norms_of_complex_tensors_are_those_of_their_parts():
    clipped = (("clip_norm", 0.5), ("lr", 0.1))
    torch.testing.assert_close(*pairs((4, 3), settings=clipped), rtol=1e-12, atol=1e-14)


def test_a_rule_for_matrices_refuses_complex_ones_at_the_door():
    name = next(name for name in RULES if reach(get(name))[0] is Reach.WHOLE)
    p = torch.ones(3, 3, dtype=torch.complex64, requires_grad=True)
    with pytest.raises(InputError, match=f"{get(name).title} takes no complex matrices"):
        optim.optimizer(name, [p])
    optimizer = optim.optimizer(name, [torch.ones(3, 3, requires_grad=True)])
    with pytest.raises(InputError, match="takes no complex matrices"):
        optimizer.add_param_group({"params": [p]})
    assert len(optimizer.param_groups) == 1


def compiled(how, backend, steps=3):
    """Training with the model, or the whole step with the optimizer's in it, compiled."""
    net = model(torch.float64)
    optimizer = optim.AdamW(net.parameters(), lr=0.1, clip_norm=1.0)
    called = torch.compile(net, backend=backend) if how == "model" else net

    def step(x):
        optimizer.zero_grad()
        loss_of(called, x).backward()
        optimizer.step()

    step = torch.compile(step, backend=backend) if how == "step" else step
    for x in batches(steps, torch.float64):
        step(x)
    return [p.detach() for p in net.parameters()]


@pytest.fixture
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize(
    ("how", "backend"),
    [("model", "aot_eager"), ("step", "aot_eager"), pytest.param("model", "inductor", marks=pytest.mark.slow)],
)
def test_compiled_training_goes_the_eager_way(how, backend):
    torch.testing.assert_close(compiled(how, backend), compiled(None, None), rtol=1e-9, atol=1e-12)
