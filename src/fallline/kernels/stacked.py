"""Stepping the trials of a stack by one rule: parameters with a leading trial axis, a row of numbers for each trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ..rules.rule import Rule
from ..rules.trace import together
from . import cpu, text, threads
from .stepper import KERNEL_DTYPES, kernel_plan


class StackedStepper:
    """Steps `parameters`, each (trials, ...) and contiguous, by a rule; trial k with hyper-parameters `settings[k]`.

    `states[i][name]` is a state of parameter i, in the parameter's shape, and `rows` (trials, numbers) holds every
    trial's count of steps, its hyper-parameters and the numbers it carries from step to step.
    """

    def __init__(self, rule: Rule, parameters: Sequence[Tensor], settings: Sequence[Mapping[str, float]]) -> None:
        self.rule = rule
        self.plan = kernel_plan(rule)
        self.width = 1 + len(rule.hypers)
        carried = list(rule.numbers.values())
        values = [{**rule.defaults, **given} for given in settings]
        self.rows = np.array([[0.0, *(v[name] for name in rule.hypers), *carried, *carried] for v in values])
        self.states = [{name: self._start(name, p, values) for name in rule.states} for p in parameters]
        self.place(parameters)

    def _start(self, name: str, p: Tensor, values: Sequence[Mapping[str, float]]) -> Tensor:
        said = self.rule.starts.get(name, 0.0)
        starts = [value[said] if isinstance(said, str) else said for value in values]
        state = torch.empty_like(p, requires_grad=False)
        return state.copy_(torch.tensor(starts, dtype=p.dtype).view(-1, *(1,) * (p.ndim - 1)))

    def place(self, parameters: Sequence[Tensor]) -> None:
        """Say where the parameters lie now."""
        self.parameters = [p.detach() for p in parameters]
        kinds = {p.dtype for p in self.parameters}
        fits = self.plan is not None and all(p.is_cpu and p.dtype in KERNEL_DTYPES for p in self.parameters)
        self.tables = {dtype: self._table(dtype) for dtype in kinds} if fits else {}

    def _table(self, dtype: torch.dtype) -> tuple[list[int], np.ndarray, np.ndarray, int]:
        """Of the parameters of a type: which they are, the kernel's table, the offsets of gradients, all elements."""
        chosen = [i for i, p in enumerate(self.parameters) if p.dtype == dtype]
        trials = np.arange(len(self.rows))
        entries = []
        for i in chosen:
            p = self.parameters[i]
            offsets = trials * p[0].numel() * p.element_size()
            arrays = [p, p, *self.states[i].values()]  # the gradient's place is written at every step
            columns = [np.full_like(trials, p[0].numel()), trials, *(a.data_ptr() + offsets for a in arrays)]
            entries.append(np.stack(columns, -1))
        # trial by trial: the kernel derives its numbers anew whenever the row changes
        table = np.ascontiguousarray(np.stack(entries, 1), np.int64)
        bytes_each = np.array([self.parameters[i][0].numel() * self.parameters[i].element_size() for i in chosen])
        return chosen, table, trials[:, None] * bytes_each, int(table[..., 0].sum())

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Take one step with the parameters' gradients, which have their shapes."""
        self.rows[:, 0] += 1
        if self.tables and all(g.dtype == p.dtype for g, p in zip(gradients, self.parameters, strict=True)):
            self._by_kernel([g.contiguous() for g in gradients])
        else:
            self._by_text(gradients)
        count = len(self.rule.numbers)
        if count:
            self.rows[:, self.width : self.width + count] = self.rows[:, self.width + count :]

    def _by_kernel(self, gradients: Sequence[Tensor]) -> None:
        assert self.plan is not None
        for dtype, (chosen, table, offsets, length) in self.tables.items():
            table[..., 3] = np.array([gradients[i].data_ptr() for i in chosen]) + offsets
            kernel = cpu.compiled(self.plan, KERNEL_DTYPES[dtype], self.rule.name)
            threads.run(kernel, table.reshape(-1), self.rows, length)

    def _by_text(self, gradients: Sequence[Tensor]) -> None:
        before, after = self.width, self.width + len(self.rule.numbers)
        for k, row in enumerate(self.rows):
            items = []
            for p, g, states in zip(self.parameters, gradients, self.states, strict=True):
                tensors = [p[k], *(state[k] for state in states.values())]
                items.append(text.Item(tensors, g[k], row[:before], row[before:after]))
            row[after:] = together([text.steps(self.rule, item) for item in items])[-1]

    def set(self, hyper: str, value: float) -> None:
        """Give a hyper-parameter the same value in all trials."""
        self.rows[:, 1 + list(self.rule.hypers).index(hyper)] = value

    def keep(self, trials: Sequence[int], parameters: Sequence[Tensor]) -> None:
        """Go on with these trials alone; `parameters` are theirs."""
        self.rows = np.ascontiguousarray(self.rows[list(trials)])
        self.states = [{name: state[list(trials)] for name, state in states.items()} for states in self.states]
        self.place(parameters)
