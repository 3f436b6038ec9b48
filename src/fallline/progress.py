"""The progress bar that every long verb shows: on stderr or in a notebook, with the time left, gone when it is done."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterator
from time import perf_counter
from types import TracebackType
from typing import Any, Self, TypeVar

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from .shown import Shown, shown

T = TypeVar("T")

_WIDTH = 150
"""Characters of a bar in a notebook, which scrolls to see them all."""


class Bar:
    """A bar of one task; silent when `show` is false, or None where nobody sees it: no terminal and no notebook.

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
        width: int = 24,
        **fields: Any,
    ) -> None:
        """`refreshed` counts the refreshes in a second, `width` the characters of the bar itself."""
        self._console = console or Console(stderr=True)
        notebook = self._console.is_jupyter
        self.shown = self._console.is_terminal or notebook if show is None else bool(show)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=width),
            *columns,
            console=self._console,
            disable=notebook or not self.shown,  # in a notebook Rich needs ipywidgets
            transient=True,
            refresh_per_second=refreshed,
        )
        self._output = _Output(self._bar.get_renderable, 1 / refreshed) if notebook and self.shown else None
        self._task = self._bar.add_task(what, total=total, **fields)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if self._output is not None:
            self._output.clear()

    def update(self, **values: Any) -> None:
        """Show other values: `completed`, `total`, `description`, fields."""
        self._bar.update(self._task, **values)
        if self._output is not None:
            self._output.show()

    def restart(self, completed: float = 0) -> None:
        """Measure the time left from here."""
        self._bar.reset(self._task, completed=int(completed))

    def say(self, text: str) -> None:
        """A line of text that stays, above the bar; in a notebook below it."""
        if self._console.is_jupyter:
            print(text)  # Rich would make an output of its own of each line
        else:
            self._console.print(text, highlight=False, markup=False)


class _Output:
    """An output below a notebook's cell that is written again, at most every `pause` seconds."""

    def __init__(self, what: Callable[[], RenderableType], pause: float) -> None:
        self._what, self._pause = what, pause
        self._next = 0.0
        self._handle: Any = None

    def show(self) -> None:
        """Write what there is to see now."""
        now = perf_counter()
        if now < self._next:
            return
        self._next = now + self._pause
        seen = shown(self._what(), width=_WIDTH)
        if self._handle is None:
            self._handle = importlib.import_module("IPython.display").display(seen, display_id=True)
        else:
            self._handle.update(seen)

    def clear(self) -> None:
        """Leave nothing to see."""
        if self._handle is not None:
            self._handle.update(Shown("", ""))


def tracked(items: Collection[T], what: str) -> Iterator[T]:
    """The items, which have a length, with a bar that counts them."""
    count = TextColumn("{task.completed:.0f}/{task.total:.0f}")
    with Bar(None, count, *left(), what=what, total=len(items)) as bar:
        for number, item in enumerate(items, 1):
            yield item
            bar.update(completed=number)


def left() -> tuple[ProgressColumn, ProgressColumn]:
    """The columns that tell the time left."""
    return TextColumn("left"), TimeRemainingColumn()
