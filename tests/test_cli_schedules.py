"""`fallline schedules` and `--schedule` as a person uses them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fallline import InputError
from fallline.schedules import REGISTRY, follow, parse
from tests.command_line import caller

PROBLEM = """
import torch
import fallline
from torch import nn

x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
problem = fallline.Problem(lambda: nn.Linear(4, 2), train=(x, (x[:, 0] > 0).long()), epochs=2, schedule="linear")
"""


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Run `fallline ...` here, in a directory of its own; gives exit status, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "170")
    (tmp_path / "mine.py").write_text(PROBLEM)

    return caller(capsys, monkeypatch)


def test_schedules_are_listed_with_how_to_write_them(call):
    status, out, _ = call("schedules")
    assert status == 0
    for schedule in REGISTRY.values():
        assert schedule.call in out
        assert schedule.summary in out
    told = json.loads(call("schedules", "--json")[1])
    assert {each["name"] for each in told} == REGISTRY.keys()
    assert next(each for each in told if each["name"] == "one_cycle")["sets"] == ["lr", "momentum"]


def test_the_list_does_not_wait_for_pytorch():
    code = (
        "import sys; sys.argv = ['fallline', 'schedules']\n"
        "from fallline import cli\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "print('torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.endswith("False\n")


def test_a_schedule_is_drawn_in_the_terminal(call):
    status, out, errors = call("schedules", "show", "linear > constant(50%, factor=0)", "--steps", 64, "--epochs", 4)
    assert (status, errors) == (0, "")
    rows = [line.partition("|")[2] for line in out.splitlines() if "|" in line]
    assert len(rows) == 8
    heights = [sum(row[k : k + 1] not in ("", " ") for row in rows) for k in range(64)]
    assert heights == sorted(heights, reverse=True)
    assert heights[0] == 8
    assert not any(heights[32:])
    assert "lr, times its base value" in out
    assert "--schedule 'linear > constant(50%, factor=0)'" in out


def written(schedule):
    """A schedule's text with no more than it needs."""
    lengths, numbers = iter(["20%", "60%"]), iter(["512"])
    needed = [parameter for parameter in schedule.parameters if parameter.default is None]
    given = [f"{each.name}={next(lengths if each.kind == 'length' else numbers)}" for each in needed]
    return f"{schedule.name}({', '.join(given)})"


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_schedule_is_drawn_as_a_run_follows_it(call, name):
    text = written(REGISTRY[name])
    status, out, errors = call("schedules", "show", text, "--steps", 120, "--epochs", 12, "--json")
    assert (status, errors) == (0, "")
    follower = follow(parse(text), examples=120_000, batch_size=1000 * 12, epochs=12)
    for quantity, curve in json.loads(out).items():
        assert curve["epochs"][0] == 0
        if quantity == "batch_size":
            expected = [follower.batch_size(int(epoch)) / 12_000 for epoch in curve["epochs"]]
        else:
            for epoch in range(12):
                follower.observe(epoch, 1.0)
            expected = [follower.factors(step)[quantity] for step in range(follower.steps)]
        assert curve["values"] == pytest.approx(expected, rel=1e-9)
    status, out, errors = call("schedules", "show", text, "--steps", 120, "--epochs", 12)
    assert (status, errors) == (0, "")
    assert out.count("|") == 8 * len(REGISTRY[name].sets)
    assert all(f"{quantity}, " in out for quantity in REGISTRY[name].sets)


def test_a_schedule_is_drawn_in_python(tmp_path):
    plan = parse("warmup(5%) > cosine; weight_decay: linear")
    figure = plan.plot(tmp_path / "picture.png", steps=40, epochs=4)
    rates, decay = (axes.lines[0].get_ydata() for axes in figure.axes)
    follower = follow(plan, examples=40, batch_size=4, epochs=4)
    assert list(rates) == pytest.approx([follower.factors(step)["lr"] for step in range(40)])
    assert list(decay) == pytest.approx([1 - step / 40 for step in range(40)])
    assert (tmp_path / "picture.png").read_bytes() == figure._repr_png_()
    with pytest.raises(InputError, match=r"must end in \.png, \.svg or \.pdf"):
        plan.plot(tmp_path / "picture.txt")
    with pytest.raises(InputError, match="its stages take 2000"):
        parse("warmup(2000) > cosine").plot()


def test_batch_growth_and_plateaus_are_explained(call):
    _, out, _ = call("schedules", "show", "batch_growth(50%, factor=4)")
    assert "batch_size, times its base value" in out
    assert "625 updates in place of 1000: the batch grows." in out
    _, out, _ = call("schedules", "show", "plateau(patience=2)")
    assert "Drawn for a validation loss that never falls." in out
    _, out, _ = call("schedules", "show", "one_cycle")
    assert "momentum, the value itself" in out


@pytest.mark.parametrize("suffix", ["png", "svg", "html"])
def test_a_schedule_is_drawn_into_a_file(call, tmp_path, suffix):
    path = tmp_path / "new" / f"picture.{suffix}"
    status, out, _ = call("schedules", "show", "warmup(5%) > cosine; weight_decay: linear", "--out", path)
    assert status == 0
    assert f"Look next at the picture: {path}" in out
    start = {"png": b"\x89PNG", "svg": b"<?xml", "html": b"<!doctype html>"}[suffix]
    assert path.read_bytes().startswith(start)
    if suffix == "html":
        assert '"warmup(5%) &gt; cosine; weight_decay: linear"' in path.read_text()


def test_curves_for_programs(call):
    curves = json.loads(call("schedules", "show", "linear", "--steps", 10, "--epochs", 2, "--json")[1])
    assert curves["lr"]["values"] == pytest.approx([1 - k / 10 for k in range(10)])
    assert curves["lr"]["epochs"] == pytest.approx([k / 5 for k in range(10)])


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (("cosin",), "Did you mean cosine"),
        (("warmup(2000) > cosine",), "its stages take 2000 of the run's 1000 updates"),
        (("cosine", "--steps", 0), "steps=0 is not allowed"),
        (("cosine", "--steps", 100, "--epochs", 3), "the next that fits is 102"),
        (("cosine", "--out", "a.txt"), "must end in .html"),
    ],
)
def test_mistakes_are_told_in_one_line(call, args, complaint):
    status, out, errors = call("schedules", "show", *args)
    assert (status, out) == (2, "")
    assert errors.startswith("error: ")
    assert complaint in errors
    assert len(errors.splitlines()) == 1


def test_a_comparison_follows_the_schedule_that_is_asked_for(call):
    args = ("compare", "mine.py:problem", "--rules", "sgd", "--trials", 2, "--seeds", 1, "--json")
    notes = {}
    for schedule in (None, "none", "warmup(50%) > cosine", "linear"):
        status, out, _ = call(*args, *(() if schedule is None else ("--schedule", schedule)))
        assert status == 0
        result = json.loads(out)
        told = [note for note in result["notes"] if "schedule" in note]
        notes[schedule] = (told, result["study"]["id"] if "study" in result else out)
    assert notes[None] == notes["linear"]
    assert notes[None][0] == ["Every trial follows the schedule linear."]
    assert notes["none"][0] == []
    assert notes["warmup(50%) > cosine"][0] == ["Every trial follows the schedule warmup(50%) > cosine."]
    status, _, errors = call(*args, "--schedule", "wram(5%) > cosine")
    assert status == 2
    assert "error: unknown schedule 'wram'. Did you mean" in errors
