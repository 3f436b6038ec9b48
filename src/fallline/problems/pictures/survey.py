"""One look at every picture before any training: what cannot be read is told, and the common form is decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from statistics import median_low
from typing import Any

from ...errors import InputError
from ...progress import tracked
from .source import BROKEN, Form, Source

LARGEST = 64
"""Pixels of the shorter side that larger pictures are brought to."""
_GREY = ("1", "L", "LA", "La", "I", "F")


def survey(parts: Mapping[str, Source], size: int | None) -> tuple[Form, list[str]]:
    """The form for all pictures, and notes on what that changes. Raises `InputError` naming those that have no header.

    One size that all have is kept unless it is larger than 64 pixels; otherwise all become squares, of `size` or of the
    median shorter side (at most 64).
    """
    sizes, modes, moving, broken = Counter[tuple[int, int]](), Counter[str](), 0, list[str]()
    for source in parts.values():
        for index in tracked(range(len(source)), "looking at the pictures"):
            try:
                with source.open(index) as image:
                    sizes[image.size[::-1] if _turned(image) else image.size] += 1
                    modes[image.mode] += 1
                    moving += getattr(image, "n_frames", 1) > 1
            except BROKEN:
                broken.append(source.name(index))
    refuse(broken)
    form, notes = _sized(sizes, size)
    grey = all(mode in _GREY or mode.startswith("I;16") for mode in modes)
    if not grey and any(mode in _GREY or mode.startswith("I;16") for mode in modes):
        notes.append(f"Grey and coloured pictures are mixed ({_told(modes)}): all were read as coloured.")
    elif len(modes) > 1:
        notes.append(f"Pictures are of several kinds ({_told(modes)}): all were read as {'grey' if grey else 'RGB'}.")
    if any("A" in mode for mode in modes):
        notes.append("What is transparent was taken for white." if not grey else "Transparency was left out.")
    if moving:
        notes.append(f"{moving} pictures have several frames; the first was used.")
    return Form(*form, 1 if grey else 3), notes


def refuse(broken: list[str]) -> None:
    """Raises `InputError` if there are pictures that cannot be read, with the first few of them."""
    if broken:
        more = f" and {len(broken) - 5} more" if len(broken) > 5 else ""
        raise InputError(
            f"{len(broken)} files cannot be read as pictures: {', '.join(broken[:5])}{more}. Repair or remove them."
        )


def _turned(image: Any) -> bool:
    """Whether a viewer shows the picture with height and width swapped."""
    if image.format == "PNG" and "exif" not in image.info:
        return False  # to look further would decode all of it
    return image.getexif().get(0x0112) in (5, 6, 7, 8)  # the tag of orientation


def _sized(sizes: Counter[tuple[int, int]], wanted: int | None) -> tuple[tuple[int, int], list[str]]:
    """Height and width for all, from how many pictures have which width and height."""
    if wanted is not None and (isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 8):
        raise InputError(f"size must be a whole number of pixels, at least 8; it is {wanted!r}.")
    (width, height), *others = sizes
    if wanted is None and not others and max(width, height) <= LARGEST:
        return (height, width), [f"Pictures are {width}x{height} pixels."]
    side = wanted or min(LARGEST, median_low([min(size) for size in sizes.elements()]))
    low, high = min(sizes, key=_area), max(sizes, key=_area)
    was = f"differ in size ({low[0]}x{low[1]} to {high[0]}x{high[1]})" if others else f"are {width}x{height}"
    return (side, side), [
        f"Pictures {was} pixels: each was scaled to a shorter side of {side} pixels, of which the middle {side}x{side} "
        "was kept."
    ]


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _told(modes: Counter[str]) -> str:
    return ", ".join(f"{count} {mode}" for mode, count in modes.most_common())
