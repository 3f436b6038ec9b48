"""What all verbs share: the application, exit statuses, common options."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    name="fallline",
    help="Which optimizer trains your own PyTorch model best, and how sure is that?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for programs.")]
