"""The blocks of code in the README and in the written pages of the docs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fallline.rules import REGISTRY
from fallline.rules.composition import MODIFIERS, SETTINGS

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = ROOT / "docs" / "pages"
WRITTEN = sorted(PAGES.rglob("*.md"))


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of a page in one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    """The commands of a page's shell blocks, a line each, continued lines joined."""
    lines = "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def run_python(page: Path, folder: Path) -> None:
    """Run the page's Python from top to bottom, its blocks as files of a folder.

    A block that shows a file begins with its name; a rule's text is read from a file.
    """
    names = {"__name__": page.stem}
    for number, text in enumerate(blocks(page, "python")):
        file = re.match(r"# (\w+\.py)\n", text)
        path = folder / (file[1] if file else f"block_{number}.py")
        path.write_text(text)
        exec(compile(text, str(path), "exec"), names)


@contextmanager
def rules_forgotten() -> Iterator[None]:
    """The rules and modifiers that are made meanwhile are forgotten after it."""
    known = [(registry, dict(registry)) for registry in (REGISTRY, MODIFIERS, SETTINGS)]
    try:
        yield
    finally:
        for registry, before in known:
            registry.clear()
            registry.update(before)
