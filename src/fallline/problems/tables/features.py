"""What the training rows teach about the columns: how each becomes features, and which are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...errors import InputError
from . import texts
from .columns import Column, joined
from .encoders import LEVELS, VOCABULARY, Categories, Dates, Encoder, Numbers, Words

Array = np.ndarray[Any, Any]
_FREE = 0.5
"""Share of different values from which on a text column is free text, or else an identifier."""
_WORDS = 3.0
"""Words a value, in the mean, from which on such a column is free text."""
_FAR = 1e9
"""Times the usual distance from the median beyond which a number must be a code or a mistake: float32 cannot hold its
square beside the others."""


@dataclass
class Features:
    """The encoders of a table's columns, in their order, and notes on what was done to which column."""

    encoders: list[tuple[Column, Encoder]] = field(default_factory=list)
    done: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def fit(cls, columns: Sequence[Column], rows: Array) -> Features:
        """From the columns' values at the training rows. Raises `InputError` if no column can be used."""
        made = cls()
        for column in columns:
            encoder = made._encoder(column, rows)
            if encoder is not None:
                made.encoders.append(encoder)
        made.notes = [f"{what}: {joined(names)}." for what, names in made.done.items()] + made.notes
        if not made.encoders:
            raise InputError(f"no column is left to learn from. {' '.join(made.notes)}")
        return made

    def __call__(self, rows: Array) -> Array:
        """The features (rows, k), float32, of these rows."""
        return np.concatenate([encoder(column.values.iloc[rows]) for column, encoder in self.encoders], 1)

    def _encoder(self, column: Column, rows: Array) -> tuple[Column, Encoder] | None:
        """The column, read as numbers or dates where it holds them, and its encoder; None if it is left out."""
        if column.kind == "text":
            column = self._read(column)
        if column.kind == "number":
            column = self._near(column, rows)
        known = column.take(rows).known
        different = known.nunique()
        train = column.values.iloc[rows]
        if column.kind == "other":
            return self._left_out(f"values of type {column.type}", column)
        if different == 0:
            return self._left_out("no values in the training rows", column)
        if different == 1 and len(known) == len(train):
            return self._left_out("one value in all training rows", column)
        if len(known) < len(train):
            self._do("Missing values, filled with the training median or made a category of their own", column)
        if column.kind == "date":
            self._do("Dates, as days since the first one and as places in year, week and day", column)
            return column, Dates.fit(train)
        if column.kind == "number":
            if _counts_rows(column):
                return self._left_out("whole numbers that count the rows", column)
            if column.infinite:
                self.notes.append(f"{column.infinite} values of {column.name!r} are infinite: they count as missing.")
            self._do("Numbers, less the training mean over the training standard deviation", column)
            return column, Numbers.fit(train)
        return self._of_text(column, train, known, different)

    def _of_text(self, column: Column, train: Any, known: Any, different: int) -> tuple[Column, Encoder] | None:
        if different > max(LEVELS, _FREE * len(known)):
            if known.str.split().str.len().mean() >= _WORDS:
                self._do(f"Free text, as tf-idf weights of the commonest training words, {VOCABULARY} at most", column)
                return column, Words.fit(train)
            return self._left_out("text in which most values differ, as identifiers do", column)
        if different > LEVELS:
            share = known.isin(Categories.fit(train).levels).mean()
            self.notes.append(
                f"{column.name!r} has {different} categories in the training rows: the {LEVELS} most frequent "
                f"({share:.0%} of the rows) have a feature each, the others none."
            )
        self._do("Categories, a feature (0 or 1) for each", column)
        return column, Categories.fit(train)

    def _read(self, column: Column) -> Column:
        for kind, parse in (("number", texts.numbers), ("date", texts.dates)):
            read = parse(column.values)
            if read is not None:
                values, note = read
                if note:
                    self.notes.append(f"{column.name!r} is text that holds {kind}s: {note}.")
                return Column(column.name, kind, values, column.type, column.number)  # type: ignore[arg-type]
        return column

    def _near(self, column: Column, rows: Array) -> Column:
        """The column without numbers that lie absurdly far from those of the training rows."""
        known = column.take(rows).known
        distances = (known - known.median()).abs()
        far = (column.values - known.median()).abs() > _FAR * distances[distances > 0].median()
        if not far.any():
            return column
        shown = ", ".join(f"{value:g}" for value in column.values[far].unique()[:3])
        self.notes.append(
            f"{far.sum()} values of {column.name!r} ({shown}) are over a billion times as far from its median as the "
            "others: they count as missing."
        )
        return replace(column, values=column.values.mask(far))

    def _do(self, what: str, column: Column) -> None:
        self.done.setdefault(what, []).append(column.name)

    def _left_out(self, why: str, column: Column) -> tuple[Column, Encoder] | None:
        self._do(f"Left out ({why})", column)
        return None


def _counts_rows(column: Column) -> bool:
    """Whether the values are n, n + 1, n + 2, ... down the table, as of an index that was saved with it."""
    steps = np.diff(column.values.to_numpy(np.float64))
    return len(steps) > 1 and bool((steps == 1).all())
