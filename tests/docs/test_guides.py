"""What the guides and the README show works: their Python runs, their commands are understood."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
import typer

from docs import inserts, reference, shared
from fallline.cli import app
from fallline.rules import REGISTRY
from tests.docs.blocks import PAGES, README, ROOT, WRITTEN, blocks, commands, rules_forgotten, run_python

named = pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(PAGES)))


@named
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # the import of ZeroRedundancyOptimizer
def test_python_of_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with rules_forgotten():
        run_python(page, tmp_path)


@pytest.mark.parametrize("page", [README, *WRITTEN], ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page_are_understood(page):
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for line in commands(page):
        program, *arguments = shlex.split(line, comments=True)
        if program == "fallline":
            understand(typer.main.get_command(app), arguments)
            for rule in rules_named(arguments):
                assert rule in REGISTRY or rule.partition(".py:")[0] in "\n".join(blocks(page, "python"))
        elif program == "make":
            assert arguments[0] in targets
        else:
            assert program in ("pip", "torchrun", "python"), line


@pytest.mark.parametrize("page", [README, *WRITTEN], ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_imports_is_in_the_reference(page):
    rooms = re.findall(r"^from (fallline[\w.]*) import", "\n".join(blocks(page, "python")), re.MULTILINE)
    assert set(rooms) <= set(reference.titles().values())


def understand(command, arguments):
    """Parse arguments as the program would, without doing what they ask for."""
    context = command.make_context("fallline", list(arguments))
    after = [*context._protected_args, *context.args]
    if hasattr(command, "commands") and (after or not command.invoke_without_command):
        _, verb, rest = command.resolve_command(context, after)
        understand(verb, rest)


def rules_named(arguments):
    given = [value for option, value in pairwise(arguments) if option in ("--rules", "--rule")]
    return [rule for value in given for rule in value.split(",")]


def test_a_command_that_the_program_lacks_is_not_understood():
    with pytest.raises(Exception, match="No such option"):
        understand(typer.main.get_command(app), ["compare", "digits", "--trails", "3"])


@named
def test_what_a_page_asks_for_is_filled_in(page):
    filled = inserts.filled(shared.filled(page.read_text(), str(page.relative_to(PAGES))))
    assert "<!--" not in filled


def test_a_section_that_the_readme_lacks_is_an_error():
    with pytest.raises(ValueError, match="no heading 'Nothing'"):
        shared.section("# Title\n\ntext\n", "Nothing")


def test_a_section_ends_at_the_next_heading_and_not_at_a_comment_in_code():
    text = "# A\n\nfirst\n\n```sh\n# no heading\n```\n\n## B\n\nsecond\n"
    assert shared.section(text, "A") == "first\n\n```sh\n# no heading\n```"
    assert shared.section(text, "B") == "second"


def test_links_lead_to_the_same_file_in_the_site():
    text = "[numbers](benchmarks/RESULTS.md#speed) [code](src/x.py) [web](https://example.org/a)"
    assert shared.relinked(text, "README.md", "guides/tune.md") == (
        "[numbers](../measured/results.md#speed) [code](src/x.py) [web](https://example.org/a)"
    )
    assert Path(shared.ROOT / "benchmarks" / "RESULTS.md").exists()
