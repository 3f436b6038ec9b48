"""The progress bar in a notebook: one output that is written again, made by IPython alone."""

from __future__ import annotations

import builtins
import io
import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import nn

import fallline
from fallline import progress
from fallline.progress import Bar


class Output:
    """What IPython's `display` gives: an output that can be written again."""

    def __init__(self, first: Any) -> None:
        self.seen = [first]

    def update(self, other: Any) -> None:
        self.seen.append(other)


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> list[Output]:
    """A notebook's outputs; Rich takes this process for a notebook's, in which ipywidgets are not installed."""
    made: list[Output] = []

    def display(thing: Any, display_id: bool = False) -> Output:
        assert display_id
        made.append(Output(thing))
        return made[-1]

    module = ModuleType("IPython.display")
    module.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    shell = type("ZMQInteractiveShell", (), {})
    monkeypatch.setattr(builtins, "get_ipython", shell, raising=False)
    return made


@pytest.fixture
def problem() -> fallline.Problem:
    x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    return fallline.Problem(lambda: nn.Linear(4, 2), train=(x, (x[:, 0] > 0).long()), epochs=2, batch_size=8)


def test_a_run_in_a_notebook_shows_a_bar_and_leaves_its_epochs(problem, outputs, capsys):
    fallline.train(problem)
    (output,) = outputs
    assert "epoch 1/2" in output.seen[0].text
    assert "loss" in output.seen[0].text
    assert output.seen[0]._repr_html_().startswith("<pre")
    assert (repr(output.seen[-1]), output.seen[-1]._repr_html_()) == ("", "")
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]


def test_a_comparison_in_a_notebook_shows_a_bar(problem, outputs):
    fallline.compare(problem, "sgd", trials=2, seeds=2)
    assert len(outputs) == 1
    assert "trials" in outputs[0].seen[0].text


def test_a_notebook_shows_nothing_where_nothing_is_to_be_shown(problem, outputs, capsys):
    fallline.train(problem, progress=False)
    assert outputs == []
    assert capsys.readouterr().out == ""


def test_a_notebook_is_written_to_at_most_so_often(outputs, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress, "perf_counter", lambda: now[0])
    with Bar(None, what="task", total=100, refreshed=4) as bar:
        for k in range(100):
            now[0] = 1 + k / 10
            bar.update(completed=k)
    assert len(outputs[0].seen) == 1 + 33 + 1  # every third tenth of a second is the first after a quarter


def test_nothing_is_shown_in_a_file():
    console = Console(file=io.StringIO())
    with Bar(None, what="task", total=3, console=console) as bar:
        bar.update(completed=1)
    assert not bar.shown
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]
