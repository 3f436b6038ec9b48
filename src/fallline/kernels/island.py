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
from .work import Work


class Island:
    """Computes what a `land` says: `island(*tensors, *numbers)` gives a tensor for each of its shapes."""

    def __init__(self, land: Land) -> None:
        self.land = land
        self.forms: dict[torch.dtype, Form] = {}
        self.layouts: dict[tuple[torch.dtype, tuple[int, ...]], _Layout] = {}

    def __call__(self, *values: Any) -> list[Tensor]:
        """All tensors may have a further first dimension."""
        first, count = values[0], len(self.land.given)
        laid = self.layouts.get((first.dtype, first.shape)) or self._layout(first)
        arrays = [value.contiguous() for value in values[:count]]
        arrays += [torch.empty(shape, dtype=dtype) for shape, dtype in laid.fresh]
        entry = list(laid.entry)
        for place, k in laid.places:
            entry[place] = arrays[k].data_ptr()
        numbers = np.array([[*laid.before, *map(float, values[count:]), *laid.blank]])
        work = Work(laid.form, np.array(entry, np.int64), numbers, laid.blocks, laid.elements)
        for kernel in laid.form.steps:
            work.launch(kernel)
        return [arrays[k] for k in laid.made]

    def _layout(self, first: Tensor) -> _Layout:
        form = self.forms.get(first.dtype) or self._form(first.dtype)
        laid = self.layouts[first.dtype, first.shape] = _Layout(self.land, form, first.shape)
        return laid

    def _form(self, dtype: torch.dtype) -> Form:
        kind = Kind((dtype,) * len(self.land.plan.arrays), self.land.view)
        others = tuple(name for name in self.land.plan.arrays if name not in ("p", "g"))
        self.forms[dtype] = Form(Rule("island", _nothing, states=others), program(self.land.plan), kind)
        return self.forms[dtype]


class _Layout:
    """What is the same at every call for a first tensor of a shape."""

    def __init__(self, land: Land, form: Form, shape: tuple[int, ...]) -> None:
        self.form = form
        lead = shape[: len(shape) - len(shape_of(land.plan.arrays[land.given[0]], land.view))]
        cut = geometry(form, (*lead, *land.view))
        dtype = form.kind.dtypes[0]
        self.fresh = [((*lead, *sides), dtype) for sides in land.shapes.values()]
        self.fresh += [((cut.matrices * cut.sizes[name],), form.dtypes[name]) for name in form.temporaries]
        arrays = [*land.given, *land.shapes, *form.temporaries]
        self.entry = (0, 0, *cut.entry([0] * len(form.others)))
        self.places = [(form.places[name], arrays.index(name)) for name in form.places]
        self.made = [arrays.index(name) for name in land.made]
        self.before = () if land.timed else (0.0,)
        self.blank = (0.0,) * (len(form.program.layout.columns) - len(land.plan.numbers))
        self.blocks, self.elements = cut.blocks * cut.matrices, cut.length * cut.matrices


def _nothing(*values: Any) -> None:
    """An island has a plan of its own, and no text."""
