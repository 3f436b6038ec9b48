"""Where `torch.optim` has the rule: the same class, arguments, defaults and numbers."""

from __future__ import annotations

import inspect

import pytest
import torch

from fallline import InputError, optim
from tests.database import TWINS, VARIANTS, Twin

ALL = [*dict.fromkeys(map(str, TWINS.values())), *map(str, VARIANTS)]
ROWS = {str(twin): twin for twin in [*TWINS.values(), *VARIANTS]}
IGNORED = {"params", "foreach", "fused", "capturable", "differentiable"}
CLASSES = [
    name
    for name, cls in ((name, getattr(torch.optim, name)) for name in torch.optim.__all__)
    if inspect.isclass(cls) and issubclass(cls, torch.optim.Optimizer) and cls is not torch.optim.Optimizer
]
"""All optimizers of the installed PyTorch."""
ELSEWHERE = {"LBFGS": "full_batch/test_twin.py", "SparseAdam": "test_contract_sparse.py"}
"""Where a class is compared that steps by a closure, or sparse gradients alone."""
SHAPES = [(30, 20), (20, 30), (30,), (), (0,), (3, 2, 5)]


@pytest.fixture(autouse=True)
def double_by_default():
    """Without it `torch.optim.NAdam` keeps its product of rates in float32."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def orthogonal_in_full(monkeypatch):
    """`torch.optim.Muon` iterates in bfloat16, which would hide what is compared; ours follows the parameter's type."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)


def walk(twin: Twin, dtype: torch.dtype, steps: int = 50):
    """Both optimizers over random gradients; yields the parameters after every step, ours and theirs."""
    torch.manual_seed(0)
    shapes = filter(twin.takes, SHAPES)
    ours = [torch.randn(shape, dtype=dtype).requires_grad_() for shape in shapes]
    theirs = [p.detach().clone().requires_grad_() for p in ours]
    a = getattr(optim, twin.cls)(ours, **twin.settings)
    b = getattr(torch.optim, twin.cls)(theirs, **twin.settings)
    for _ in range(steps):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn(p.shape, dtype=dtype)
            q.grad = p.grad.clone()
        a.step()
        b.step()
        yield a, b, ours, theirs


@pytest.mark.usefixtures("orthogonal_in_full")
@pytest.mark.parametrize("row", ALL)
def test_fifty_steps_in_double_precision(row):
    for _, _, ours, theirs in walk(ROWS[row], torch.float64):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.usefixtures("orthogonal_in_full")
@pytest.mark.parametrize("row", ALL)
def test_fifty_steps_in_single_precision_stay_within_ulps_of_the_largest_term(row):
    """Rounding differs from step to step, so what may differ grows with their number."""
    eps = torch.finfo(torch.float32).eps
    largest = 0.0
    for step, (_, _, ours, theirs) in enumerate(walk(ROWS[row], torch.float32), 1):
        for p, q in zip(ours, theirs, strict=True):
            if p.numel():
                largest = max(largest, q.detach().abs().max().item(), 1.0)
                assert (p - q).abs().max().item() <= 4 * eps * largest * step**0.5


@pytest.mark.usefixtures("orthogonal_in_full")
@pytest.mark.parametrize("row", ALL)
def test_a_checkpoint_of_one_is_a_checkpoint_of_the_other(row, tmp_path):
    twin = ROWS[row]
    *_, (a, b, ours, theirs) = walk(twin, torch.float64, 5)
    torch.save(a.state_dict(), tmp_path / "a.pt")
    torch.save(b.state_dict(), tmp_path / "b.pt")
    a.load_state_dict(torch.load(tmp_path / "b.pt", weights_only=True))
    b.load_state_dict(torch.load(tmp_path / "a.pt", weights_only=True))
    for _ in range(5):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn(p.shape)
            q.grad = p.grad.clone()
        a.step()
        b.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", CLASSES)
def test_every_optimizer_of_torch_is_here_and_its_numbers_are_compared(name):
    assert issubclass(getattr(optim, name), torch.optim.Optimizer)
    assert name in {twin.cls for twin in TWINS.values()} | ELSEWHERE.keys()


@pytest.mark.parametrize("name", sorted({*CLASSES} - {"LBFGS"}))
def test_arguments_and_defaults_are_those_of_torch(name):
    wanted = inspect.signature(getattr(torch.optim, name)).parameters
    given = getattr(optim, name).defaults_
    for parameter in wanted.values():
        if parameter.name not in IGNORED:
            assert given[parameter.name] == parameter.default, parameter.name
    assert set(given) <= {*wanted, "maximize"}
    by_position = [n for n, p in wanted.items() if p.kind == p.POSITIONAL_OR_KEYWORD and n not in IGNORED]
    assert list(given)[: len(by_position)] == by_position


def test_arguments_that_choose_an_implementation_are_accepted():
    p = torch.ones(2, requires_grad=True)
    optim.Adam([p], foreach=True, fused=True, capturable=False, differentiable=False)
    with pytest.raises(InputError, match="differentiable=True is not allowed for Adam"):
        optim.Adam([p], differentiable=True)
