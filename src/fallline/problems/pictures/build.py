"""From pictures to a problem: in memory where they are few, read again for every batch where they are many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError
from ...models import resnet
from ...progress import tracked
from ..data import Digest, Fingerprinted
from ..optional import needs
from ..problem import Problem
from ..stratify import stratified
from . import folder as folders
from .source import Form, Source
from .survey import refuse, survey

Array = np.ndarray[Any, Any]
IN_MEMORY = 2**30
"""Bytes of pictures, as float32, up to which they are kept in memory."""
_SAMPLE = 2_000
"""Training pictures of those that are read from disk from which the mean and standard deviation are taken."""
_PACE = ((5_000, 32, 20), (50_000, 128, 10), (None, 128, 5))
"""Training pictures up to which a batch size and a number of epochs are the default."""


def from_folder(folder: Path, *, size: int | None = None, in_memory: int = IN_MEMORY, seed: int = 0) -> Problem:
    """The problem of telling the classes of a folder's pictures apart: one folder a class, or these in train/, test/.

    `size`: pixels of the side of the squares that pictures become (default: see `survey.survey`). `in_memory`: bytes up
    to which they are kept in memory. What is not given of validation and test data is held out of the training
    pictures with `seed`, every class in proportion. Raises `InputError` for what cannot be learned from.
    """
    needs("PIL", "images", f"reading the pictures of {folder.name}")
    parts, classes, notes = folders.find(folder)
    return from_sources(parts, classes, folder.name, notes, size=size, in_memory=in_memory, seed=seed)


def from_sources(
    parts: Mapping[str, Source],
    classes: Sequence[str],
    name: str,
    notes: Sequence[str] = (),
    *,
    size: int | None = None,
    in_memory: int = IN_MEMORY,
    seed: int = 0,
) -> Problem:
    """As `from_folder`, from pictures of any source: `parts` are "train" and, where they are given, "valid", "test"."""
    form, seen = survey(parts, size)
    labels = np.array(parts["train"].labels)
    stay, held, split_notes = stratified(labels, {"valid", "test"} - parts.keys(), seed, classes)
    sources = {**parts, **{part: parts["train"].take(rows) for part, rows in held.items()}}
    sources["train"] = parts["train"].take(stay)
    number = sum(len(source) for source in sources.values())
    needed = 4 * number * form.channels * form.height * form.width
    make = _loaded if needed <= in_memory else _streamed
    data, how = make(sources, form)
    batch_size, epochs = next(pace[1:] for pace in _PACE if pace[0] is None or len(stay) <= pace[0])
    problem = Problem(
        partial(resnet, 20, len(classes), form.channels),
        *(data[part] for part in ("train", "valid", "test")),
        batch_size=batch_size,
        epochs=epochs,
        name=name,
    )
    common, times = Counter(labels.tolist()).most_common(1)[0]
    problem.notes = [
        *notes,
        f"{times / len(labels):.1%} of the pictures are {classes[common]!r}, the accuracy of always saying so.",
        *seen,
        f"{how.format(size=f'{needed / 2**20:,.0f} MiB', limit=f'{in_memory / 2**20:,.0f} MiB')}",
        *split_notes,
        f"The model is a ResNet-20, by default trained for {epochs} epochs in batches of {batch_size}, not augmented "
        '(as --augment "flip > crop(4)" would). For another one, write a Problem in a Python file.',
        *problem.notes,
    ]
    return problem


@dataclass(frozen=True)
class Pictures(Fingerprinted):
    """Pictures that are read when they are asked for, less the mean over the standard deviation of each channel."""

    source: Source
    form: Form
    mean: Array
    std: Array

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = self.form.read(self.source, index) / np.float32(255)
        return torch.from_numpy((picture - self.mean) / self.std), self.source.labels[index]

    @property
    def targets(self) -> tuple[int, ...]:
        """The class of each."""
        return self.source.labels

    def digest(self, digest: Digest) -> None:
        """Feed the name, length and beginning of every picture to a hash."""
        digest.update(f"{self.form} {self.mean.tolist()} {self.std.tolist()} {self.targets}".encode())
        for index in range(len(self)):
            digest.update(self.source.mark(index))


def _loaded(sources: Mapping[str, Source], form: Form) -> tuple[dict[str, Any], str]:
    held = {name: _read(source, form, range(len(source))) for name, source in sources.items()}
    mean, std = _statistics(held["train"])
    pairs = {
        name: ((pixels / np.float32(255) - mean) / std, np.array(sources[name].labels)) for name, pixels in held.items()
    }
    return pairs, "They take {size} and are kept in memory, less mean over standard deviation of the training pictures."


def _streamed(sources: Mapping[str, Source], form: Form) -> tuple[dict[str, Any], str]:
    train = sources["train"]
    few = np.linspace(0, len(train) - 1, min(_SAMPLE, len(train))).astype(int)
    mean, std = _statistics(_read(train, form, few))
    how = (
        "They would take {size}, more than the {limit} that are kept in memory, so they are read again every epoch, "
        f"less mean over standard deviation of {len(few)} training pictures."
    )
    return {name: Pictures(source, form, mean, std) for name, source in sources.items()}, how


def _read(source: Source, form: Form, indices: Sequence[int] | Array) -> Array:
    """Those pictures, uint8 (n, channels, height, width). Raises `InputError` naming all that cannot be read."""
    pixels = np.empty((len(indices), form.channels, form.height, form.width), np.uint8)
    broken = []
    for row, index in enumerate(tracked(indices, "reading the pictures")):
        try:
            pixels[row] = form.read(source, index)
        except InputError:
            broken.append(source.name(index))
    refuse(broken)
    return pixels


def _statistics(pixels: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of each channel (channels, 1, 1), of pictures scaled to [0, 1]."""
    axes = (0, 2, 3)
    mean, std = pixels.mean(axes, dtype=np.float64) / 255, pixels.std(axes, dtype=np.float64) / 255
    std[std == 0] = 1
    return mean[:, None, None].astype(np.float32), std[:, None, None].astype(np.float32)
