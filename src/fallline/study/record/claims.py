"""Who trains which trial, when several processes work on one study.

A claim is a note, not a lock: it saves work. Whatever happens to it, a trial is stored once and its numbers are the
same whoever trained it. The owner is "host:pid:start", so that on its own host a dead process is known at once;
elsewhere a minute without a sign of life is taken for death.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from sqlalchemy import Connection, insert, select, text

from .schema import claims, trials

SILENCE = 60.0
"""Seconds without a sign of life after which an owner counts as dead."""
_AT_ONCE = 500


def owner() -> str:
    """This process, as no other is called."""
    return f"{socket.gethostname()}:{os.getpid()}:{_start(os.getpid())}"


def lives(name: str) -> bool:
    """False for a process of this host that is known to be gone."""
    host, pid, start = [*name.rsplit(":", 2), "", ""][:3]
    if host != socket.gethostname() or not pid.isdigit() or os.name != "posix":
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return _start(int(pid)) == start


def claim(
    connection: Connection,
    study: str,
    keys: Iterable[str],
    owner: str,
    now: float,
    lives: Callable[[str], bool] = lives,
) -> set[str]:
    """Those of the keys that are the owner's from now on: not finished, and nobody's who is alive."""
    if connection.dialect.name == "postgresql":  # SQLite's transactions come one after another anyway
        connection.execute(text("LOCK TABLE claims IN SHARE ROW EXCLUSIVE MODE"))
    wanted = sorted(set(keys))
    granted: set[str] = set()
    for part in (wanted[i : i + _AT_ONCE] for i in range(0, len(wanted), _AT_ONCE)):
        finished = set(connection.scalars(select(trials.c.key).where(trials.c.key.in_(part))))
        held = {row.key: row for row in connection.execute(select(claims).where(claims.c.key.in_(part)))}
        alive = {name: lives(name) for name in {row.owner for row in held.values()}}
        taken = {
            key for key, row in held.items() if row.owner != owner and alive[row.owner] and now - row.seen <= SILENCE
        }
        free = [key for key in part if key not in finished and key not in taken]
        remove(connection, [*free, *finished])
        if free:
            rows: list[Mapping[str, object]] = [
                {"key": key, "study": study, "owner": owner, "seen": now} for key in free
            ]
            connection.execute(insert(claims), rows)
        granted.update(free)
    return granted


def beat(connection: Connection, owner: str, now: float) -> None:
    """A sign of life."""
    connection.execute(claims.update().where(claims.c.owner == owner).values(seen=now))


def release(connection: Connection, owner: str) -> None:
    """Give up whatever the owner claims."""
    connection.execute(claims.delete().where(claims.c.owner == owner))


def remove(connection: Connection, keys: Iterable[str]) -> None:
    """Forget the claims of trials."""
    keys = list(keys)
    for i in range(0, len(keys), _AT_ONCE):
        connection.execute(claims.delete().where(claims.c.key.in_(keys[i : i + _AT_ONCE])))


def _start(pid: int) -> str:
    """When a process began, in ticks since the machine did; nothing where that is not known."""
    try:
        state, *numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "" if state in "ZX" else numbers[18]  # one that nobody has waited for is dead all the same
