"""Where pictures come from, and what a picture is as numbers."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ...errors import InputError

Array = np.ndarray[Any, Any]

BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, MemoryError)
"""What Pillow raises for a file that is damaged or no picture."""
_HEAD = 4096
"""Bytes at the beginning of each picture that a fingerprint covers."""


class Source(Protocol):
    """Pictures that can be opened one by one, each with its class."""

    @property
    def labels(self) -> tuple[int, ...]:
        """The class of each."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """What a person calls the picture."""

    def open(self, index: int) -> Any:
        """The `PIL.Image`, of which only the header need be read."""

    def mark(self, index: int) -> bytes:
        """Bytes that change when the picture does: its name, length and beginning."""

    def take(self, indices: Array) -> Source:
        """Those pictures."""


@dataclass(frozen=True)
class Files:
    """Pictures in files below `folder`."""

    paths: tuple[Path, ...]
    labels: tuple[int, ...]
    folder: Path

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        """The path below the folder."""
        return self.paths[index].relative_to(self.folder).as_posix()

    def open(self, index: int) -> Any:
        """The picture, its file open until it is loaded or closed."""
        return _opened(self.paths[index])

    def mark(self, index: int) -> bytes:
        """Name, length and first bytes of the file."""
        path = self.paths[index]
        with path.open("rb") as file:
            return f"{self.name(index)} {path.stat().st_size} ".encode() + file.read(_HEAD)

    def take(self, indices: Array) -> Files:
        """Those files."""
        return Files(tuple(self.paths[i] for i in indices), tuple(self.labels[i] for i in indices), self.folder)


@dataclass(frozen=True)
class Rows:
    """Pictures in a column of a Hugging Face data set, which is not to decode them."""

    rows: Any
    column: str
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, index: int) -> str:
        """The number of the row."""
        return f"row {index}"

    def open(self, index: int) -> Any:
        """The picture."""
        return _opened(io.BytesIO(self._bytes(index)))

    def mark(self, index: int) -> bytes:
        """Length and first bytes."""
        content = self._bytes(index)
        return f"{len(content)} ".encode() + content[:_HEAD]

    def take(self, indices: Array) -> Rows:
        """Those rows."""
        return Rows(self.rows.select(indices), self.column, tuple(self.labels[i] for i in indices))

    def _bytes(self, index: int) -> bytes:
        held = self.rows[int(index)][self.column]
        if held is None:
            raise InputError(f"row {index} has no picture.")
        content: bytes = held["bytes"] if held["bytes"] is not None else Path(held["path"]).read_bytes()
        return content


@dataclass(frozen=True)
class Form:
    """The form that all pictures are brought to: height and width in pixels, and one channel (grey) or three."""

    height: int
    width: int
    channels: int

    def read(self, source: Source, index: int) -> Array:
        """A picture as uint8 (channels, height, width). Raises `InputError` if it cannot be read."""
        try:
            with source.open(index) as image:
                return self._array(image)
        except BROKEN as error:
            raise InputError(f"{source.name(index)} cannot be read as a picture: {error}") from error

    def _array(self, image: Any) -> Array:
        from PIL import Image, ImageOps

        image = _eight_bits(ImageOps.exif_transpose(image))
        if self.channels == 1:
            image = image.convert("L")
        elif image.has_transparency_data:
            clear = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
        else:
            image = image.convert("RGB")
        if image.size != (self.width, self.height):
            image = ImageOps.fit(image, (self.width, self.height), Image.Resampling.BICUBIC)
        array = np.asarray(image)
        return np.ascontiguousarray(array[None] if array.ndim == 2 else array.transpose(2, 0, 1))


def _opened(file: Path | io.BytesIO) -> Any:
    from PIL import Image

    try:
        return Image.open(file)
    except Image.DecompressionBombError as error:
        raise ValueError(str(error)) from error


def _eight_bits(image: Any) -> Any:
    """A picture of more than 8 bits a channel, scaled to 8: converting alone would cut off what is above 255."""
    from PIL import Image

    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image, dtype=np.float64)
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 65535):
        raise ValueError(f"its values reach from {low:g} to {high:g}, beyond 16 bits")
    if image.mode == "F" and high <= 1:
        values = values * 65535
    return Image.fromarray((values / 257).round().astype(np.uint8))
