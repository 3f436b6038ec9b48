"""The history of a run as text: a line of JSON for every epoch, which any program can follow while it grows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..training import Point


@dataclass(frozen=True)
class Row(Point):
    """The end of an epoch: a point of the curve, and how it was trained.

    `lr` and `batch_size` are those of the epoch's last update; `examples_per_second` is over the epoch.
    """

    lr: float | None
    batch_size: int
    examples_per_second: float | None


class History:
    """The rows of a run, and `history.jsonl` in a directory where there is one."""

    def __init__(self, directory: Path | None, rows: Sequence[Row] = ()) -> None:
        self.rows = list(rows)
        self._path = None if directory is None else directory / "history.jsonl"
        if self._path is not None:
            # what a killed process had written beyond its checkpoint is trained, and written, again
            self._path.write_text("".join(map(_line, self.rows)))

    def add(self, row: Row) -> None:
        """One more epoch."""
        self.rows.append(row)
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(_line(row))


def _line(row: Row) -> str:
    return json.dumps(asdict(row)) + "\n"
