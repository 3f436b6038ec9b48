"""An island as a function of tensors and numbers: it is compiled when it is first called."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..rules.rule import Rule
from .extent import shape_of
from .form import Form, Kind
from .geometry import geometry
from .islands import Land
from .schedule import program
from .stack import Room
from .work import Work

_ROOM = Room()


class Island:
    """Computes what a `land` says: `island(*tensors, *numbers)` gives a tensor for each of its shapes."""

    def __init__(self, land: Land) -> None:
        self.land = land
        self.forms: dict[torch.dtype, Form] = {}
        self.before = [] if land.timed else [0.0]
        self.sides = shape_of(land.plan.arrays[land.given[0]], land.view)

    def __call__(self, *values: Any) -> list[Tensor]:
        """All tensors may have a further first dimension."""
        land = self.land
        first = values[0]
        form = self.forms.get(first.dtype) or self._form(first.dtype)
        lead = first.shape[: first.dim() - len(self.sides)]
        arrays = {name: value.contiguous() for name, value in zip(land.given, values, strict=False)}
        for name, shape in land.shapes.items():
            arrays[name] = first.new_empty((*lead, *shape))
        cut = geometry(form, (*lead, *land.view))
        for name in form.temporaries:
            arrays[name] = torch.empty(cut.matrices * cut.sizes[name], dtype=form.dtypes[name])
        addresses = [arrays[name].data_ptr() for name in form.others]
        table = np.array([0, arrays["g"].data_ptr(), *cut.entry(addresses)], np.int64)
        numbers = [*self.before, *map(float, values[len(land.given) :])]
        blank = [0.0] * (len(form.program.layout.columns) - len(numbers))
        work = Work(form, table, np.array([[*numbers, *blank]]), cut.blocks * cut.matrices, cut.length * cut.matrices)
        for _ in work.run(_ROOM):
            raise AssertionError("an island waits for no sums")
        return [arrays[name] for name in land.made]

    def _form(self, dtype: torch.dtype) -> Form:
        kind = Kind((dtype,) * len(self.land.plan.arrays), self.land.view)
        others = tuple(name for name in self.land.plan.arrays if name not in ("p", "g"))
        self.forms[dtype] = Form(Rule("island", _nothing, states=others), program(self.land.plan), kind)
        return self.forms[dtype]


def _nothing(*values: Any) -> None:
    """An island has a plan of its own, and no text."""
