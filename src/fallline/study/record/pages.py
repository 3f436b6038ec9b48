"""The rows of a damaged SQLite file, page by page, without trusting whatever holds the pages together.

A row lies in a cell of a leaf page, as a list of types and then the values; what does not fit is on a chain of
overflow pages (https://www.sqlite.org/fileformat2.html, sections 1.6 and 2.1). So every page is read by itself: the
tree above it, the file's header and its schema may be gone. Rows whose page has lost its list of cells are found by the
digest that they begin with. What comes out may be nonsense: the caller tells rows that are whole, by their seals.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any

Row = tuple[Any, ...]
"""None, int, float, str or bytes for each column."""

_MAGIC = b"SQLite format 3\0"
_SIZES = (4096, 1024, 2048, 8192, 16384, 32768, 65536, 512)
_LEAF = 0x0D
_DIGEST = re.compile(rb"[0-9a-f]{64}")
_LONGEST_HEADER = 64
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


def sizes(file: bytes, log: bytes) -> list[int]:
    """The page sizes that the file may have, the likeliest first."""
    said = [int.from_bytes(file[16:18], "big"), int.from_bytes(log[8:12], "big")]
    likely = [65536 if size == 1 else size for size in said]
    return list(dict.fromkeys(size for size in (*likely, *_SIZES) if size in _SIZES))


def rows(file: bytes, log: bytes, size: int) -> Iterator[Row]:
    """Whatever looks like a row, the newest first: in the file with its write-ahead log, then in the file alone."""
    old = {n + 1: file[n * size : (n + 1) * size] for n in range(-(-len(file) // size))}
    new = _logged(log, size)
    views = [{**old, **new}, old] if new else [old]
    for view in views:
        for number, page in view.items():
            for at in sorted({*_listed(page, 100 if number == 1 else 0), *_stray(page)}):
                row = _row(page, at, view, size)
                if row is not None:
                    yield row


def _logged(log: bytes, size: int) -> dict[int, bytes]:
    """The pages of a write-ahead log, each as it was written last; frames of an earlier log have another salt."""
    pages, salt = {}, log[16:24]
    for at in range(32, len(log) - 23, 24 + size):
        if log[at + 8 : at + 16] == salt:
            pages[int.from_bytes(log[at : at + 4], "big")] = log[at + 24 : at + 24 + size]
    return pages


def _listed(page: bytes, start: int) -> Iterator[int]:
    """Where the rows of a leaf page begin, by its list of cells."""
    if page[start : start + 1] != bytes([_LEAF]):
        return
    count = int.from_bytes(page[start + 3 : start + 5], "big")
    for i in range(start + 8, min(start + 8 + 2 * count, len(page) - 1), 2):
        at = int.from_bytes(page[i : i + 2], "big")
        for _ in range(2):  # the length and the number of the row
            _, at = _varint(page, at)
        yield at


def _stray(page: bytes) -> Iterator[int]:
    """Where rows may begin whose first value is a digest: the types come before it, their length first."""
    for match in _DIGEST.finditer(page):
        first = match.start()
        for length in range(3, min(first, _LONGEST_HEADER) + 1):
            if page[first - length] == length:
                yield first - length


def _row(page: bytes, at: int, pages: Mapping[int, bytes], size: int) -> Row | None:
    """The row whose types begin at a place of a page; None where there is none."""
    length, place = _varint(page, at)
    if not 2 <= length <= _LONGEST_HEADER or at + length > len(page):
        return None
    types = []
    while place < at + length:
        kind, place = _varint(page, place)
        types.append(kind)
    widths = [_width(kind) for kind in types]
    if place != at + length or None in widths:
        return None
    content = _payload(page, at, length + sum(width or 0 for width in widths), pages, size)
    if content is None:
        return None
    try:
        return tuple(_values(content[length:], types))
    except UnicodeDecodeError:
        return None


def _payload(page: bytes, at: int, total: int, pages: Mapping[int, bytes], size: int) -> bytes | None:
    """So many bytes, on the page and on those that it goes on to."""
    if total > size * len(pages):
        return None
    local = total
    if total > size - 35:
        least = (size - 12) * 32 // 255 - 23
        local = least + (total - least) % (size - 4)
        local = local if local <= size - 35 else least
    content = page[at : at + local]
    after = int.from_bytes(page[at + local : at + local + 4], "big")
    while len(content) < total:
        more = pages.get(after)
        if more is None or len(more) < 4:
            return None
        after = int.from_bytes(more[:4], "big")
        content += more[4 : 4 + total - len(content)]
    return content if len(content) == total else None


def _values(content: bytes, types: list[int]) -> Iterator[Any]:
    at = 0
    for kind in types:
        width = _width(kind) or 0
        raw, at = content[at : at + width], at + width
        if kind == 0:
            yield None
        elif kind in _INTEGERS:
            yield int.from_bytes(raw, "big", signed=True)
        elif kind == 7:
            yield struct.unpack(">d", raw)[0]
        elif kind in (8, 9):
            yield kind - 8
        else:
            yield raw.decode() if kind % 2 else raw


def _width(kind: int) -> int | None:
    """The bytes of a value of a type; None for a type that there is not."""
    if kind >= 12:
        return (kind - 12) // 2
    return {0: 0, 7: 8, 8: 0, 9: 0, **_INTEGERS}.get(kind)


def _varint(page: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, seven bits in each, and the place after it."""
    value = 0
    for i in range(at, min(at + 8, len(page))):
        value = value << 7 | page[i] & 0x7F
        if page[i] < 0x80:
            return value, i + 1
    last = page[at + 8 : at + 9]
    return (value << 8 | last[0], at + 9) if last else (0, len(page))
