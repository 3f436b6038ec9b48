"""The progress bar that every long verb shows: on stderr, with the time left, gone when it is done."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn


class Bar:
    """A bar of one task; silent when `show` is false, or None and stderr is no terminal.

    `columns` stand to the right of the description and the bar; `fields` are what they show at first.
    """

    def __init__(
        self,
        show: bool | None,
        *columns: ProgressColumn,
        what: str = "",
        total: float | None = None,
        console: Console | None = None,
        refreshed: float = 10,
        **fields: Any,
    ) -> None:
        """`refreshed` counts the refreshes in a second."""
        self._console = console or Console(stderr=True)
        self.shown = self._console.is_terminal if show is None else bool(show)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            *columns,
            console=self._console,
            disable=not self.shown,
            transient=True,
            refresh_per_second=refreshed,
        )
        self._task = self._bar.add_task(what, total=total, **fields)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def update(self, **values: Any) -> None:
        """Show other values: `completed`, `total`, `description`, fields."""
        self._bar.update(self._task, **values)

    def restart(self, completed: float = 0) -> None:
        """Measure the time left from here."""
        self._bar.reset(self._task, completed=int(completed))


def left() -> tuple[ProgressColumn, ProgressColumn]:
    """The columns that tell the time left."""
    return TextColumn("left"), TimeRemainingColumn()
