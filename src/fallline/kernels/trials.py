"""The kernels' table of a stack of trials: a row of numbers for each trial, or for each tensor of each trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ..rules.trace import Walk
from .form import Form
from .geometry import geometry
from .gpu.board import Board
from .gpu.work import DeviceWork
from .lowbits import FIRST, PLACE, scales
from .stack import Room, Stack
from .storage import SCALE
from .work import Work


class Table:
    """Tensors (trials, ...) of a stack, `chosen` among its parameters, that are stepped by one form.

    `columns` are those of `numbers` (lines, trials, all numbers) that the rule takes; line i is parameter i's where
    there is more than one.
    """

    def __init__(
        self,
        form: Form,
        chosen: Sequence[int],
        parameters: Sequence[Tensor],
        states: Sequence[Mapping[str, Tensor]],
        columns: Sequence[int],
        numbers: np.ndarray,
    ) -> None:
        self.form, self.chosen, self.columns = form, list(chosen), list(columns)
        self.parameters = [parameters[i] for i in chosen]
        self.states = [states[i] for i in chosen]
        lines, self.trials, _ = numbers.shape
        self.each = form.each or lines > 1
        self.views = [form.rule.view(p.shape[1:]) for p in self.parameters]
        self.cuts = [geometry(form, view) for view in self.views]
        self.blocks = self.trials * sum(cut.blocks * cut.matrices for cut in self.cuts)
        self.elements = sum(p.numel() for p in self.parameters)
        owners = np.arange(len(self.chosen) if self.each else 1)
        self.trial_of = np.tile(np.arange(self.trials), len(owners))
        self.line_of = np.repeat(np.array(self.chosen)[owners] if lines > 1 else 0 * owners, self.trials)
        self.filled = np.repeat([not self.each or self.cuts[k].length > 0 for k in owners], self.trials)
        """The rows of tensors that have elements: others compute no numbers."""
        self.facts = np.repeat([self.cuts[k].facts for k in owners], self.trials, 0)
        self.memory: list[Tensor] = []
        kind, draws = form.kind, form.program.layout.draws
        self.board = None if kind.backend == "numba" else Board(form.width, kind.device, 2 * draws)
        """What lies on another device than the CPU."""
        self._lay_out()

    def _lay_out(self) -> None:
        """The entries: of every tensor, trial and matrix."""
        entries, owners, offsets = [], [], []
        for k, cut in enumerate(self.cuts):
            count = np.arange(self.trials * cut.matrices)
            trial = count // cut.matrices
            row = trial + k * self.trials * self.each
            sizes = [np.full_like(count, number) for number in (0, cut.length, cut.block, cut.columns, 1)]
            own = self._addresses(k)
            # of each trial's own tensor
            counted = {FIRST: count % cut.matrices}
            arrays = [own.get(name, 0) + counted.get(name, count) * cut.steps[name] for name in self.form.others]
            entries.append(np.stack([row, *sizes, *arrays], -1))
            owners.append(np.full_like(count, k))
            offsets.append(count * cut.steps["g"])
        table, self.owners, self.offsets = map(np.concatenate, (entries, owners, offsets))
        if not self.form.program.calls:
            # row by row: the kernel derives its numbers anew whenever the row changes
            order = np.argsort(table[:, 0], kind="stable")
            table, self.owners, self.offsets = table[order], self.owners[order], self.offsets[order]
        self.table = np.ascontiguousarray(table, np.int64)

    def _addresses(self, k: int) -> dict[str, int]:
        tensors = {"p": self.parameters[k], **self.states[k]}
        own = {name: tensors[name].data_ptr() for name in self.form.inputs if name != "g"}
        own |= {scales(name): tensors[name + SCALE].data_ptr() for name in self.form.program.layout.coded}
        own[PLACE] = self.chosen[k]
        if not self.form.program.calls:
            count = self.trials * self.cuts[k].matrices
            for name in self.form.temporaries:
                size, dtype = count * self.cuts[k].sizes[name], self.form.dtypes[name]
                self.memory.append(torch.empty(size, dtype=dtype, device=self.form.kind.device))
                own[name] = self.memory[-1].data_ptr()
        return own

    def walk(self, numbers: np.ndarray, gradients: Sequence[Tensor], those: np.ndarray | None, room: Room) -> Walk:
        """Step them; yields and is sent sums by trial. `those` (lines, trials) tells which, where it is not all."""
        rows = np.zeros((len(self.trial_of), len(self.form.program.layout.columns)))
        given = len(self.columns)
        rows[:, :given] = numbers[self.line_of, self.trial_of][:, self.columns]
        rows[:, given : given + self.facts.shape[1]] = self.facts
        self.table[:, 1] = np.array([gradients[i].data_ptr() for i in self.chosen])[self.owners] + self.offsets
        kept = self.columns[given - len(self.form.kept) :] if self.form.kept else []
        rows[:, self.form.kept] = numbers[self.line_of, self.trial_of][:, kept]
        stepped = np.ones(len(rows), bool) if those is None else those[self.line_of, self.trial_of]
        table = self.table if those is None else self.table[stepped[self.table[:, 0]]]
        work = self._work(table, rows, gradients)
        for columns in work.run(room):
            made = rows if self.board is None else self.board.rows
            by_trial = [made[:, column].reshape(-1, self.trials) for column in columns]
            sums = yield tuple(part.sum(0) for part in by_trial)
            for part, total in zip(by_trial, sums, strict=True):
                part[:] = total
        if kept and self.board is not None:
            rows = self.board.rows.cpu().numpy()
        told = stepped & self.filled
        for column, after in zip(kept, self.form.kept, strict=True):
            numbers[self.line_of[told], self.trial_of[told], column] = rows[told, after]

    def _work(self, table: np.ndarray, rows: np.ndarray, gradients: Sequence[Tensor]) -> Work | DeviceWork:
        stack = self._stack(gradients) if self.form.program.calls else None
        if self.board is not None:
            return DeviceWork(self.form, table, rows, self.board, stack)
        return Work(self.form, table.reshape(-1), rows, self._blocks(table), self.elements, stack)

    def _blocks(self, table: np.ndarray) -> int:
        return self.blocks if table is self.table else int((-(-table[:, 2] // table[:, 3])).sum())

    def _stack(self, gradients: Sequence[Tensor]) -> Stack:
        view = self.views[0]
        members = {"p": self.parameters, "g": [gradients[i] for i in self.chosen]}
        members = {name: [t.view(self.trials, *view) for t in tensors] for name, tensors in members.items()}
        for name in self.form.rule.states:
            tensors = [states[name] for states in self.states]
            shaped = name in self.form.rule.shapes
            members[name] = tensors if shaped else [t.view(self.trials, *view) for t in tensors]
        if self.trials * len(self.chosen) == 1:
            members = {name: [t[0] for t in tensors] for name, tensors in members.items()}
        rows = [trial + k * self.trials * self.each for k in range(len(self.chosen)) for trial in range(self.trials)]
        places = [i for i in self.chosen for _ in range(self.trials)]
        return Stack(self.form, view, members, rows, places)
