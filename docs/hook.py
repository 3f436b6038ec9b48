"""What MkDocs calls while it builds the site: adds the pages made from code, and what is shared with the README."""

from __future__ import annotations

import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.append(str(Path(__file__).parents[1]))  # MkDocs reads this file alone, not the package that it is in

from docs import inserts, made, shared


def on_config(config: MkDocsConfig) -> None:
    """Put the made pages beside the written ones."""
    assert config.nav is not None
    config.nav = [*config.nav, *made.nav()]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Make the pages."""
    for path, make in made.pages().items():
        files.append(File.generated(config, path, content=make()))
    for name, path in shared.places().items():
        if files.get_file_from_path(path) is None:
            files.append(File.generated(config, path, content=(shared.ROOT / name).read_bytes()))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in what a written page leaves to the code and to the README."""
    return inserts.filled(shared.filled(markdown, page.file.src_uri))
