"""The two executors of a rule, kernels and text, beside each other."""

from __future__ import annotations

from contextlib import contextmanager
from unittest import mock

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from fallline import optim
from fallline.kernels import slot
from fallline.kernels.program import Program
from fallline.rules import Rule


class ExactRoots(TorchFunctionMode):
    """PyTorch's vectorized square root is off by a unit in the last place on some machines; the kernel's never is."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in (torch.Tensor.sqrt, torch.sqrt) and not args[0].is_meta:
            with np.errstate(invalid="ignore"):
                return torch.from_numpy(np.asarray(np.sqrt(args[0].numpy())))
        return function(*args, **(kwargs or {}))


@contextmanager
def text_alone():
    """Every rule is stepped by its text, as where there is no kernel."""
    with mock.patch.object(slot, "form", return_value=None), ExactRoots():
        yield


def assert_threads_change_nothing(trained) -> None:
    """`trained()` gives the same bits on one, two and three threads."""
    before, ends = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            ends.append(trained().detach())
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(end, ends[0]) for end in ends)


def forms(optimizer) -> list:
    """What the optimizer's parameters are stepped by: a form for kernels, None for the text."""
    return [slot.form for stepper in optimizer._steppers.values() for slot in stepper.slots.values()]


def looks_at_elements_alone(program: Program) -> bool:
    """Whether every number of a step is computed in the same order by both executors."""
    return not program.calls and not program.vectors and len(program.steps) == 1 and not program.passes[0].reductions


class Pair:
    """Two optimizers over equal parameters: one steps by kernels, the other by the text."""

    def __init__(self, rule: Rule, params: list[torch.Tensor], **settings) -> None:
        self.rule = rule
        self.kernel, self.text = ([p.detach().clone().requires_grad_() for p in params] for _ in range(2))
        self.by_kernel = optim.optimizer(rule, self.kernel, **settings)
        self.by_text = optim.optimizer(rule, self.text, **settings)

    def step(self, gradients: list[torch.Tensor]) -> None:
        """Take one step each."""
        for p, q, g in zip(self.kernel, self.text, gradients, strict=True):
            p.grad, q.grad = g.clone(), g.clone()
        self.by_kernel.step()
        with text_alone():
            self.by_text.step()

    def results(self, states: bool = True):
        """Pairs of what both have made: parameters, and if asked states and numbers."""
        for p, q in zip(self.kernel, self.text, strict=True):
            yield p.detach(), q.detach()
            for name, value in self.by_kernel.state[p].items() if states else ():
                yield value, self.by_text.state[q][name]

    def meet(self) -> None:
        """Let both go on from what the text has made, so that differences do not grow."""
        for p, q in zip(self.kernel, self.text, strict=True):
            p.data.copy_(q.data)
            for name, value in self.by_text.state[q].items():
                if isinstance(value, torch.Tensor):
                    self.by_kernel.state[p][name].copy_(value)
                else:
                    self.by_kernel.state[p][name] = value


def assert_equal(a, b) -> None:
    """The same bits, NaN to NaN; zeros of either sign."""
    if not isinstance(a, torch.Tensor):
        assert a == b or (a != a and b != b)
    elif not torch.equal(a, b):
        assert torch.equal(torch.isnan(a), torch.isnan(b))
        assert torch.equal(a.nan_to_num(7), b.nan_to_num(7))


def assert_near(a, b, tolerance: float) -> None:
    """Alike, as measured by the largest of the numbers that are compared."""
    a, b = (torch.as_tensor(x, dtype=torch.float64) for x in (a, b))
    finite = b[torch.isfinite(b)].abs()
    largest = float(finite.max()) if finite.numel() else 1.0
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance * max(largest, 1e-30), equal_nan=True)
