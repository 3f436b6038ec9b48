"""Transactions that outlast trouble: a lock, a lost connection or a server that is started again are waited for.

What is run here must be safe to run twice: where a connection is lost while it commits, nobody can say whether the
transaction is stored. The record's writes are, since rows that are there already stay as they are.
"""

from __future__ import annotations

import sqlite3
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, exc

from ...errors import RecordError
from ...training.interrupt import Interrupt

T = TypeVar("T")


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=2)


@dataclass
class Patience:
    """How long trouble that may pass is waited for, in seconds, and who is told."""

    seconds: float = 120.0
    first: float = 0.05
    longest: float = 5.0
    tell: Callable[[str], None] = _warn
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Database:
    """An engine, what people call the place (`where`), and the patience with it, which begins when it was reached."""

    def __init__(self, engine: Engine, where: str, patience: Patience | None = None) -> None:
        self.engine, self.where = engine, where
        self.patience = patience or Patience()
        self.reached = False

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file."""
        return self.engine.dialect.name == "sqlite"

    def run(self, work: Callable[[Connection], T]) -> T:
        """Do the work in one transaction, again where it was cut off. Raises `RecordError` when it cannot be done.

        Ctrl-C waits for the end of the transaction.
        """
        patience, pause = self.patience, self.patience.first
        began, told = patience.clock(), False
        while True:
            interrupt = Interrupt()  # Ctrl-C in the middle of a transaction would leave its lock behind
            try:
                with interrupt, self.engine.begin() as connection:
                    result = work(connection)
                self.reached = True
                if not interrupt.asked:
                    return result
            except (exc.DBAPIError, sqlite3.Error) as error:  # SQLite's own while connecting
                cause = _cause(error)
                left = patience.seconds - (patience.clock() - began)
                if not self._passing(error) or left <= 0:
                    raise self.trouble(cause) from error
            if interrupt.asked:
                raise KeyboardInterrupt
            if not told:
                patience.tell(f"waiting for the database {self.where}, at most {patience.seconds:g} s: {cause}")
                told = True
            patience.sleep(min(pause, left))
            pause = min(2 * pause, patience.longest)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def trouble(self, cause: str) -> RecordError:
        """The error for a record that cannot be used, with what to do about it."""
        advice = next((advice for sign, advice in _ADVICE.items() if sign in cause.lower()), None)
        if advice is None:
            advice = self._recovery if self.is_sqlite else _BACKUP if "cannot be read" in cause else _SERVER
        return RecordError(f"the record {self.where} cannot be used: {cause}. {advice}")

    @property
    def _recovery(self) -> str:
        file = Path(self.where)
        saving = f"Save what is whole with `fallline recover {file}`; then move" if file.exists() else "Move"
        return f"{saving} it away, or pass another --out."

    def _passing(self, error: exc.DBAPIError | sqlite3.Error) -> bool:
        """Whether the trouble may pass by itself."""
        if self.is_sqlite:
            return "locked" in str(error).lower()
        if not isinstance(error, exc.DBAPIError) or not self.reached:
            return False
        state = getattr(error.orig, "sqlstate", None)
        lost = error.connection_invalidated or (state is None and isinstance(error, exc.OperationalError))
        return lost or (state or "").startswith(_PASSING)


_PASSING = ("08", "40", "53300", "57P")
"""PostgreSQL's classes of connection trouble, of transactions in each other's way, of too many clients, of shutdown."""

_SERVER = (
    "Check that the server runs and that the URL is right, then run the same command again: finished trials are kept."
)
_BACKUP = "Restore the database from a backup, or use another."
_ADVICE = {
    "full": "Free some space and run the same command again: finished trials are kept.",
    "locked": "Another process has been writing to it for long; try again when that is done.",
    "readonly": "Check the permissions of the file and its directory, or pass another --out.",
    "unable to open": "Check the permissions of the file and its directory, or pass another --out.",
    "it is empty": "Move it away, or pass another --out.",
    "something else": "Move it away, or pass another --out.",
}


def _cause(error: exc.DBAPIError | sqlite3.Error) -> str:
    said = str(error.orig if isinstance(error, exc.DBAPIError) else error)
    return " ".join(said.split()).rstrip(".")
