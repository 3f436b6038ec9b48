"""Random numbers in a stack: one stream for each seed, and every trial draws what it would draw alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, device


class Stream:
    """The random numbers that follow a seed, for every device by itself as PyTorch has them."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.generators: dict[device, torch.Generator] = {}

    def generator(self, on: device) -> torch.Generator:
        """The generator for tensors on a device."""
        found = self.generators.get(on)
        if found is None:
            found = self.generators[on] = torch.Generator(on).manual_seed(self.seed)
        return found

    def copy(self) -> Stream:
        """A stream that goes on as this one would."""
        other = Stream(self.seed)
        for on, generator in self.generators.items():
            other.generator(on).set_state(generator.get_state())
        return other

    @contextmanager
    def in_place_of_global(self, on: device) -> Iterator[None]:
        """Functions that draw from PyTorch's global generator draw from this stream."""
        theirs = torch.default_generator if on.type == "cpu" else _accelerators(on)
        mine = self.generator(on)
        before = theirs.get_state()
        theirs.set_state(mine.get_state())
        try:
            yield
        finally:
            mine.set_state(theirs.get_state())
            theirs.set_state(before)


def _accelerators(on: device) -> torch.Generator:
    module = torch.get_device_module(on)
    index = on.index if on.index is not None else module.current_device()
    found: torch.Generator = module.default_generators[index]
    return found


class Draws:
    """The random streams of a stack of trials: row k draws as a trial alone does after `manual_seed(seeds[k])`.

    Trials that share a seed share a stream, and what it gives is drawn once. Two trials of one seed part for good
    (until the next `reseed`) at a draw whose settings differ between them.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.reseed(seeds)

    def reseed(self, seeds: Sequence[int]) -> None:
        """Begin anew, with a seed for each trial, as at an epoch's start."""
        numbers = {seed: k for k, seed in enumerate(dict.fromkeys(seeds))}
        self.streams = [Stream(seed) for seed in numbers]
        self.rows = [numbers[seed] for seed in seeds]

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these trials, in this order, alone."""
        kept = [self.rows[row] for row in rows]
        numbers = {old: k for k, old in enumerate(dict.fromkeys(kept))}
        self.streams = [self.streams[old] for old in numbers]
        self.rows = [numbers[old] for old in kept]

    def __len__(self) -> int:
        return len(self.rows)

    def state(self) -> dict[str, Tensor]:
        """Where the streams are, as tensors for a checkpoint."""
        tensors = {"seeds": torch.tensor([s.seed for s in self.streams]), "rows": torch.tensor(self.rows)}
        for k, stream in enumerate(self.streams):
            tensors |= {f"{k} {on}": generator.get_state() for on, generator in stream.generators.items()}
        return tensors

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Go on from such a state."""
        self.streams = [Stream(seed) for seed in tensors["seeds"].tolist()]
        self.rows = tensors["rows"].tolist()
        for name, state in tensors.items():
            if " " in name:
                k, on = name.split()
                self.streams[int(k)].generator(device(on)).set_state(state)

    def part(self, values: Sequence[Any]) -> list[Any]:
        """Give trials whose values differ streams of their own; returns the value of each stream."""
        numbers: dict[tuple[int, Any], int] = {}
        rows = [numbers.setdefault(key, len(numbers)) for key in zip(self.rows, values, strict=True)]
        if len(numbers) > len(self.streams):
            taken: set[int] = set()
            streams = []
            for old, _ in numbers:
                streams.append(self.streams[old].copy() if old in taken else self.streams[old])
                taken.add(old)
            # copies were made of streams that nobody had drawn from since: all are where the shared one was
            self.streams, self.rows = streams, rows
            return [value for _, value in numbers]
        found: list[Any] = [None] * len(self.streams)
        for row, value in zip(self.rows, values, strict=True):
            found[row] = value
        return found

    def spread(self, of_streams: Tensor) -> Tensor:
        """From a row for each stream to a row for each trial; a single stream's stays one row, for all."""
        if len(self.streams) == 1 or self.rows == list(range(len(self.rows))):
            return of_streams
        return of_streams.index_select(0, torch.tensor(self.rows, device=of_streams.device))

    def drawn(self, make: Callable[[Draws], Tensor]) -> Tensor:
        """A draw that `make` makes of nothing but these streams: it can be made again, apart from what it is for."""
        return make(self)

    def draw(self, one: Callable[[], Tensor], on: device) -> Tensor:
        """What `one` draws from PyTorch's global generator, for every trial by itself: (T or 1, ...)."""
        drawn = []
        for stream in self.streams:
            with stream.in_place_of_global(on):
                drawn.append(one())
        return self.spread(torch.stack(drawn))

    def each(self, one: Callable[[int], Any], on: device) -> list[Any]:
        """`one(row)` for every trial, which draws as it would alone, as often as its values ask for."""
        self.part(range(len(self)))
        results = []
        for row, number in enumerate(self.rows):
            with self.streams[number].in_place_of_global(on):
                results.append(one(row))
        return results
