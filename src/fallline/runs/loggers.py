"""Where a run's history goes besides its own file: one function for each, found by its name.

A logger is a context manager that yields `tell(row)`, called at the end of every epoch. It is given the `Book` of the
run, which says what was told before where a run goes on. A new one is one function here, with the library it needs.
"""

from __future__ import annotations

import csv as csv_files
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import InputError, unknown
from .history import Row

Tell = Callable[[Row], None]


@dataclass(frozen=True)
class Book:
    """What a logger is told of a run: its name, its directory, its settings as plain values, the metric's name, and the
    rows that there are already."""

    name: str
    directory: Path
    settings: Mapping[str, Any]
    metric: str
    rows: Sequence[Row]

    def values(self, row: Row) -> dict[str, float]:
        """A row's numbers under the names that people look for."""
        named = {
            "loss/train": row.train_loss,
            "loss/valid": row.valid_loss,
            f"{self.metric}/valid": row.valid_metric,
            "lr": row.lr,
            "batch_size": row.batch_size,
            "examples_per_second": row.examples_per_second,
            "epoch": row.epoch,
        }
        return {name: float(value) for name, value in named.items() if value is not None}


Logger = Callable[[Book], AbstractContextManager[Tell]]

LOGGERS: dict[str, Logger] = {}
_NEEDS: dict[str, str] = {}


def logger(needs: str = "") -> Callable[[Callable[[Book], Iterator[Tell]]], Logger]:
    """Make a generator function a logger; `needs` is the module without which it cannot work."""

    def add(function: Callable[[Book], Iterator[Tell]]) -> Logger:
        made = contextmanager(function)
        LOGGERS[function.__name__] = made
        _NEEDS[function.__name__] = needs
        return made

    return add


def check(names: Sequence[str]) -> None:
    """Raises `InputError` for a name that no logger has, or one whose library is not installed."""
    for name in names:
        if name not in LOGGERS:
            raise unknown("logger", name, LOGGERS)
        needs = _NEEDS[name]
        if needs and importlib.util.find_spec(needs) is None:
            raise InputError(f"logging to {name} needs {needs}; install it with: pip install 'fallline[logging]'")


@contextmanager
def opened(names: Sequence[str], book: Book) -> Iterator[Tell]:
    """All loggers of these names as one."""
    with ExitStack() as stack:
        tells = [stack.enter_context(LOGGERS[name](book)) for name in names]

        def tell(row: Row) -> None:
            for each in tells:
                each(row)

        yield tell


@logger()
def csv(book: Book) -> Iterator[Tell]:
    """`history.csv` in the run's directory."""
    names = [field.name for field in fields(Row)]
    with (book.directory / "history.csv").open("w", newline="") as file:
        writer = csv_files.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(map(asdict, book.rows))

        def tell(row: Row) -> None:
            writer.writerow(asdict(row))
            file.flush()

        yield tell


@logger(needs="tensorboard")
def tensorboard(book: Book) -> Iterator[Tell]:
    """Event files in `tensorboard/` in the run's directory; see them with `tensorboard --logdir DIR`."""
    from torch.utils.tensorboard import SummaryWriter

    # what a killed process told beyond its checkpoint does not count
    after = book.rows[-1].step + 1 if book.rows else 0
    writer = SummaryWriter(str(book.directory / "tensorboard"), purge_step=after)
    if not book.rows:
        lines = [f"| {name} | {value} |" for name, value in book.settings.items()]
        writer.add_text("settings", "\n".join(["| | |", "| --- | --- |", *lines]))

    def tell(row: Row) -> None:
        for name, value in book.values(row).items():
            writer.add_scalar(name, value, row.step)
        writer.flush()

    try:
        yield tell
    finally:
        writer.close()


@logger(needs="mlflow")
def mlflow(book: Book) -> Iterator[Tell]:
    """A run of MLflow, at the place that its own settings say (`MLFLOW_TRACKING_URI`), under the problem's name.

    The run's id is kept in `mlflow.txt`, by which it goes on.
    """
    import mlflow as library

    client = library.MlflowClient()
    kept = book.directory / "mlflow.txt"
    if book.rows and kept.exists():
        run = client.get_run(kept.read_text().strip()).info.run_id
        client.update_run(run, "RUNNING")
    else:
        found = client.get_experiment_by_name(book.name)
        experiment = found.experiment_id if found is not None else client.create_experiment(book.name)
        run = client.create_run(experiment, run_name=book.directory.name).info.run_id
        kept.write_text(run)
        for name, value in book.settings.items():
            client.log_param(run, name, value)
    told = {metric.step for metric in client.get_metric_history(run, "epoch")}

    def tell(row: Row) -> None:
        if row.step not in told:
            for name, value in book.values(row).items():
                client.log_metric(run, name, value, step=row.step)

    status = "KILLED"
    try:
        yield tell
        status = "FINISHED"
    finally:
        client.set_terminated(run, status)


@logger(needs="wandb")
def wandb(book: Book) -> Iterator[Tell]:
    """A run of Weights & Biases, in the project of the problem's name; `WANDB_MODE=offline` needs no account.

    The run's id is kept in `wandb.txt`, by which it goes on.
    """
    import wandb as library

    kept = book.directory / "wandb.txt"
    before = kept.read_text().strip() if book.rows and kept.exists() else None
    run = library.init(
        project=book.name, dir=str(book.directory), config=dict(book.settings), id=before, resume="allow"
    )
    kept.write_text(run.id)

    def tell(row: Row) -> None:
        run.log(book.values(row), step=row.step)

    try:
        yield tell
    finally:
        run.finish()
