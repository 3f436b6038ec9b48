"""Files of published data sets, from the user's directory or the official source, checked byte for byte."""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from ..errors import FalllineError, InputError
from ..kernels.cache import directory as cache_directory

ENVIRONMENT = "FALLLINE_DATA"
"""The environment variable that names the directory of data sets."""
_TIMEOUT = 30.0
"""Seconds without an answer after which a download is given up."""


@dataclass(frozen=True)
class Published:
    """A data set as it was published: where, and the SHA-256 of each file's decompressed bytes.

    `folders` are the names under which users keep it, `source` the address that file names are appended to.
    """

    name: str
    folders: tuple[str, ...]
    source: str
    files: dict[str, str]


def fetch(published: Published, data: Path | None = None) -> dict[str, bytes]:
    """The decompressed bytes of each file, from the user's directory of data sets or the official source.

    The directory is `data`, or else the one that the environment variable names. Without either the file is
    downloaded once and kept in the user's cache.

    Raises `InputError` if the directory lacks a file, `FalllineError` if a download fails or the bytes are
    not the published ones.
    """
    where = directory(data)
    if where is not None:
        return {name: _checked(find(where, published.folders, (name,)), published, name) for name in published.files}
    cache = cache_directory() / "data" / published.name
    return {name: _cached(cache / name, published, name) for name in published.files}


def directory(data: Path | str | None) -> Path | None:
    """The directory of data sets that the user named, by argument or environment; None if none was named."""
    given = data if data is not None else os.environ.get(ENVIRONMENT) or None
    if given is None:
        return None
    path = Path(given).expanduser()
    if not path.is_dir():
        named = "data" if data is not None else ENVIRONMENT
        raise InputError(f"{named} must name a directory of data sets; {str(path)!r} is not a directory.")
    return path


def find(where: Path, folders: Iterable[str], names: Iterable[str]) -> Path:
    """The first of these files in `where` or in one of its `folders`. Raises `InputError` if there is none."""
    names, places = tuple(names), [where, *(where / folder for folder in folders)]
    for place in places:
        for name in names:
            # some keep the files as published, some unpacked
            for path in (place / name, place / name.removesuffix(".gz")):
                if path.is_file():
                    return path
    looked = ", ".join(str(place) for place in places)
    raise InputError(
        f"{' or '.join(names)} was not found; looked in {looked}. "
        f"Name the directory that holds it with data (--data) or {ENVIRONMENT}."
    )


def _checked(path: Path, published: Published, name: str) -> bytes:
    try:
        content = _decompressed(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise FalllineError(f"{path} cannot be read: {error}.") from error
    if hashlib.sha256(content).hexdigest() != published.files[name]:
        raise FalllineError(f"{path} is damaged: its content is not that of the published {published.name}.")
    return content


def _cached(path: Path, published: Published, name: str) -> bytes:
    if path.is_file():
        try:
            return _checked(path, published, name)
        except FalllineError:
            pass  # download it again over the damaged copy
    packed = _download(published, name)
    try:
        content = _decompressed(packed)
    except (OSError, EOFError, zlib.error):
        content = b""
    if hashlib.sha256(content).hexdigest() != published.files[name]:
        raise FalllineError(
            f"what {published.source}{name} gave is not the published {published.name}: "
            f"its SHA-256 differs. Nothing was kept. {_instead(published)}"
        )
    _write(path, packed)
    return content


def _download(published: Published, name: str) -> bytes:
    address = published.source + name
    try:
        with urlopen(address, timeout=_TIMEOUT) as answer:
            content: bytes = answer.read()
    except (URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise FalllineError(
            f"{published.name} could not be downloaded from {address}: {reason}. {_instead(published)}"
        ) from error
    return content


def _instead(published: Published) -> str:
    return (
        f"With the files {', '.join(published.files)} in a directory, name it with data (--data DIR) or the "
        f"environment variable {ENVIRONMENT}."
    )


def _decompressed(content: bytes) -> bytes:
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content


def _write(path: Path, content: bytes) -> None:
    """Keep a file, whole or not at all; what cannot be kept is downloaded again next time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    except OSError:
        return
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException as error:
        os.unlink(temporary)
        if not isinstance(error, OSError):
            raise
