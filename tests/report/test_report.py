"""The page and the figure, from results that are made up in `make`."""

from __future__ import annotations

import ast
import json
import os
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch

import fallline.report.page as page_module
from fallline.errors import InputError
from fallline.report import figure, write
from fallline.report.page import page, snippet
from fallline.report.pictures import found, zoom
from fallline.report.style import looks
from fallline.report.words import brief, duration, significant
from fallline.rules import get, names
from fallline.rules.rule import is_built_in

from . import make

go = pytest.importorskip("plotly.graph_objects")
HOSTILE = "</script><script>alert('x')</script><img src=x onerror=alert(1)>&{{7*7}}"


class Read(HTMLParser):
    """What a page is made of: its tags with their attributes, its visible text, its scripts and its data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = [("", {})]
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.data: list[dict[str, Any]] = []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        tag, attributes = self.tags[-1]
        if tag == "script" and attributes.get("type") == "application/json":
            self.data = json.loads(data)
        elif tag == "script":
            self.scripts.append(data)
        elif tag != "style":
            self.words.append(data)

    def handle_endtag(self, tag: str) -> None:
        self.tags.append((f"/{tag}", {}))


@pytest.fixture(scope="module")
def full() -> Read:
    return Read(page(make.result()))


def test_the_page_loads_nothing(full: Read) -> None:
    for tag, attributes in full.tags:
        assert not attributes.get("src"), tag
        assert tag != "link"
        if attributes.get("href"):
            assert tag == "a", tag
            assert str(attributes["href"]).startswith(("#", "https://arxiv.org/abs/"))
        assert not any(name.startswith("on") for name in attributes), tag
    policy = next(a["content"] for tag, a in full.tags if tag == "meta" and "content" in a and a.get("http-equiv"))
    assert str(policy).startswith("default-src 'none'; script-src 'sha256-")
    assert "url(" not in (Path(page_module.__file__).parent / "templates" / "page.css").read_text()


def test_plotly_is_there_once(full: Read) -> None:
    assert sum("plotly.js v" in script for script in full.scripts) == 1
    assert len(full.scripts) == 2


def test_the_answer_comes_first(full: Read) -> None:
    best = make.result().best
    assert full.text.index(f"{best.name} reaches 97.8 % test accuracy on digits") < full.text.index("Ranking")
    assert "The 95 % interval over 5 seeds is" in full.text
    assert "No difference shown between adamw and adam" in full.text


def test_every_rule_and_every_picture_is_told(full: Read) -> None:
    for name in make.RULES:
        assert full.words.count(f" {name}") >= 2, name
    for picture in found():
        assert picture.title.format(metric="accuracy") in full.text
    sections = [attributes["id"] for tag, attributes in full.tags if tag == "section"]
    assert sections == ["ranking", "differences", "learning", "speed", "tuning", "importance", "rules", "measured"]
    links = {attributes["href"] for tag, attributes in full.tags if tag == "a" and "href" in attributes}
    assert {f"#{section}" for section in sections} <= links
    assert "every search trial diverged" in full.text
    assert "digits-1a2b3c4d" in full.text
    assert "cpu Made-up CPU, cores 2, threads 2, memory 16.0 GiB" in full.text
    assert "started 2026-01-02 03:04 UTC" in full.text


def test_equations_are_mathml(full: Read) -> None:
    assert sum(tag == "math" for tag, _ in full.tags) == 2 * len(make.RULES)


def test_pictures_say_what_they_show(full: Read) -> None:
    plots = [attributes for tag, attributes in full.tags if attributes.get("class") == "plot"]
    assert sorted(int(str(plot["data-panel"])) for plot in plots) == list(range(len(full.data)))
    assert all(plot["role"] == "img" and len(str(plot["aria-label"])) > 20 for plot in plots)


def test_plotly_knows_every_word_of_the_pictures(full: Read) -> None:
    for panel in full.data:
        traces = [{k: v for k, v in trace.items() if v is not None} for trace in panel["traces"]]
        go.Figure({"data": [{"type": "scatter", **trace} for trace in traces], "layout": panel["layout"]})


def test_a_rule_keeps_its_colour(full: Read) -> None:
    look = looks(rule.name for rule in make.result().rules)
    for panel in full.data:
        for trace in panel["traces"]:
            if "meta" in trace and "line" in trace and "color" in trace["line"]:
                assert trace["line"]["color"] == look[trace["meta"]].colour


def test_looks_differ_beyond_the_palette() -> None:
    many = looks(f"rule{k}" for k in range(30))
    assert len(set(many.values())) == 30


@pytest.mark.parametrize(
    "case", [make.one_rule, make.one_seed, make.interrupted, make.nothing_scored], ids=lambda case: case.__name__
)
def test_small_results(case: Any, tmp_path: Path) -> None:
    result = case()
    read = Read(write(result, tmp_path / "report.html").read_text(encoding="utf-8"))
    assert all(f" {rule.name}" in read.words for rule in result.rules)
    assert "nan" not in read.text.lower().split()
    assert ("Incomplete." in read.text) == (not result.complete)
    assert figure(result, tmp_path / "figure.svg") is not None


def test_one_seed_says_that_nothing_is_sure() -> None:
    assert "One seed allows no interval" in Read(page(make.one_seed())).text


def test_an_interrupted_comparison_says_what_is_missing() -> None:
    text = Read(page(make.interrupted())).text
    assert text.index("25 of 48 search trials and 10 of 30 final runs are done") < text.index("reaches")


def test_no_score_is_no_answer() -> None:
    text = Read(page(make.nothing_scored())).text
    assert "No answer yet" in text
    assert "fallline.optim" not in text


def test_all_diverged() -> None:
    lost = make.rule_result("sgd", 0.9, trials=3, seeds=2, lost=1.0)
    read = Read(page(replace(make.one_rule(), rules=(lost,), differences=())))
    assert "No answer: every trial diverged" in read.text


def test_defaults_that_do_as_well_are_told() -> None:
    result = make.one_rule()
    rule = replace(result.rules[0], default_metric=result.rules[0].test_metric)
    assert "its own defaults did no worse" in Read(page(replace(result, rules=(rule,)))).text


def test_a_shown_difference_is_told_with_its_interval() -> None:
    result = make.result(["adam", "sgd"])
    gap = replace(result.differences[0], estimate=make.estimate([0.02, 0.021, 0.019]), shown=True)
    text = Read(page(replace(result, differences=(gap,)))).text
    assert f"{gap.first} is ahead of the runner-up, {gap.second}, by 2.00 points (1.87 to 2.13 points" in text


def test_errors_are_ranked_from_below() -> None:
    result = make.result(["adam", "sgd"])
    rules = [
        replace(rule, test_metric=make.estimate([1 - record.test_metric for record in rule.tuned]))
        for rule in result.rules
    ]
    gap = replace(result.differences[0], estimate=make.estimate([-0.02, -0.021, -0.019]), shown=True)
    result = replace(result, metric_name="error", maximize=False, rules=tuple(rules), differences=(gap,))
    assert "is ahead of the runner-up, sgd, by 2.00 points (1.87 to 2.13 points" in Read(page(result)).text


def test_what_mattered_is_told_for_every_rule(full: Read) -> None:
    assert "lr mattered; beta1 and beta2 were not shown to." in full.text
    assert "Relevance" in full.text


def test_a_rule_with_few_trials_says_so() -> None:
    text = Read(page(make.result(["adam", "sgd"], trials=4))).text
    assert "4 trials are too few to tell; it takes 8." in text
    assert "The measures in numbers" not in text


def test_without_the_search_extra_the_report_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("optuna", "sklearn"):
        monkeypatch.setitem(sys.modules, module, None)
    text = Read(page(make.one_rule())).text
    assert "takes optuna and scikit-learn: pip install 'fallline[search]'" in text


def test_the_problems_own_hyper_parameters_and_pruned_trials() -> None:
    result = make.result(["adam", "sgd"], trials=24, own=True, pruned=True)
    read = Read(page(result))
    assert "Pruned in search" in read.text
    assert "activation = tanh" in read.text.split("Ranking")[0]
    assert f"# with the problem's own: width={result.best.tuned[0].own['width']}" in read.text
    labels = {str(a["aria-label"]) for _, a in read.tags if a.get("class") == "plot"}
    assert any("adam against activation" in label and "pruned" in label for label in labels)
    ticks = [panel["layout"].get("xaxis", {}).get("ticktext") for panel in read.data]
    assert ["relu", "tanh", "gelu"] in ticks
    symbols = {s for panel in read.data for trace in panel["traces"] for s in _symbols(trace)}
    assert {"x-thin-open", "line-ns-open"} <= symbols
    for panel in read.data:
        go.Figure({"data": [{"type": "scatter", **trace} for trace in panel["traces"]], "layout": panel["layout"]})


def _symbols(trace: dict[str, Any]) -> list[str]:
    symbol = trace.get("marker", {}).get("symbol", [])
    return [symbol] if isinstance(symbol, str) else symbol


def test_a_page_of_many_trials_stays_small() -> None:
    result = make.result(["adam", "sgd"], trials=700, epochs=60)
    read = Read(page(result))
    assert len(json.dumps(read.data)) < 2e6
    assert "Of more than 300 trials, 300 drawn at random and the chosen one are shown." in read.text
    assert "Of more than 40 trials, 40 drawn at random are shown" in read.text
    assert "more, which are in the record." in read.text


def test_hostile_text_stays_text() -> None:
    result = make.result(["adam", "sgd"])
    rules = []
    for rule in result.rules:
        search = tuple(replace(record, reason=HOSTILE, state="diverged") for record in rule.search[:2])
        text = replace(rule.rule, name=f"{rule.name}{HOSTILE}", summary=HOSTILE, paper=HOSTILE)
        rules.append(
            replace(
                rule,
                name=f"{rule.name}{HOSTILE}",
                rule=text,
                search=search + rule.search[2:],
                equation=(r"\text{<img src=x onerror=alert(1)>} < \href{javascript:alert(1)}{x}",),
            )
        )
    first, second = (rule.name for rule in rules)
    result = replace(
        result,
        problem_name=HOSTILE,
        notes=[HOSTILE],
        rules=tuple(rules),
        differences=(replace(result.differences[0], first=first, second=second, sentence=HOSTILE),),
        study=replace(result.study, id=HOSTILE, machine={HOSTILE: HOSTILE}),
    )
    read = Read(page(result))
    assert len(read.scripts) == 2
    assert not any(tag == "img" for tag, _ in read.tags)
    assert not any("javascript:" in str(attributes.get("href")) for _, attributes in read.tags)
    assert "49" not in read.text.split("How this was measured")[0].split("Which")[0]
    for panel in read.data:
        for trace in panel["traces"]:
            trace.pop("meta", None)  # compared, never drawn
        assert "<img" not in json.dumps(panel)
        assert "<script" not in json.dumps(panel)


@pytest.mark.parametrize("name", [name for name in names() if is_built_in(get(name))])
def test_the_snippet_runs(name: str) -> None:
    rule = make.rule_result(name, 0.95, trials=4, seeds=1)
    text = snippet(rule)
    scope: dict[str, Any] = {"model": torch.nn.Linear(2, 2)}
    exec(text, scope)
    assert type(scope["optimizer"]).__name__ == rule.rule.title
    call = next(node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call) and node.keywords)
    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    assert set(given) == set(rule.rule.space)
    for hyper, value in given.items():
        assert value == pytest.approx(rule.tuned[0].settings[hyper], rel=1e-3)


def test_the_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(InputError, match="No space left"):
            write(make.one_rule(), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    assert write(make.one_rule(), path) == path
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_paths_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a directory"):
        write(make.one_rule(), tmp_path)
    with pytest.raises(InputError, match="cannot be written"):
        write(make.one_rule(), tmp_path / "file" / "report.html")
    assert write(make.one_rule(), tmp_path / "new" / "report.html").exists()


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_figure_is_saved_by_suffix(suffix: str, tmp_path: Path) -> None:
    drawn = figure(make.result(), tmp_path / f"figure{suffix}")
    start = (tmp_path / f"figure{suffix}").read_bytes()[:5]
    assert {".png": b"\x89PNG\r", ".svg": b"<?xml", ".pdf": b"%PDF-"}[suffix] == start
    assert [axes.get_xlabel() for axes in drawn.axes] == ["test accuracy (%)", "epoch"]
    assert len(list(tmp_path.iterdir())) == 1


def test_the_figure_refuses_other_suffixes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must end in \.png, \.svg or \.pdf"):
        figure(make.one_rule(), tmp_path / "figure.jpg")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        figure(make.one_rule(), tmp_path / "file" / "figure.png")


def test_the_figure_leaves_pyplot_alone() -> None:
    import matplotlib.pyplot as plt

    before, settings = plt.get_fignums(), dict(plt.rcParams)
    figure(make.one_rule())
    assert plt.get_fignums() == before
    assert dict(plt.rcParams) == settings


@pytest.mark.parametrize("missing", ["jinja2", "plotly", "latex2mathml", "matplotlib"])
def test_a_missing_package_is_named(missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, missing, None)
    tell = {"matplotlib": figure}.get(missing, lambda result: write(result, tmp_path / "report.html"))
    with pytest.raises(InputError, match=rf"need {missing}; install it with: pip install 'fallline\[report\]'"):
        tell(make.one_rule())


def test_the_room_imports_nothing_heavy() -> None:
    import subprocess

    code = "import sys, fallline.report; print([m for m in ('plotly', 'matplotlib', 'jinja2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.1234e-3, "3.1e-3"),
        (1e-3, "1e-3"),
        (0.05, "0.05"),
        (0.99912, "0.99912"),
        (0.9, "0.9"),
        (0.0, "0"),
        (1.0, "1"),
        (12.34, "12"),
    ],
)
def test_settings_are_brief(value: float, text: str) -> None:
    assert brief(value) == text


def test_numbers_carry_sensible_digits() -> None:
    assert [duration(s) for s in (12.3e-6, 0.0034, 1.234, 250, 7300)] == [
        "12.3 µs",
        "3.40 ms",
        "1.23 s",
        "4 min 10 s",
        "2 h 1 min",
    ]
    assert [significant(x) for x in (1240, -4277.1, 12, 0.105, 0)] == ["1,240", "−4,277", "12.0", "0.105", "0"]


@pytest.mark.parametrize(
    ("values", "higher", "within", "outside"),
    [
        ([0.1, 0.94, 0.96, 0.97, 0.98], True, 0.94, 0.1),
        ([0.02, 0.03, 0.04, 0.9], False, 0.04, 0.9),
    ],
)
def test_an_axis_shows_the_good_values(values: list[float], higher: bool, within: float, outside: float) -> None:
    low, high = zoom(values, higher)
    assert low <= within <= high
    assert not low <= outside <= high
    assert zoom([0.5], higher)[0] < 0.5 < zoom([0.5], higher)[1]
