"""Typed columns: what every column of a table holds, whatever file it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

Kind = Literal["number", "date", "text", "other"]
MISSING = ("", "?", "-", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NULL", "null", "None", "none", "NaT")
"""Texts that stand for a missing value."""
_EXACT = 2.0**53
"""Below it float64 holds every whole number."""


@dataclass(frozen=True)
class Column:
    """A column and what it holds, missing values included.

    `values` are a pandas Series: float64 with NaN for numbers and truth values, datetime64 for dates, strings without
    spaces around them for text; nothing that can be used for "other" (lists, bytes, ...), whose Arrow type is `type`.
    `number` is its place in the table, from 1. Of numbers, `infinite` is how many were infinite, which count as
    missing, and `rounded` whether some were whole and too large to be told apart from their neighbours.
    """

    name: str
    kind: Kind
    values: Any
    type: str = ""
    number: int = 0
    infinite: int = 0
    rounded: bool = False

    def take(self, rows: np.ndarray[Any, Any]) -> Column:
        """The column at these rows."""
        return replace(self, values=self.values.iloc[rows])

    @property
    def known(self) -> Any:
        """The values that are there."""
        return self.values.dropna()


def columns_of(table: Any) -> list[Column]:
    """The columns of a `pyarrow.Table`."""
    return [
        _column(name.strip(), array, number)
        for number, (name, array) in enumerate(zip(table.column_names, table.columns, strict=True), 1)
    ]


def joined(names: Sequence[str], most: int = 8) -> str:
    """Names as a sentence lists them, the first few of many."""
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _column(name: str, array: Any, number: int) -> Column:
    import pandas as pd
    import pyarrow as pa

    kind = array.type
    if pa.types.is_dictionary(kind):
        array = array.cast(kind.value_type)
        kind = array.type
    said = str(kind)
    if pa.types.is_boolean(kind):
        array = array.cast(pa.int8())
    if (
        pa.types.is_null(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or said == "bool"
    ):
        values = pd.Series(array.cast(pa.float64(), safe=False).to_numpy(), dtype="float64")
        infinite = np.isinf(values)
        rounded = pa.types.is_integer(kind) and bool((values.abs() >= _EXACT).any())
        return Column(name, "number", values.mask(infinite), said, number, int(infinite.sum()), rounded)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        values = pd.Series(pd.to_datetime(array.cast(pa.timestamp("us"), safe=False).to_numpy()))
        return Column(name, "date", values, said, number)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        values = pd.Series(array.cast(pa.large_string()).to_pandas(), dtype="str").str.strip()
        return Column(name, "text", values.mask(values.isin(MISSING)), said, number)
    return Column(name, "other", pd.Series(np.full(len(array), np.nan)), said, number)
