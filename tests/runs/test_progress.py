"""What a run shows while it trains."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from fallline.runs import Row, train, trainer
from fallline.runs.progress import Watch

from .problems import plain

ROW = Row(1, 6, 1.5, 0.7, 0.65, 0.8, lr=0.01, batch_size=16, examples_per_second=60.0)


def terminal(clock: list[float], width: int = 160) -> Console:
    """A terminal at which it is the last of these seconds."""
    return Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None, get_time=lambda: clock[-1])


def written(console: Console) -> str:
    """What was written, without the codes that move the cursor."""
    return re.sub(r"\x1b\[[?\d]*[A-Za-z]", "", console.file.getvalue())  # type: ignore[attr-defined]


def last(console: Console) -> str:
    """The bar as it was shown last."""
    return written(console).rpartition("epoch")[2].strip()


@pytest.mark.parametrize("width", [160, 80])
def test_loss_metric_rate_and_time_left_are_shown(width: int) -> None:
    clock = [0.0]
    console = terminal(clock, width)
    with Watch(None, "accuracy", 4, 40, console) as watch:
        watch.epoch(ROW)
        for step in (10, 20, 30):
            clock.append(clock[-1] + 5)
            watch.steps(3, step, 0.25, 0.004, 1234.5)
    assert {"3/4", "30/40", "0.25", "accuracy", "0.8", "0.004", "1,234", "0:00:05"} <= set(last(console).split())
    assert (width < 100) == ("\n" in last(console))  # wrapped where it does not fit


def test_an_epoch_leaves_a_line() -> None:
    console = terminal([0.0])
    with Watch(None, "accuracy", 4, 40, console) as watch:
        watch.epoch(ROW)
    assert "epoch 1/4  train loss 0.7  valid loss 0.65  valid accuracy 0.8" in written(console)


def test_steps_taken_before_say_nothing_about_the_time_left() -> None:
    clock = [0.0]
    console = terminal(clock)
    with Watch(None, "accuracy", 4, 1020, console) as watch:
        watch.goes_on(1000)
        for step in (1005, 1010):
            clock.append(clock[-1] + 5)
            watch.steps(4, step, 0.25, None, 1.0)
    assert "0:00:10" in last(console)
    assert "lr" not in last(console)


def test_a_run_shows_its_steps_and_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    console = terminal([0.0])
    seen: list[tuple[int, int, float | None]] = []

    class Noted(Watch):
        def __init__(self, show: bool | None, metric: str, epochs: int, steps: int) -> None:
            super().__init__(show, metric, epochs, steps, console)

        def steps(self, epoch: int, step: int, loss: float, lr: float | None, rate: float) -> None:
            seen.append((epoch, step, lr))
            super().steps(epoch, step, loss, lr, rate)

    monkeypatch.setattr(trainer, "Watch", Noted)
    run = train(plain(), "sgd", lr=0.5, schedule="linear")
    assert [(epoch, step) for epoch, step, _ in seen] == [(1, 6), (2, 12), (3, 18), (4, 24)]
    assert [lr for *_, lr in seen] == pytest.approx([row.lr for row in run.history[1:]])
    for row in run.history[1:]:
        assert f"epoch {row.epoch}/4  train loss {row.train_loss:.4g}  valid loss {row.valid_loss:.4g}" in written(
            console
        )
