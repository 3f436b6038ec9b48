"""A length of time in a training run: steps, or a share of the run."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import InputError


@dataclass(frozen=True)
class Length:
    """So many `steps`, or the `share` (0 to 1) of a run."""

    steps: int | None = None
    share: float | None = None

    def of(self, run: int) -> int:
        """In steps, for a run of so many."""
        return round(self.share * run) if self.share is not None else self.steps or 0

    def __str__(self) -> str:
        return f"{100 * self.share:g}%" if self.share is not None else str(self.steps)

    @classmethod
    def read(cls, text: str, of: str) -> Length:
        """`5%`, `500` or `500 steps`. Raises `InputError`, naming what it is a length `of`, for anything else."""
        match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*(%|steps?|)", text.strip())
        if match is not None:
            number, unit = float(match.group(1)), match.group(2)
            if unit == "%" and number <= 100:
                return cls(share=number / 100)
            if unit != "%" and number == int(number):
                return cls(steps=int(number))
        raise InputError(f"{text!r} is not allowed for {of}; write a share of the run (5%) or steps (500).")
