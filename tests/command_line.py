"""The command line called in this process, as a person would call it."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from fallline import cli

Call = Callable[..., tuple[int | str, str, str]]
"""`call(*arguments)`: exit status, output and errors."""


def caller(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *begin: str) -> Call:
    """Calls `fallline`, with arguments that begin with these."""

    def call(*arguments: object) -> tuple[int | str, str, str]:
        monkeypatch.setattr(sys, "argv", ["fallline", *begin, *map(str, arguments)])
        status: int | str = 0
        try:
            cli.main()
        except SystemExit as ended:
            status = ended.code or 0
        return status, *capsys.readouterr()

    return call
