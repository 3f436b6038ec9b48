"""The loop of a pass over arrays of few bits: block by block, in which codes are read, and made of the new values.

A block's new values wait in a buffer until its largest is known. What is rounded at random draws a word for each block.
Names in the text: `x_...` the address of an array's scales, `b_...` a block's base and `z_...` its poison, `h_...` the
buffer, `t_...` the largest magnitude, `y_...` the key of an array's draws and `d_...` a block's word.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import torch

from ..rules.rule import Rule
from ..rules.storage import ROUNDING_SEED, Storage, codes
from .dither import BLOCK
from .program import Apply, Copy, Layout, Pass, Program

SIGNED, UNSIGNED, DITHERED = "codes", "sizes", "dithered"
"""How an array of few bits is called in a kernel: eight bits with a sign, without, bfloat16 rounded at random."""

MEMORY = {SIGNED: "uint8", UNSIGNED: "uint8", DITHERED: "bfloat16"}

_KIND = {SIGNED: "signed", UNSIGNED: "unsigned"}

PLACE, FIRST = "place of p", "first of p"
"""What stands among an entry's addresses, for what is drawn: the parameter's place, and its element that is first."""


def scales(array: str) -> str:
    """What an array's scales are called among the addresses; no name of a rule's has a space."""
    return f"scales of {array}"


def few_bits(rule: Rule, dtypes: Sequence[torch.dtype]) -> dict[str, str]:
    """The arrays of few bits, with what kernels call them; `dtypes` are those of `p`, `g` and the states."""
    low = {}
    for name, dtype in zip(("p", "g", *rule.states), dtypes, strict=True):
        if dtype is torch.uint8:
            low[name] = SIGNED if codes(rule, name) is Storage.CODES else UNSIGNED
        elif dtype is torch.bfloat16 and name in rule.storage:
            low[name] = DITHERED
    return low


def by_elements(program: Program, low: Collection[str]) -> bool:
    """Whether arrays of few bits meet element-wise passes alone, and tensors are not cut into matrices."""
    called = {source.place for step in program.steps if isinstance(step, Apply) for source in step.sources}
    copied = {name for step in program.steps if isinstance(step, Copy) for pair in step.pairs for name in pair}
    return not program.vectors and (called | copied).isdisjoint(low)


class LowBits:
    """Writes what a pass does with its arrays of few bits; `types` are those of all arrays."""

    def __init__(self, layout: Layout, step: Pass, types: Mapping[str, str]) -> None:
        self.layout = layout
        self.kinds = {name: types[name] for name in step.arrays if types[name] in MEMORY}
        self.read = [load.array for load in step.loads if load.array in self.kinds]
        self.stored = [array for array, _ in step.stores if array in self.kinds]
        self.coded = [name for name in self.kinds if self.kinds[name] in _KIND]
        self.held = [name for name in self.stored if name in self.coded]

    def arrays(self) -> list[tuple[str, str]]:
        """Further memory that is read and written: the names of the two functions for it, and its type."""
        scales = [(f"read_{name}, write_{name}", "uint8") for name in self.coded]
        return scales + [(f"peek_{name}, hold_{name}", "float32") for name in self.held]

    def buffers(self) -> list[str]:
        """Before everything."""
        return [f"h_{name} = buffer()" for name in self.held]

    def entry(self, places: Mapping[str, int]) -> list[str]:
        """Once an entry: where scales lie, and what numbers are drawn from."""
        lines = [f"x_{name} = integer(entry, {places[scales(name)]})" for name in self.coded]
        if self.stored:
            columns = self.layout.columns
            seed = f"int64(number(row, {columns.index(ROUNDING_SEED)}))" if ROUNDING_SEED in columns else "0"
            order = [array.name for array in self.layout.arrays if array.name != "g"]
            drawn = [seed, f"int64(number(row, {columns.index('t')}))", f"integer(entry, {places[PLACE]})"]
            lines += ["y = uint64(0)", *(f"y = mix(y, uint64({number}))" for number in drawn)]
            lines += [f"y_{name} = mix(y, uint64({order.index(name)}))" for name in self.stored]
        return lines

    def load(self, array: str, place: str) -> str:
        """The value of an element."""
        loaded = f"load_{array}(a_{array}, {place})"
        return f"{_KIND[self.kinds[array]]}_value({loaded}, b_{array}, z_{array})" if array in self.coded else loaded

    def store(self, array: str, place: str, value: str) -> list[str]:
        """An element's new value: rounded, or held until its block is done."""
        if array not in self.coded:
            return [f"store_{array}(a_{array}, {place}, round_bfloat16({value}, dithered(d_{array}, j)))"]
        return [
            f"hold_{array}(h_{array}, j, {value})",
            f"t_{array} = larger(t_{array}, magnitude({value}))",
        ]

    def loop(self, low: str, high: str, lines: Iterable[str]) -> list[str]:
        """A loop over elements, `low` the first of a block; `lines` are what is done for element `i`."""
        return [
            f"for c in range({low} // {BLOCK}, -(-{high} // {BLOCK})):",
            f"    start = c * {BLOCK}",
            f"    count = min({BLOCK}, {high} - start)",
            *(f"    {line}" for line in self._open()),
            "    for j in range(count):",
            "        i = start + j",
            *(f"        {line}" for line in lines),
            *(f"    {line}" for name in self.held for line in self._close(name)),
        ]

    def _open(self) -> list[str]:
        lines = [f"d_{name} = word(y_{name}, c)" for name in self.stored]
        for name in self.read:
            if name in self.coded:
                lines += [
                    f"scale = read_{name}(x_{name}, c)",
                    f"b_{name} = {_KIND[self.kinds[name]]}_base(scale)",
                    f"z_{name} = poison(scale)",
                ]
        return lines + [f"t_{name} = uint32(0)" for name in self.held]

    def _close(self, name: str) -> Sequence[str]:
        kind = _KIND[self.kinds[name]]
        code = f"{kind}_code(peek_{name}(h_{name}, j), b_{name}, dithered(d_{name}, j))"
        return [
            f"scale = exponent(t_{name})",
            f"write_{name}(x_{name}, c, scale)",
            f"b_{name} = {kind}_base(scale)",
            "for j in range(count):",
            f"    store_{name}(a_{name}, start + j, {code})",
        ]
