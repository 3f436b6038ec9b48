"""Stepping the trials of a stack by one rule: parameters with a leading trial axis, numbers of each trial's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..rules.rule import Rule
from ..rules.trace import Walk, chosen, conditions, decision, side_by_side, together, trace
from . import form as forms
from . import storage, text
from .form import Kind, form
from .plan import sides
from .stack import Room
from .trials import Table


class StackedStepper:
    """Steps `parameters`, each (trials, ...) and contiguous, by a rule; trial k with hyper-parameters `settings[k]`.

    `states[i][name]` is a state of parameter i, (trials, ...); the scales of one in eight bits are beside it. `rows`
    (1, trials, numbers) holds every trial's count of steps, its hyper-parameters and the numbers it carries from step
    to step; where these differ between a trial's tensors it is (parameters, trials, numbers).
    """

    def __init__(self, rule: Rule, parameters: Sequence[Tensor], settings: Sequence[Mapping[str, float]]) -> None:
        self.rule = rule
        self.rules = [rule.of_shape(p.shape[1:]) for p in parameters]
        numbers = {name: start for each in self.rules for name, start in each.numbers.items()}
        self.names = ("t", *rule.hypers, *numbers)
        self.values = [{**rule.defaults, **given} for given in settings]
        self.began = {name: np.array([value[name] for value in self.values]) for name in rule.hypers}
        """The hyper-parameters as the trials began with them, whatever `rows` holds since."""
        rows = np.array([[0.0, *(value[name] for name in rule.hypers), *numbers.values()] for value in self.values])
        own = any(map(_carries_scalars, self.rules))
        self.rows = np.repeat(rows[None], len(parameters) if own else 1, 0)
        self.states = [self._start(each, p) for each, p in zip(self.rules, parameters, strict=True)]
        self.room = Room()
        self.place(parameters)

    def _start(self, rule: Rule, p: Tensor) -> dict[str, Tensor]:
        """The states of a parameter, of all trials, as each of them alone would keep them."""
        alone = []
        for one, values in zip(p.detach(), self.values, strict=True):
            alone.append({name: text.fresh(rule, name, one, values) for name in rule.states})
            for name in rule.states:
                storage.keep(rule, name, name, alone[-1], one)
        return {key: torch.stack([state[key] for state in alone]) for key in alone[0]}

    def place(self, parameters: Sequence[Tensor]) -> None:
        """Say where the parameters lie now."""
        self.parameters = [p.detach() for p in parameters]
        self.tables: dict[Any, list[Table] | None] = {}

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Take one step with the parameters' gradients, which have their shapes."""
        self.rows[..., 0] += 1
        gradients = [g.contiguous() for g in gradients]
        walks = self._by_kernel(gradients)
        if walks is None:
            walks = [self._by_text(gradients)]
        together(walks)

    def _by_kernel(self, gradients: Sequence[Tensor]) -> list[Walk] | None:
        """The steps by kernels; None where not all can be stepped so."""
        if any(g.dtype != p.dtype for g, p in zip(gradients, self.parameters, strict=True)):
            return None
        walks: list[Walk] = []
        for rule in dict.fromkeys(self.rules):
            for said, rows in self._choices(rule):
                tables = self._tables(rule, said)
                if tables is None or (rows is not None and any(table.form.program.calls for table in tables)):
                    return None
                walks += [table.walk(self.rows, gradients, rows, self.room) for table in tables]
        return walks

    def _choices(self, rule: Rule) -> list[tuple[Any, np.ndarray | None]]:
        """What `when`s decide, with the (lines, trials) of which they decide it; None for all of them."""
        if not conditions(rule):
            return [(None, None)]
        numbers = self.rows[..., self._columns(rule)]
        decide = decision(rule)
        said = [decide(row) for row in numbers.reshape(-1, numbers.shape[-1]).tolist()]
        found = dict.fromkeys(said)
        if len(found) == 1:
            return [(said[0], None)]
        return [(one, np.array([other == one for other in said]).reshape(numbers.shape[:-1])) for one in found]

    def _columns(self, rule: Rule) -> list[int]:
        return [self.names.index(name) for name in ("t", *rule.hypers, *rule.numbers)]

    def _tables(self, rule: Rule, said: Any) -> list[Table] | None:
        if (rule, said) not in self.tables:
            self.tables[rule, said] = self._made_tables(rule, rule if said is None else chosen(rule, said))
        return self.tables[rule, said]

    def _made_tables(self, rule: Rule, made: Rule) -> list[Table] | None:
        members: dict[Any, list[int]] = {}
        for k, p in enumerate(self.parameters):
            if self.rules[k] is not rule:
                continue
            tensors = (p, p, *(self.states[k][name] for name in rule.states))
            sizes = tuple((name, self.values[0][name]) for name in sorted(sides(rule)))
            backend = forms.backend(p.device)
            if backend is None or not all(t.device == p.device for t in tensors):
                return None
            found = form(made, Kind(tuple(t.dtype for t in tensors), rule.view(p.shape[1:]), sizes, p.device, backend))
            if found is None:
                return None
            if p.numel() or not found.program.calls:
                members.setdefault(found, []).append(k)
        columns = self._columns(rule)
        return [Table(found, ks, self.parameters, self.states, columns, self.rows) for found, ks in members.items()]

    def _by_text(self, gradients: Sequence[Tensor]) -> Walk:
        """All trials by the rules' texts; what a trial's tensors sum is that trial's."""
        walks = [side_by_side(self._items(gradients, k)) for k in range(self.rows.shape[1])]
        done = yield from _in_step(walks)
        for k, after in enumerate(done):
            for i, numbers in enumerate(after):
                for name, number in zip(self.rules[i].numbers, numbers, strict=True):
                    if not self.parameters[i].numel():
                        continue  # it was not stepped
                    self.rows[i % len(self.rows), k, self.names.index(name)] = number

    def _items(self, gradients: Sequence[Tensor], trial: int) -> Iterator[Walk]:
        for i, (p, rule) in enumerate(zip(self.parameters, self.rules, strict=True)):
            numbers = self.rows[i % len(self.rows), trial, self._columns(rule)].tolist()
            count = 1 + len(rule.hypers)
            states = {key: value[trial] for key, value in self.states[i].items()}
            tensors = [p[trial], *(storage.held(rule, name, name, states) for name in rule.states)]
            yield text.steps(rule, text.Item(tensors, gradients[i][trial], numbers[:count], numbers[count:], i))

    @property
    def evaluates_elsewhere(self) -> bool:
        """Whether the rule gives other weights to evaluate at than those that it trains."""
        return any(rule.evaluation is not None for rule in self.rules)

    def evaluated(self) -> list[Tensor]:
        """The weights to evaluate at, as the parameters."""
        return [torch.stack([self._evaluated(i, k) for k in range(len(p))]) for i, p in enumerate(self.parameters)]

    def _evaluated(self, i: int, k: int) -> Tensor:
        states = {name: state[k] for name, state in self.states[i].items()}
        values = dict(zip(self.names[1:], self.rows[i % len(self.rows), k, 1:].tolist(), strict=True))
        weights: Tensor = self.rules[i].evaluated(self.parameters[i][k], states, values)
        return weights

    def set(self, hyper: str, value: float) -> None:
        """Give a hyper-parameter the same value in all trials."""
        self.rows[..., self.names.index(hyper)] = value

    def keep(self, trials: Sequence[int], parameters: Sequence[Tensor]) -> None:
        """Go on with these trials alone; `parameters` are theirs."""
        self.rows = np.ascontiguousarray(self.rows[:, list(trials)])
        self.values = [self.values[k] for k in trials]
        self.began = {name: values[list(trials)] for name, values in self.began.items()}
        self.states = [{name: state[list(trials)] for name, state in states.items()} for states in self.states]
        self.place(parameters)


def _carries_scalars(rule: Rule) -> bool:
    """Whether a tensor's own values decide a number that is carried."""
    graph = trace(rule)
    return any(graph.kinds[node] == "scalar" for node in graph.outputs[1 + len(rule.states) :])


def _in_step(walks: Sequence[Walk]) -> Walk:
    """Trials side by side, each with sums of its own."""
    sums: list[Any] = [None] * len(walks)
    done: list[Any] = [None] * len(walks)
    going = list(range(len(walks)))
    while going:
        for k in list(going):
            try:
                sums[k] = walks[k].send(sums[k])
            except StopIteration as end:
                done[k] = end.value
                going.remove(k)
    yield from ()
    return done
