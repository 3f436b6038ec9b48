"""From a CSV or Parquet file to typed columns."""

from __future__ import annotations

import csv
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import InputError
from ..optional import needs
from .columns import MISSING, Column, columns_of

_NAME = re.compile(r"(?P<path>.+?\.(csv|tsv|parquet|pq)(\.gz)?)(:(?P<target>.+))?", re.IGNORECASE | re.DOTALL)
_DELIMITERS = ",;\t|"
_TAB = "\t"


def split_target(spec: str) -> tuple[str, str | None] | None:
    """The file and, where it is named after a colon, the target column: "table.csv:price"; None for no table's name."""
    match = _NAME.fullmatch(spec)
    return (match["path"], match["target"]) if match else None


def is_table(spec: str) -> bool:
    """Whether that names a table: a file of CSV or Parquet, with or without a target column."""
    return split_target(spec) is not None


def read(path: Path) -> tuple[list[Column], list[str]]:
    """The columns of a table, and notes on how it was read. Raises `InputError` for what is no table."""
    needs("pyarrow", "tables", f"reading {path.name}")
    needs("pandas", "tables", f"reading {path.name}")
    if not path.is_file():
        raise InputError(_missing(path))
    parquet = any(suffix in (".parquet", ".pq") for suffix in map(str.lower, path.suffixes[-2:]))
    table, notes = _parquet(path) if parquet else _csv(path)
    if not table.num_rows:
        raise InputError(f"{path.name} is empty: it has no rows.")
    return columns_of(table), notes


def _missing(path: Path) -> str:
    near = sorted(p.name for p in path.parent.glob("*") if is_table(p.name))[:8] if path.parent.is_dir() else []
    there = f" Tables there: {', '.join(near)}." if near else ""
    return f"there is no file {str(path)!r} (looked in {path.absolute().parent}).{there}"


def _parquet(path: Path) -> tuple[Any, list[str]]:
    import pyarrow
    import pyarrow.parquet

    try:
        return pyarrow.parquet.read_table(path, partitioning=None), []
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path.name} cannot be read as Parquet: {_line(error)}") from error


def _csv(path: Path) -> tuple[Any, list[str]]:
    import pyarrow
    from pyarrow import csv as arrow

    text, notes = _text(path)
    delimiter = max(_DELIMITERS, key=lambda mark: (text.partition("\n")[0].count(mark), mark == ","))
    if delimiter != (_TAB if ".tsv" in map(str.lower, path.suffixes) else ","):
        notes.append(f"Columns are separated by {'tabs' if delimiter == _TAB else repr(delimiter)}.")
    header = next(_records(text, delimiter), [])
    _check_header(path, header)
    content = text.encode()
    try:
        table = arrow.read_csv(
            io.BytesIO(content),
            # a single block: types are then decided by all rows; one thread: errors then say which row
            read_options=arrow.ReadOptions(use_threads=False, block_size=min(len(content) + 1, 2**31 - 1)),
            parse_options=arrow.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=arrow.ConvertOptions(
                null_values=list(MISSING), strings_can_be_null=True, quoted_strings_can_be_null=True
            ),
        )
    except (pyarrow.ArrowException, ValueError) as error:
        raise InputError(f"{path.name} cannot be read as a table of {len(header)} columns: {_line(error)}") from error
    return table, notes


def _text(path: Path) -> tuple[str, list[str]]:
    """The file's text: UTF-8, UTF-16 that says so at its beginning, or else Windows' Western European letters."""
    import pyarrow

    try:
        with pyarrow.input_stream(str(path)) as stream:  # unpacks what ends in .gz
            content: bytes = stream.read()
    except (pyarrow.ArrowException, OSError, zlib.error) as error:
        raise InputError(f"{path.name} cannot be read: {_line(error)}") from error
    notes = []
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif b"\0" in content:
        encoding = _unmarked(content)
        if not encoding:
            raise InputError(
                f"{path.name} is no text, so no CSV: it holds zero bytes. Is it a spreadsheet or an archive?"
            )
        notes.append(f"{path.name} does not say how it is written; it was read as {encoding.upper()}.")
    else:
        encoding = "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8-sig":
            raise InputError(f"{path.name} begins as UTF-16 but is not: {error.reason}.") from error
        line = content.count(b"\n", 0, error.start) + 1
        notes.append(f"{path.name} is not UTF-8 (line {line}); it was read as Windows-1252.")
        text = content.decode("cp1252", errors="replace")
    if not text.strip():
        raise InputError(f"{path.name} is empty: it has no header and no rows.")
    return text.lstrip("\r\n"), notes


def _unmarked(content: bytes) -> str:
    """Which UTF-16 a text is in that does not say so: nine in ten of its letters have a zero byte on the same side.

    An empty text where it is none.
    """
    return next(
        (
            name
            for name, first in (("utf-16-le", 1), ("utf-16-be", 0))
            if content[first::2].count(0) > 0.9 * len(content) / 2 and not content[1 - first :: 2].count(0)
        ),
        "",
    )


def _records(text: str, delimiter: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(io.StringIO(text), delimiter=delimiter)
    except csv.Error:
        return


def _check_header(path: Path, header: list[str]) -> None:
    if header and all(_is_number(name) for name in header):
        shown = ", ".join(header[:4])
        raise InputError(f"the first line of {path.name} holds numbers only ({shown}, ...): it must name the columns.")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _line(error: Exception) -> str:
    """An error's first line, shortened: a bad row may be long."""
    said = (str(error).splitlines() or [type(error).__name__])[0]
    return said if len(said) <= 200 else said[:200] + "..."
