"""How things are timed: all candidates in one process, in both orders, medians of times and of ratios."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numba
import torch

Work = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Seconds for one piece of work, by round; round k of every candidate was measured within moments of the others."""

    rounds: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """The median."""
        return statistics.median(self.rounds)

    def ratio(self, other: Timing) -> float:
        """The median over rounds of this time as a share of the other's."""
        return statistics.median(a / b for a, b in zip(self.rounds, other.rounds, strict=True))


def nothing() -> None:
    """There is nothing to wait for."""


def side_by_side(
    works: Mapping[str, Work],
    repeats: int,
    rounds: int,
    wait: Callable[[], None] = nothing,
    warms: bool = True,
) -> dict[str, Timing]:
    """Time every work `repeats` times in a row, in `rounds` rounds whose order alternates.

    `wait` returns when the device has done what it was given. Work that takes long `warms` nothing by being done once
    more, untimed.
    """
    for work in works.values():
        work()
        if warms:
            work()
    found: dict[str, list[float]] = {name: [] for name in works}
    names = list(works)
    for k in range(rounds):
        for name in names if k % 2 == 0 else reversed(names):
            work = works[name]
            if warms:
                work()  # untimed: what the one before left in the cache is no merit of this one
                wait()
            start = time.perf_counter()
            for _ in range(repeats):
                work()
            wait()
            found[name].append((time.perf_counter() - start) / repeats)
    return {name: Timing(tuple(times)) for name, times in found.items()}


def machine() -> str:
    """The machine and the versions that a table of times belongs to, in a line."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    cpu = names[0].partition(":")[2].strip() if names else platform.processor()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{cpu}, {os.cpu_count()} cores ({torch.get_num_threads()} threads used), {memory:.0f} GiB, "
        f"{platform.system()}; Python {platform.python_version()}, torch {torch.__version__}, numba {numba.__version__}"
    )
