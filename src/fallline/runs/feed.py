"""Batches for training: the same ones whatever number of processes trains, whatever number of workers loads, and
wherever in an epoch training goes on."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..problems import Arrays, Problem, Setting, Split, Stream, derive, generator, seeded
from ..problems.data import as_batch

_GATHERED = 64
"""Batches gathered from memory by one indexing call, at most."""
_CACHED = 4 << 20
"""Bytes that are gathered at once, at most: what the caches keep until it is used."""


_Batch = tuple[int, list[int]]
"""The seed of what a batch draws, and the places of its examples."""


@dataclass(frozen=True)
class Share:
    """Which part of every batch is this process's: each takes its even share of the examples, in their order."""

    rank: int = 0
    of: int = 1

    def __call__(self, batch: Tensor) -> Tensor:
        """This process's part of a batch. Where there are fewer examples than processes, one for all to look at."""
        part = torch.tensor_split(batch, self.of)[self.rank]
        return part if len(part) else batch[:1]

    def examples(self, whole: int) -> int:
        """How many examples of a batch of `whole` count as this process's."""
        return whole // self.of + (self.rank < whole % self.of)


@dataclass
class Feed:
    """The training batches of a run. `workers` processes load a Dataset; what is in memory needs none."""

    problem: Problem
    own: Mapping[str, Setting]
    seed: int
    device: torch.device
    workers: int = 0
    share: Share = field(default_factory=Share)

    def __post_init__(self) -> None:
        self._plan: list[_Batch] = []
        self._loader: DataLoader[Any] | None = None

    def batches(self, epoch: int, size: int, at: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's share of the batches of `size` examples of an epoch, counted from 0, from batch `at` on.

        The order is drawn from the seed and the epoch, and each batch is loaded and augmented with draws from a seed
        of its own.
        """
        order = generator(derive(self.seed, "order", epoch + 1))
        indices = torch.split(torch.randperm(len(self.problem.train), generator=order), size)[at:]
        if self.share.of > 1:
            indices = tuple(map(self.share, indices))
        pieces = self._pieces(self.problem.train, indices, epoch, at)
        if self.problem.augment is None:
            return pieces
        return self._augmented(pieces, epoch, at)

    def evaluation(self, name: str) -> Split:
        """This process's share of a split, in its own order."""
        split: Split = getattr(self.problem, name)
        if self.share.of > 1:
            split = split.take(self.share(torch.arange(len(split))))
        if isinstance(split, Stream):
            return _Loaded(split.dataset, self.workers, derive(self.seed, "score", name, *self._rank()))
        return split

    def _pieces(self, split: Split, indices: Sequence[Tensor], epoch: int, at: int) -> Iterator[tuple[Tensor, Tensor]]:
        if isinstance(split, Arrays):
            return gathered(split, indices, self.device)
        return self._loaded(split, indices, epoch, at)

    def _loaded(self, split: Stream, indices: Sequence[Tensor], epoch: int, at: int) -> Iterator[tuple[Tensor, Tensor]]:
        seeds = (derive(self.seed, "load", epoch, k, *self._rank()) for k in itertools.count(at))
        self._plan[:] = zip(seeds, (part.tolist() for part in indices), strict=False)
        if self._loader is None:
            self._loader = _loader(split.dataset, self._plan, self.workers, self.device)
        yield from _on_device(self._loader, self.device)

    def _augmented(
        self, pieces: Iterator[tuple[Tensor, Tensor]], epoch: int, at: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        for k, (x, y) in enumerate(pieces, at):
            with seeded(derive(self.seed, "augment", epoch, k, *self._rank())):
                changed = self.problem.augmented(x, y, self.own)
            yield changed

    def _rank(self) -> tuple[int, ...]:
        return (self.share.rank,) if self.share.rank else ()


@dataclass(frozen=True)
class _Loaded(Stream):
    """Examples of a Dataset, in its own order, that several processes may load."""

    workers: int
    seed: int

    def batches(
        self, size: int, device: torch.device, order: torch.Generator | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches (x, y) of `size` examples, the last one smaller."""
        starts = range(0, len(self), size)
        plan = [(derive(self.seed, k), list(range(k, min(k + size, len(self))))) for k in starts]
        yield from _on_device(_loader(self.dataset, plan, self.workers, device), device)


def _loader(dataset: Dataset[Any], plan: list[_Batch], workers: int, device: torch.device) -> DataLoader[Any]:
    """A loader of the batches of a plan, which may change between two passes."""
    return DataLoader(
        _Seeded(dataset),
        batch_sampler=plan,  # type: ignore[arg-type]
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
        worker_init_fn=_leave_interrupts if workers else None,
        # or each pass would draw from the generator that dropout draws from
        generator=generator(0),
    )


def _on_device(loader: DataLoader[Any], device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    for pair in loader:
        x, y = as_batch(pair)
        yield x.to(device, non_blocking=True), y.to(device, non_blocking=True)


class _Seeded(Dataset[Any]):
    """A Dataset that is asked for whole batches, each with the seed that its random numbers come from."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self.dataset = dataset

    def __getitems__(self, batch: _Batch) -> list[Any]:
        seed, indices = batch
        with seeded(seed):
            if hasattr(self.dataset, "__getitems__"):
                return list(self.dataset.__getitems__(indices))
            return [self.dataset[k] for k in indices]


def _leave_interrupts(worker: int) -> None:
    """Ctrl-C reaches every process of a terminal; the one that trains decides when loading ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def gathered(split: Arrays, indices: Sequence[Tensor], device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of these examples, copied from memory many at a time."""
    if not indices:
        return
    size = len(indices[0]) * (split.x[0].nbytes + split.y[0].nbytes)
    together = max(1, min(_GATHERED, _CACHED // max(1, size)))
    for k in range(0, len(indices), together):
        group = indices[k : k + together]
        sizes = [len(part) for part in group]
        part = split.take(torch.cat(tuple(group)))
        yield from zip(torch.split(part.x.to(device), sizes), torch.split(part.y.to(device), sizes), strict=True)
