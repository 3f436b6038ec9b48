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


def test_an_ensemble_is_its_members_and_its_scores_are_a_table(problem: fallline.Problem) -> None:
    made = snapshot(problem, 2)
    scores = made.score(problem)
    for name, reached in zip(made.names, scores.members, strict=True):
        assert name in repr(made)
        (row,) = (line for line in repr(scores).splitlines() if name in line)
        assert f"{reached.metric:.4g}" in row.split()
    assert "A prediction is the mean of the members' probabilities" in repr(made)
    assert "the mean of its members" in repr(scores)
    for each in (made, scores):
        assert _Texts(each._repr_html_()).text.split() == repr(each).split()


def test_a_run_is_its_epochs_and_scores(problem: fallline.Problem) -> None:
    run = fallline.train(problem, "sgd", lr=0.1)
    assert run.test is not None
    rows = {int(words[0]): words for line in repr(run).splitlines() if (words := line.split()) and words[0].isdigit()}
    assert rows.keys() == {row.epoch for row in run.history}
    for row in run.history[1:]:
        assert f"{row.valid_loss:.4g}" in rows[row.epoch]
        assert ("best" in rows[row.epoch]) == (row.epoch == run.best_epoch)
    assert f"- test accuracy {run.test.metric:.4g}  loss {run.test.loss:.4g}" in repr(run)
    assert _Texts(run._repr_html_()).text.split() == repr(run).split()


def test_of_a_long_run_some_epochs_are_shown_and_the_best() -> None:
    torch.manual_seed(0)
    x = torch.randn(40, 4)
    problem = fallline.Problem(lambda: nn.Linear(4, 2), train=(x, (x[:, 0] > 0).long()), epochs=60, batch_size=40)
    run = fallline.train(problem, "sgd", lr=0.5)
    lines = [line.split() for line in repr(run).splitlines()]
    shown = [words[0] for words in lines if "".join(words[:2]).isdigit()]
    assert 12 <= len(shown) <= 13
    assert {"0", "60", str(run.best_epoch)} <= set(shown)
    assert f"{len(shown)} of 61 rows; all of them: .history" in repr(run)


def test_schedules_and_averages_are_their_text() -> None:
    assert repr(parse("warmup(5%)>cosine")) == "Schedules('warmup(5%) > cosine')"
    assert repr(Average(nn.Linear(2, 2), "swa(start=50%)")).startswith("Average(Linear, 'swa(start=50%")
