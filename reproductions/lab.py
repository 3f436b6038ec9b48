"""Where a claim is measured: data, training, pictures; what was measured is kept, part by part."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

import fallline
from fallline.problems import Arrays, Problem, Split, load
from fallline.training import Execution, Outcome, Point, Trial, train

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")


@dataclass
class Lab:
    """What a claim measures with. `folder` keeps its parts, those of another `version` of the claim being out of date.

    `data` is the directory of data sets (default: FALLLINE_DATA); `execution` says how trials are trained (default: as
    is fastest).
    """

    folder: Path
    version: str
    data: Path | None = None
    execution: Execution | None = None
    pictures: list[Path] = field(default_factory=list)
    spared: float = 0.0
    """Seconds that parts took which were kept from an earlier, interrupted run."""

    def problem(self, name: str) -> Problem:
        """A built-in problem."""
        return load(name, self.data)

    def part(self, name: str, measure: Callable[[], T]) -> T:
        """What `measure` gives, plain values as JSON has them; not measured again when it was kept."""
        path = self.folder / f"{name}.json"
        held = read(path)
        if held is not None and held["version"] == self.version:
            self.spared += held["seconds"]
            value: T = held["value"]
            return value
        began = perf_counter()
        made = measure()
        write(path, json.dumps({"version": self.version, "seconds": perf_counter() - began, "value": made}))
        again: T = json.loads(json.dumps(made))
        return again

    def train(self, name: str, problem: Problem, trials: Sequence[Trial]) -> list[Outcome]:
        """The outcomes of the trials, trained together where that is faster; a part."""

        def measure() -> list[dict[str, Any]]:
            ended: dict[int, Outcome] = {}
            with self.watch(name, len(trials) * (problem.epochs + 1)) as advance:
                for some in train(problem, trials, on_epoch=lambda index, point: advance(), execution=self.execution):
                    ended.update(some)
            return [asdict(ended[k]) for k in range(len(trials))]

        return [_outcome(values) for values in self.part(name, measure)]

    def compare(self, name: str, problem: Problem, rules: Iterable[str], trials: int, seeds: int) -> fallline.Result:
        """A comparison, whose record is kept."""
        place = self.folder / f"{name}-{self.version}"
        result = fallline.compare(problem, rules, trials=trials, seeds=seeds, out=place)
        if not result.complete:
            raise KeyboardInterrupt
        return result

    @contextmanager
    def watch(self, name: str, total: int) -> Iterator[Callable[[], None]]:
        """A progress bar under that name, at a terminal; what it gives is called `total` times on the way."""
        console = Console(stderr=True)
        text = TextColumn(f"{self.folder.name}: {name}")
        columns = text, BarColumn(), TimeElapsedColumn(), TimeRemainingColumn()
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(name, total=total)
            yield lambda: progress.advance(task)

    def picture(self, name: str, figure: Figure) -> None:
        """Keep a picture for the table of results."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{name}.png"
        figure.savefig(path, dpi=110, bbox_inches="tight")
        self.pictures.append(path)


def examples(split: Split, count: int | None = None) -> tuple[Tensor, Tensor]:
    """Inputs and targets of the first `count` examples (default: all) of a split that is in memory."""
    assert isinstance(split, Arrays)
    return split.x[:count], split.y[:count]


def tested(outcomes: Iterable[Outcome]) -> list[float]:
    """Test metrics; of a trial that diverged, that of the untrained model."""
    return [outcome.test_metric for outcome in outcomes if outcome.test_metric is not None]


def read(path: Path) -> dict[str, Any] | None:
    """What a file of ours holds; None where there is none, or it is damaged."""
    try:
        held: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return held


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(text)
    unfinished.replace(path)


def _outcome(values: dict[str, Any]) -> Outcome:
    return Outcome(**{**values, "curve": tuple(Point(**point) for point in values["curve"])})
