"""An ensemble in a directory: a file of weights for each member (safetensors), and `ensemble.json`, which names them.

The index is written anew after each member, so that what is there is an ensemble at any moment. Nothing is unpickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError, RecordError
from ..training import Weights
from ..training.checkpoint import write

INDEX = "ensemble.json"
_FORMAT = 1


def write_member(path: Path, weights: Mapping[str, Any]) -> None:
    """A member's weights as a file, whole or not at all. Raises `InputError` where it cannot be written."""
    try:
        write(path, dict(weights), {"facts": {}})
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}.") from error


def write_index(directory: Path, facts: Mapping[str, Any]) -> Path:
    """The index, whole or not at all. Raises `InputError` where it cannot be written."""
    path, draft = directory / INDEX, directory / f".{INDEX}.tmp"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps({"format": _FORMAT, **facts}, indent=2) + "\n", encoding="utf-8")
        os.replace(draft, path)
    except FileExistsError as error:
        raise InputError(f"out={str(directory)!r} is a file; give a directory.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}.") from error
    return path


def read_index(directory: Path) -> dict[str, Any] | None:
    """What the index says, None where there is none. Raises `RecordError` for one that cannot be read."""
    path = directory / INDEX
    if not path.is_file():
        return None
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        known = facts["format"] == _FORMAT and all({"name", "file"} <= member.keys() for member in facts["members"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{path} is damaged: {type(error).__name__}: {error}") from error
    if not known:
        raise RecordError(f"{path} was written by another version of Fallline.")
    return facts


def read_member(directory: Path, file: str) -> Weights:
    """A member's weights. Raises `RecordError` where they cannot be read."""
    from safetensors.torch import load_file

    path = directory / file
    if path.parent.resolve() != directory.resolve():
        raise RecordError(f"{directory / INDEX} names a file outside its directory: {file!r}.")
    try:
        return load_file(path)
    except Exception as error:  # safetensors has an exception of its own
        raise RecordError(f"{path} is missing or damaged: {error}") from error
