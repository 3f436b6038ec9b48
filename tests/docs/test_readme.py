"""The README is true: its Python runs, its numbers are those of the code, and what it lists is all that there is."""

from __future__ import annotations

import importlib.util
import inspect
import operator
import re
import tomllib

import pytest
import torch
from docs.commands import verbs
from docs.state import bytes_of_state

import fallline
from fallline import problems
from fallline.kernels import cost, cpu
from fallline.optim import full_batch
from fallline.rules import REGISTRY, get
from fallline.rules.composition import SETTINGS
from fallline.study import DEFAULT_RULES
from fallline.study.search.pruners import PRUNERS
from fallline.study.search.samplers import SAMPLERS
from tests.command_line import caller
from tests.docs.blocks import README, ROOT, blocks, rules_forgotten, run_python

TEXT = README.read_text()
PROSE = re.sub(r"^```.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)
CODE = re.findall(r"`([^`\n]+)`", PROSE)


def between(start: str, end: str) -> str:
    """The words of the README between two others, in one line."""
    return " ".join(PROSE.split()).partition(start)[2].partition(end)[0]


def coded(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    generator = torch.Generator().manual_seed(0)
    torch.save(torch.randn(80, 64, generator=generator), "features.pt")
    torch.save(torch.arange(80) % 10, "labels.pt")
    with rules_forgotten():
        yield tmp_path


def write_rule(folder):
    """The file of the rule that it shows; gives its text."""
    text = next(text for text in blocks(README, "python") if text.startswith("# my_rules.py"))
    (folder / "my_rules.py").write_text(text)
    return text


def test_its_python_runs_from_top_to_bottom(folder, monkeypatch):
    whole = fallline.compare

    def a_small_one(*args, trials, seeds, **more):
        return whole(*args, trials=2, seeds=2, **more)

    monkeypatch.setattr(fallline, "compare", a_small_one)
    run_python(README, folder)
    assert (folder / "report.html").exists()


def test_what_it_shows_of_a_rule_is_what_the_program_prints(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "170")
    write_rule(folder)
    status, printed, _ = caller(capsys, monkeypatch)("rules", "show", "my_rules.py:my_powersign")
    assert status == 0
    (shown,) = blocks(README, "text")
    parts = [part.strip("\n") for part in re.split(r"^\.\.\.$", shown, flags=re.MULTILINE)]
    assert len(list(filter(None, parts))) == 2
    lines = "\n".join(line.rstrip() for line in printed.splitlines())
    for part in parts:
        assert part in lines


def test_the_demo_compares_and_trains_as_many_as_it_says():
    given = {name: p.default for name, p in inspect.signature(fallline.compare).parameters.items()}
    rules = len(DEFAULT_RULES)
    assert f"compares {rules} optimizers" in TEXT
    assert f"trains {rules * (given['trials'] + 2 * given['seeds'])} models" in TEXT


def test_the_problems_that_it_lists_are_those_that_there_are():
    listed = coded(between("Built-in problems: ", "with several networks"))
    several = coded(between("(no download); ", "with several networks"))
    assert listed == {name for name in problems.names() if not name.startswith(tuple(f"{n}_" for n in several))}


def test_the_searches_that_it_lists_are_those_that_there_are():
    assert {"random", *coded(between("for an equal chance; ", " are Optuna's"))} == set(SAMPLERS)
    ends = " ".join(coded(between("are Optuna's. ", " end what falls behind")))
    assert set(ends.split()) == {"--pruner", *PRUNERS}


def test_the_rules_that_it_lists_are_there():
    named = between("install other libraries for: ", " and many more").split(", ")
    titles = [rule.title.lower() for rule in REGISTRY.values()]
    assert len(named) > 10
    for name in named:
        assert any(title.startswith(name.replace("-", "").lower()) for title in titles), name


def test_the_full_batch_methods_and_settings_that_it_lists_are_there():
    listed = coded(between("**Full batches**: ", "; the"))
    methods = {name.removeprefix("fallline.optim.") for name in listed if "=" not in name}
    assert methods == set(full_batch.METHODS)
    settings = coded(between("**Settings of any class**: ", ", decays and penalties"))
    assert {name for name in settings if "(" not in name} <= set(SETTINGS)


def test_its_numbers_of_memory_and_sizes_are_the_code_s_and_the_measurement_s():
    assert "`state_8bit=True` (a quarter of Adam's state" in PROSE
    assert bytes_of_state(get("state_8bit(adam)")) / bytes_of_state(get("adam")) == pytest.approx(1 / 4, rel=0.01)
    measured = re.findall(r"^### .+?: ([\d,]+) parameters", (ROOT / "benchmarks" / "RESULTS.md").read_text(), re.M)
    small, *large = dict.fromkeys(measured)
    millions = [f"{int(count.replace(',', '')) / 1e6:.3g} million" for count in large]
    assert f"{small}, {' and '.join(millions)} parameters" in " ".join(PROSE.split())


def test_the_types_of_numbers_that_it_lists_are_those_of_the_kernels():
    listed = between("'fallline[gpu]'`), for ", ", and give the numbers")
    assert set(re.findall(r"\w*float\d+", listed)) == set(cpu.DTYPES)


def test_one_pass_to_clip_and_one_for_the_rest():
    assert "# one pass to clip, one for the rest" in TEXT
    assert len(cost(get("ema(clip_norm(adamw))")).sweeps) == 2


def test_every_public_name_that_it_mentions_is_there(folder):
    exec(compile(write_rule(folder), str(folder / "my_rules.py"), "exec"), {})
    for code in CODE:
        if code.startswith("fallline."):
            operator.attrgetter(code.removeprefix("fallline."))(fallline)


def test_every_option_and_verb_that_it_mentions_is_the_program_s():
    options = {"--help", *(option for _, verb in verbs() for p in verb.params for option in p.opts)}
    mentioned = {option for code in CODE for option in re.findall(r"(?<!\S)--[a-z][a-z0-9-]*", code)}
    assert mentioned - options == set()
    known = {name for name, _ in verbs()}
    for code in CODE:
        if code.startswith("fallline ") and code != "fallline --help":
            assert any(code == name or code.startswith(f"{name} ") for name in known), code


def test_the_files_extras_modules_and_targets_that_it_names_are_there():
    for link in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (ROOT / link).exists(), link
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {extra for given in re.findall(r"\[([a-z,]+)\]'", TEXT) for extra in given.split(",")} <= set(extras)
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for code in CODE:
        if code.startswith("make "):
            assert code.removeprefix("make ") in targets
        if code.startswith("python -m "):
            assert importlib.util.find_spec(code.split()[2]), code


def test_the_environment_variables_that_it_names_are_read():
    written = " ".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    for code in CODE:
        if re.fullmatch(r"FALLLINE_[A-Z_]+", code):
            assert f'"{code}"' in written
