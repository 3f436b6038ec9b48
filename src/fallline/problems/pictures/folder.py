"""Files, classes and splits of a folder of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...errors import InputError, unknown
from ..splits import named
from .source import Files

_NAMES = ("avif", "bmp", "gif", "jfif", "jp2", "jpeg", "jpg", "pgm", "png", "ppm", "tif", "tiff", "webp")
_SUFFIXES = {f".{name}" for name in _NAMES}


def find(folder: Path) -> tuple[dict[str, Files], tuple[str, ...], list[str]]:
    """The pictures of each split, the classes in order, and notes. Raises `InputError` where there are no classes."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {str(folder)!r}.")
    roots, notes = _roots(folder), list[str]()
    held = {split: _by_class(root, notes, folder) for split, root in roots.items()}
    classes = tuple(held["train"])
    if len(classes) < 2:
        found = f"it has {classes[0]!r} only" if classes else "it has none"
        told = " ".join(["", *notes])
        raise InputError(
            f"{roots['train']} must hold a folder of pictures for each of two classes or more; {found}.{told}"
        )
    for split, by_class in held.items():
        for name in by_class:
            if name not in classes:
                raise InputError(str(unknown(f"class in {roots[split]}:", name, classes)))
    notes.append(f"Classification into {len(classes)} classes: {', '.join(classes[:20])}{_more(classes[20:])}.")
    parts = {
        split: Files(
            tuple(path for paths in by_class.values() for path in paths),
            tuple(classes.index(name) for name, paths in by_class.items() for _ in paths),
            folder,
        )
        for split, by_class in held.items()
        if any(by_class.values())
    }
    return parts, classes, notes


def _roots(folder: Path) -> dict[str, Path]:
    """The folder of each split: by their names, where all folders have such names, or else the folder itself."""
    inside = {path.name: path for path in _folders(folder)}
    roots = {split: inside[name] for split, name in named(inside).items()}
    nested = any(True for root in roots.values() for _ in _folders(root))
    return roots if "train" in roots and len(roots) == len(inside) and nested else {"train": folder}


def _by_class(root: Path, notes: list[str], folder: Path) -> dict[str, list[Path]]:
    """Class -> its pictures, however deep in its folder."""
    held, others, empty = {}, list[Path](), []
    for home in _folders(root):
        # a link that leads nowhere is no file, and is refused later as a picture that cannot be read
        found = (path for path in sorted(home.rglob("*")) if path.is_file() or path.is_symlink())
        files = [path for path in found if not path.is_dir() and not _hidden(path.relative_to(root))]
        pictures = [path for path in files if path.suffix.lower() in _SUFFIXES]
        others += [path for path in files if path.suffix.lower() not in _SUFFIXES]
        if pictures:
            held[home.name] = pictures
        else:
            empty.append(home.name)
    loose = sum(path.suffix.lower() in _SUFFIXES for path in root.iterdir() if path.is_file())
    where = "" if root == folder else f" in {root.name}/"
    if loose:
        notes.append(f"{loose} pictures{where} lie in no class's folder; they were left out.")
    if others:
        kinds = sorted({path.suffix or path.name for path in others})
        names = f"{', '.join(kinds[:8])}{_more(kinds[8:])}"
        notes.append(f"{len(others)} files{where} are no pictures by their names ({names}); they were left out.")
    if empty:
        notes.append(f"Folders{where} without pictures were left out: {', '.join(empty[:8])}{_more(empty[8:])}.")
    return held


def _folders(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith((".", "__")))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _more(rest: object) -> str:
    return f" and {len(rest)} more" if rest else ""  # type: ignore[arg-type]
