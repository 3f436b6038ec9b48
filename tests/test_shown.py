"""Results as the last line of a notebook's cell: a table, not thousands of numbers."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from torch import nn

import fallline
from fallline.averages import Average
from fallline.ensembles import snapshot
from fallline.schedules import parse


@pytest.fixture(scope="module")
def problem() -> fallline.Problem:
    torch.manual_seed(0)
    x = torch.randn(80, 4)
    return fallline.Problem(lambda: nn.Linear(4, 2), train=(x, (x[:, 0] > 0).long()), epochs=2)


@pytest.fixture(scope="module")
def result(problem: fallline.Problem, tmp_path_factory: pytest.TempPathFactory) -> fallline.Result:
    out: Path = tmp_path_factory.mktemp("results")
    return fallline.compare(problem, ["sgd", "adamw"], trials=2, seeds=2, out=out, stack=4)


class _Texts(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_comparison_is_its_table(result: fallline.Result) -> None:
    lines = repr(result).splitlines()
    assert max(map(len, lines)) <= 110
    assert len(lines) < 30
    assert {rule.name for rule in result.rules} <= {word for line in lines for word in line.split()}
    assert '.report("report.html")' in lines[-1]
    assert _Texts(result._repr_html_()).text.split() == repr(result).split()


def test_a_range_test_is_its_table_and_advice(problem: fallline.Problem) -> None:
    found = fallline.lr_range(problem, seeds=1, steps=20)
    assert found.advice.split()[0] in repr(found)
    assert len(repr(found)) < 2000


def test_an_ensembles_scores_are_one_line(problem: fallline.Problem) -> None:
    made = snapshot(problem, 2)
    scores = made.score(problem)
    reached = sorted(score.metric for score in scores.members)
    assert repr(scores) == (
        f"<Scores: accuracy {scores.ensemble.metric:.4g} as an ensemble, "
        f"2 members {reached[0]:.4g} to {reached[1]:.4g}>"
    )


def test_schedules_and_averages_are_their_text() -> None:
    assert repr(parse("warmup(5%)>cosine")) == "Schedules('warmup(5%) > cosine')"
    assert repr(Average(nn.Linear(2, 2), "swa(start=50%)")).startswith("Average(Linear, 'swa(start=50%")
