"""`over_trials` itself: axes, structures, shared tensors, and what it refuses, in words."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from fallline.errors import InputError
from fallline.stacking import CannotStack, Draws, over_trials

from .both import Both, classes


def test_axes_and_structures() -> None:
    x, y = torch.randn(3, 4), torch.randn(5, 3)
    found = over_trials(lambda a, b: {"sum": a["x"].sum() + b, "one": torch.ones(2)}, ({"x": 0}, 1))({"x": x}, y)
    torch.testing.assert_close(found["sum"], x.sum(1, keepdim=True) + y.mT)
    assert found["one"].shape == (3, 2)


@pytest.mark.parametrize(
    ("in_dims", "args", "text"),
    [
        (0, (torch.ones(2, 1), torch.ones(3, 1)), r"one length in all arguments; found lengths \[2, 3\]"),
        (None, (torch.ones(2, 1), torch.ones(2, 1)), r"found lengths \[\]"),
        ((0,), (torch.ones(2, 1), torch.ones(2, 1)), "does not have the structure of the arguments"),
        (({"a": 0}, 0), (torch.ones(2, 1), torch.ones(2, 1)), "does not have the structure of the arguments"),
    ],
)
def test_arguments_that_do_not_fit(in_dims: Any, args: tuple[Tensor, ...], text: str) -> None:
    with pytest.raises(InputError, match=text):
        over_trials(lambda a, b: a + b, in_dims)(*args)


def test_draws_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="draws are for 3 trials; the arguments hold 2"):
        over_trials(lambda a: a, draws=Draws([1, 2, 3]))(torch.ones(2))


@pytest.mark.parametrize("shared", ["x", "y"])
def test_examples_that_all_trials_share(shared: str) -> None:
    """With layers of every kind that meets the input first."""
    makers: list[tuple[Callable[[], nn.Module], tuple[int, ...]]] = [
        (lambda: nn.Sequential(nn.Dropout(0.2), nn.Linear(4, 5)), (4,)),
        (
            lambda: nn.Sequential(nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            (4, 5, 5),
        ),
        (lambda: nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 5)), (4,)),
        (lambda: nn.Sequential(nn.MaxPool1d(2), nn.Conv1d(1, 5, 2), nn.Flatten()), (1, 4)),
    ]
    for make, example in makers:
        both = Both(make, example, loss=classes)
        with torch.no_grad():
            both.x[:] = both.x[:1]
            both.y[:] = both.y[:1]
        whole = both.stacked()
        both.draws.reseed(both.seeds)
        x, y = (both.x[0].detach(), both.y) if shared == "x" else (both.x, both.y[0])
        dims = (0, 0, None, 0) if shared == "x" else (0, 0, 0, None)
        part = over_trials(both.one, dims, both.draws)(both.parameters, both.buffers, x, y)
        torch.testing.assert_close(part, whole)


def test_recurrent_layers_may_share_their_input() -> None:
    both = Both(lambda: nn.LSTM(3, 5, batch_first=True), (4, 3))
    x = both.x[0].detach().requires_grad_()
    losses, _ = over_trials(both.one, (0, 0, None, 0), both.draws)(both.parameters, both.buffers, x, both.y)
    losses.sum().backward()
    expected = torch.zeros_like(x)
    for k, model in enumerate(both.models):
        one = both.x[0].detach().requires_grad_()
        both.loss(model(one)[0], both.y[k]).backward()
        expected += one.grad
    torch.testing.assert_close(x.grad, expected)


def test_weights_that_all_trials_share() -> None:
    """As where only some layers are trained."""
    model = nn.Sequential(nn.Conv1d(2, 3, 3), nn.Flatten(), nn.Linear(6, 5), nn.LayerNorm(5)).double()
    parameters = dict(model.named_parameters())
    x = torch.randn(3, 7, 2, 4, dtype=torch.float64)
    losses = over_trials(lambda x: functional_call(model, parameters, (x,)).square().mean())(x)
    together = torch.autograd.grad(losses.sum(), list(parameters.values()))
    alone = torch.autograd.grad(sum(model(one).square().mean() for one in x), list(parameters.values()))
    torch.testing.assert_close(together, alone)


def test_no_gradients_where_none_are_asked_for() -> None:
    both = Both(lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.Tanh(), nn.LSTM(6, 5)), (2, 8))
    with torch.no_grad():
        losses, _ = over_trials(both.one, 0, both.draws)(both.parameters, both.buffers, both.x, both.y)
    assert not losses.requires_grad


def test_one_trial_is_a_stack_too() -> None:
    Both(lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5)), (4,), trials=1).check()


def test_transforms_of_the_model_itself_work_inside() -> None:
    """A model that uses torch.func: its own level is left to PyTorch."""
    weight = torch.randn(3, 4, 4)

    def function(w: Tensor, x: Tensor) -> Tensor:
        slope = torch.func.grad(lambda x: F.linear(x, w).tanh().sum())(x)
        return slope + torch.func.vmap(lambda row: F.linear(row, w))(x)

    x = torch.randn(3, 2, 4)
    expected = torch.stack([function(w, one) for w, one in zip(weight, x, strict=True)])
    torch.testing.assert_close(over_trials(function)(weight, x), expected)


PROJECTING, PACKING, LINEAR = nn.LSTM(1, 3, proj_size=2), nn.LSTM(1, 2), nn.Linear(4, 2)


class Branch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class OwnGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return g * 2


def _assign(x: Tensor) -> Tensor:
    y = torch.zeros(x.shape)
    y += x
    return y


REFUSED: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "item": (lambda x: x * x.sum().item(), "read as a Python number"),
    "float": (lambda x: x * float(x.sum()), "read as a Python number"),
    "branch": (Branch(), "branches on a tensor's value"),
    "shape by value": (lambda x: x[x > 0].sum(), "shape of the result depends on values"),
    "nonzero": (lambda x: torch.nonzero(x), "shape of the result depends on values"),
    "in place": (_assign, "changed in place"),
    "random numbers into a shared tensor": (lambda x: x + torch.empty(3).normal_(), "normal_ writes random numbers"),
    "generator": (lambda x: x + torch.rand(3, generator=torch.Generator()), "rand draws from a generator of its own"),
    "unknown random function": (
        lambda x: F.fractional_max_pool2d(x[None, None].expand(1, 4, 3), 2, 2),
        "fractional_max_pool2d draws random numbers",
    ),
    "no rule": (lambda x: torch.histc(x), "no rule to do histc"),
    "numpy": (lambda x: torch.from_numpy(np.asarray(x)), "a tensor's memory is asked for"),
    "own function": (OwnGradient.apply, "autograd.Function of its own"),
    "packed": (
        lambda x: PACKING(nn.utils.rnn.pack_sequence([x.view(3, 1)]))[0].data,
        "no rule to do (pad|pack)_sequence",
    ),
    "projection": (lambda x: PROJECTING(x.view(3, 1, 1))[0], "proj_size"),
    "max_norm": (lambda x: F.embedding(torch.tensor([0]), x.view(1, 3), max_norm=1.0), "embedding with max_norm"),
    "sparse": (lambda x: F.embedding(torch.tensor([0]), x.view(1, 3), sparse=True), "embedding with sparse"),
    "shared statistics": (
        lambda x: F.batch_norm(x.view(3, 1), torch.zeros(1), torch.ones(1), training=True),
        "running statistics that all share",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_say_what_and_why(name: str) -> None:
    function, text = REFUSED[name]
    with pytest.raises(CannotStack, match=f"the trials cannot be stacked: .*{text}.*\\.$"):
        over_trials(function, draws=Draws([1, 2]))(torch.randn(2, 3))


def test_everything_is_in_order_after_a_refusal() -> None:
    with pytest.raises(CannotStack):
        over_trials(Branch())(torch.randn(2, 3))
    assert torch.func.vmap(torch.sum)(torch.ones(2, 3)).tolist() == [3.0, 3.0]


def test_a_models_own_error_passes() -> None:
    with pytest.raises(RuntimeError, match="shape"):
        over_trials(LINEAR)(torch.randn(2, 3))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        over_trials(lambda x: F.batch_norm(x, None, None, training=True))(torch.randn(2, 1, 3))
    with pytest.raises(KeyError):
        over_trials(lambda x: {}["missing"])(torch.randn(2, 3))


def test_a_trial_that_diverges_touches_no_other() -> None:
    models = [nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.Flatten(), nn.Linear(8, 5)) for _ in range(3)]
    with torch.no_grad():
        models[1][0].weight.fill_(math.inf)
    parameters, buffers = stack_module_state(models)
    x, y = torch.randn(3, 6, 2, 4), torch.randint(5, (3, 6))
    losses = over_trials(lambda p, b, x, y: F.cross_entropy(functional_call(models[0], (p, b), (x,)), y))(
        parameters, buffers, x, y
    )
    losses.sum().backward()
    assert losses.isnan().tolist() == [False, True, False]
    for p in parameters.values():
        assert p.grad is not None
        assert p.grad[0].isfinite().all()
        assert p.grad[2].isfinite().all()
