"""A plan as a program: passes over memory, sums over all parameters, and calls of PyTorch's functions, in order.

A *pass* runs over every element (or row, column, matrix) of all tensors once: it loads arrays, computes, reduces,
stores. It is what a backend prints as one kernel. `clip_norm(adamw)` is two passes with a `Round` between them: one
that reads the gradients alone, and one that updates.

Every tensor is one or more *entries* of a table, each of some matrices: a backend's kernel finds there the addresses of
the arrays in `Layout.arrays` and the entry's *row* of numbers, whose columns are `Layout.columns`, all float64. What a
reduction of whole tensors makes is a column of the row, too; tensors share a row only where no such column differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from .extent import Extent, is_tensor
from .operation import Call, Operation, Value


@dataclass(frozen=True)
class Array:
    """An array of a program: an input (`p`, `g`, a state), or, with `temporary`, a value that one step hands on.

    Temporaries are in the precision that kernels compute in. A matrix's values lie one after another, whatever the
    extent: rows * columns, rows, columns, or one. A temporary of columns has as many for each block of the matrix,
    which leaves its sums there.
    """

    name: str
    extent: Extent
    temporary: bool = False

    @property
    def kind(self) -> str:
        """What tells how much memory a matrix's values take."""
        return "sums" if self.temporary and self.extent == "columns" else self.extent


@dataclass(frozen=True)
class Layout:
    """What a program's kernels are given: arrays, and the columns of a row of numbers.

    Of the arrays that are `coded`, in eight bits, kernels need the scales too; in a program that `draws` at random, the
    parameter's place and the index of an entry's first element.

    Columns are the number inputs of the plan (`t`, hyper-parameters, carried numbers, facts of a tensor's shape), then
    what passes make. A carried number's new value is in the column `name'`.
    """

    arrays: tuple[Array, ...]
    columns: tuple[str, ...]
    coded: tuple[str, ...] = ()
    draws: bool = False

    @cached_property
    def place(self) -> Mapping[str, int]:
        """The columns' places in a row."""
        return {name: k for k, name in enumerate(self.columns)}


@dataclass(frozen=True)
class Load:
    """`value` is read from `array`: at the element's, its row's, its column's or its matrix's place."""

    value: str
    array: str
    extent: Extent


@dataclass(frozen=True)
class Reduction:
    """`name` is a reduction of the pass's value `of`: `op` is `sum`, `squares`, `max` or `min`.

    Into `scalar`, over all entries with one row of numbers, it is left in the row's column `name`. Into `rows`,
    `columns` or `matrix` it is stored in the temporary array `name`, for `finish="root"` its square root, for
    `finish="mean"` divided by how many there were. It is accumulated in float64 and does not depend on how the work is
    shared among threads.
    """

    name: str
    op: str
    of: Value
    into: Extent
    finish: str = ""


@dataclass(frozen=True)
class Pass:
    """One kernel: over everything of an extent; over rows of numbers alone where that is `number`.

    `operations` come in order; those whose extent is `number` or `scalar` are computed in float64, once a row.
    `stores` are (array, value), `keeps` (column, value). Every load of an element comes before the stores to it.
    """

    extent: Extent
    loads: tuple[Load, ...]
    operations: tuple[Operation, ...]
    reductions: tuple[Reduction, ...]
    stores: tuple[tuple[str, Value], ...]
    keeps: tuple[tuple[str, Value], ...]

    @property
    def arrays(self) -> tuple[str, ...]:
        """The arrays it touches."""
        touched = [load.array for load in self.loads] + [array for array, _ in self.stores]
        return tuple(dict.fromkeys(touched + [r.name for r in self.reductions if r.into != "scalar"]))


@dataclass(frozen=True)
class Round:
    """These columns are summed over all rows of all that is stepped together; all rows receive the sums."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """Where a call finds a value: in the array, or, for a number or a scalar, in the column `place`.

    A condition is there as a number, which is not zero where it holds.
    """

    value: str
    place: str
    extent: Extent
    boolean: bool


@dataclass(frozen=True)
class Apply:
    """A PyTorch function is called; what it gives is the array `name`, or a column where it gives one number."""

    name: str
    call: Call
    sources: tuple[Source, ...]
    extent: Extent

    @cached_property
    def tensors(self) -> tuple[Source, ...]:
        """Where it finds tensors."""
        return tuple(source for source in self.sources if is_tensor(source.extent))

    @cached_property
    def numbers(self) -> tuple[Source, ...]:
        """Where it finds numbers and scalars."""
        return tuple(source for source in self.sources if not is_tensor(source.extent))


@dataclass(frozen=True)
class Copy:
    """States receive what calls gave, after everything else: (state, array)."""

    pairs: tuple[tuple[str, str], ...]


Step = Pass | Round | Apply | Copy


@dataclass(frozen=True)
class Program:
    """The steps of a rule, in order."""

    layout: Layout
    steps: tuple[Step, ...]
    dimensions: int
    """How many dimensions a tensor needs at least."""
    general: bool = True
    """Whether it is the same for tensors of every shape."""

    @property
    def passes(self) -> tuple[Pass, ...]:
        """The kernels, in order."""
        return tuple(step for step in self.steps if isinstance(step, Pass))

    @property
    def scalars(self) -> bool:
        """Whether tensors need rows of their own: a column differs between tensors with equal settings."""
        sums = {name for step in self.steps if isinstance(step, Round) for name in step.names}
        made = {r.name for step in self.passes for r in step.reductions if r.into == "scalar"}
        made |= {step.name for step in self.steps if isinstance(step, Apply) and step.extent == "scalar"}
        return bool(made - sums) or any(column.startswith("#") for column in self.layout.columns)

    @property
    def vectors(self) -> bool:
        """Whether it must know rows from columns."""
        return any(array.extent not in ("elements", "other") for array in self.layout.arrays)

    @property
    def calls(self) -> bool:
        """Whether it needs more than kernels: then tensors of one shape are stepped together."""
        return any(isinstance(step, Apply | Copy) for step in self.steps)
