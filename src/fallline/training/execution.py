"""How a study's trials are trained: how many in a stack, or one by one on how many processes, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Execution:
    """How trials are trained: `width` of them in a stack, or (width 1) one by one on `processes` processes.

    `threads` bounds PyTorch's threads in a stack (0: as many as it is set to), `compiled` has PyTorch's compiler make
    machine code of its step. It is kept with a study: what a trial's last bits depend on must be the same when the
    study goes on. `reason` says why trials are not stacked.
    """

    width: int = 1
    processes: int = 1
    compiled: bool = False
    threads: int = 0
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Execution:
        """From what `to_dict` gave."""
        return cls(**values)

    def __str__(self) -> str:
        if self.width > 1:
            alone = ", on one thread" if self.threads == 1 else ""
            return f"{self.width} at a time as one program" + (", compiled" if self.compiled else "") + alone
        return "one by one" if self.processes == 1 else f"one by one on {self.processes} processes"
