"""A rule's program for tensors of one kind, ready to run: its kernels, and where what stands in tables and rows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from importlib.util import find_spec
from itertools import groupby

import torch

from ..rules.rule import Rule
from . import cpu
from .extent import Extent
from .gpu import kernel as gpu
from .lowbits import DITHERED, by_elements, few_bits
from .operation import UnknownOperation
from .plan import plan
from .program import Apply, Copy, Pass, Program, Round, Step
from .schedule import program

KERNEL_DTYPES = {getattr(torch, name): name for name in cpu.DTYPES} | {torch.uint8: "uint8"}

Ready = cpu.Kernel | gpu.Kernel | tuple[int, ...] | Apply | Copy
"""A step with all that is known beforehand: a kernel, the columns of a round, or a call."""


_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Kind:
    """What tensors must have in common to be stepped by one program.

    `dtypes` are those of the parameter, its gradient and its states. Where the program depends on them: `view` is the
    shape in which the rule sees the parameter, None for one whose elements do not lie in order; `sizes` are the
    hyper-parameters that decide on the shapes of states. They lie on `device`, for which `backend` makes kernels.
    """

    dtypes: tuple[torch.dtype, ...]
    view: tuple[int, ...] | None = None
    sizes: tuple[tuple[str, float], ...] = ()
    device: torch.device = _CPU
    backend: str = "numba"


@lru_cache(maxsize=None)
def backend(device: torch.device) -> str | None:
    """What makes kernels for tensors on a device; None where nothing does."""
    if device.type == "cpu":
        return "numba"
    return "triton" if device.type == "cuda" and find_spec("triton") else None


@dataclass(frozen=True, eq=False)
class Form:
    """A program for one kind of tensors."""

    rule: Rule
    program: Program
    kind: Kind

    @cached_property
    def dtype(self) -> torch.dtype:
        """What is computed in."""
        return torch.float64 if self.kind.dtypes[0] is torch.float64 else torch.float32

    @cached_property
    def dtypes(self) -> Mapping[str, torch.dtype]:
        """The types of the arrays: reductions are kept in float64."""
        made = {name: torch.float64 if name in self.reduced else self.dtype for name in self.temporaries}
        return dict(zip(self.inputs, self.kind.dtypes, strict=True)) | made

    @cached_property
    def reduced(self) -> Mapping[str, Extent]:
        """The arrays that are reductions, with what these make."""
        return {r.name: r.into for step in self.program.passes for r in step.reductions if r.into != "scalar"}

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The parameter, its gradient and its states."""
        return tuple(array.name for array in self.program.layout.arrays if not array.temporary)

    @cached_property
    def temporaries(self) -> tuple[str, ...]:
        """The arrays that one step hands on to another."""
        return tuple(array.name for array in self.program.layout.arrays if array.temporary)

    @cached_property
    def touched(self) -> frozenset[str]:
        """The arrays that passes read or write, which have to lie in memory as kernels expect them."""
        return frozenset(name for step in self.program.passes for name in step.arrays)

    @cached_property
    def others(self) -> tuple[str, ...]:
        """The arrays but for the gradient whose addresses stand in the table, in its order."""
        return tuple(name for name in self.places if name != "g")

    @cached_property
    def steps(self) -> tuple[Ready, ...]:
        """The program's steps in order; on the CPU consecutive passes over vectors as one kernel."""
        if self.kind.backend == "triton":
            return tuple(self._launched(step, k == 0) for k, step in enumerate(self.program.steps))
        return tuple(map(self._ready, self._grouped()))

    @cached_property
    def parts(self) -> tuple[tuple[tuple[int, ...], tuple[Ready, ...]], ...]:
        """The steps between rounds: the columns of the round before them, none at first, and the steps."""
        parts: list[tuple[tuple[int, ...], list[Ready]]] = [((), [])]
        for step in self.steps:
            if isinstance(step, tuple):
                parts.append((step, []))
            else:
                parts[-1][1].append(step)
        return tuple((columns, tuple(steps)) for columns, steps in parts)

    def _launched(self, step: Step, first: bool) -> Ready:
        if isinstance(step, Pass):
            carried = tuple(self.rule.numbers) if first else None
            return gpu.compiled(self.program.layout, step, self._types, carried)
        return self._ready(step)

    def _grouped(self) -> Iterator[tuple[Pass, ...] | Round | Apply | Copy]:
        for vector, steps in groupby(self.program.steps, _over_vectors):
            if vector:
                yield tuple(step for step in steps if isinstance(step, Pass))
            else:
                yield from ((step,) if isinstance(step, Pass) else step for step in steps)

    @cached_property
    def _types(self) -> tuple[str, ...]:
        low = few_bits(self.rule, self.kind.dtypes)
        return tuple(low.get(name, KERNEL_DTYPES[dtype]) for name, dtype in self.dtypes.items())

    def _ready(self, step: tuple[Pass, ...] | Round | Apply | Copy) -> Ready:
        if isinstance(step, tuple):
            return cpu.compiled(self.program.layout, step, self._types)
        if isinstance(step, Round):
            return tuple(map(self.program.layout.columns.index, step.names))
        return step

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Where in an entry of the table an array's address stands."""
        return cpu.places(self.program.layout)

    @cached_property
    def width(self) -> int:
        """Numbers in an entry of the table."""
        return 1 + max(self.places.values())

    @cached_property
    def facts(self) -> tuple[str, ...]:
        """The columns that a parameter's shape gives; they follow the rule's numbers."""
        return tuple(name for name in self.program.layout.columns if name.startswith("#"))

    @cached_property
    def kept(self) -> list[int]:
        """The columns in which the carried numbers' new values are."""
        return [self.program.layout.columns.index(f"{name}'") for name in self.rule.numbers]

    @cached_property
    def sums(self) -> bool:
        """Whether it sums over all parameters."""
        return any(isinstance(step, Round) for step in self.program.steps)

    @cached_property
    def each(self) -> bool:
        """Whether every tensor needs a row of numbers of its own."""
        return self.program.scalars

    @cached_property
    def by_matrix(self) -> bool:
        """Whether a tensor's rows and columns, and its matrices, matter."""
        return self.program.vectors


def form(rule: Rule, kind: Kind) -> Form | None:
    """The form of a rule whose choices are made; None where it is to be stepped by its text."""
    made = _form(rule, replace(kind, view=None, sizes=()))
    if made is not None and not made.program.general:
        made = None if kind.view is None else _form(rule, kind)
    if made is None:
        return None
    return None if len(kind.view or ()) < made.program.dimensions else made


@lru_cache(maxsize=None)
def _form(rule: Rule, kind: Kind) -> Form | None:
    if kind.backend == "numba" and os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return None
    wide = torch.float64 if kind.dtypes[0] is torch.float64 else torch.float32
    rereads = all(dtype is wide for dtype in kind.dtypes)
    try:
        made = program(plan(rule, kind.view, dict(kind.sizes)), rereads, islands=kind.backend == "numba")
    except UnknownOperation:
        return None
    low = few_bits(rule, kind.dtypes)
    if low and (kind.backend != "numba" or not by_elements(made, low)):
        return None
    coded = tuple(name for name, kept in low.items() if kept != DITHERED)
    layout = replace(made.layout, coded=coded, draws=made.layout.draws or bool(low))
    return Form(rule, replace(made, layout=layout), kind)


def _over_vectors(step: Step) -> bool:
    """Whether an entry takes the step by itself: no other entry waits for what it makes, nor it for theirs."""
    return (
        isinstance(step, Pass)
        and step.extent in ("rows", "columns", "matrix")
        and not any(r.into == "scalar" for r in step.reductions)
    )
