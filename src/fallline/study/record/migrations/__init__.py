"""From the schema of an older Fallline to this one's, by Alembic: one script a step, in `versions/`.

`upgrade` works inside the caller's transaction: a record is brought up to date whole or stays as it was. `copy` leaves
an old record alone and brings a copy of it up to date, for those who only read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, select, text

TABLES = ("environments", "meta", "planned", "studies", "trials")
"""Those of schema 1; later schemata have them too."""


def upgrade(connection: Connection, version: int) -> None:
    """Bring a record from a schema to this one's, in the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    if version == 1:  # which knew nothing of Alembic
        command.stamp(config, "1")
    command.upgrade(config, "head")


def copy(source: Connection, target: Connection) -> None:
    """Copy the rows of a record into an empty SQLite database."""
    found = MetaData()
    found.reflect(source, only=TABLES)
    found.create_all(target)
    for table in found.sorted_tables:
        row = f"INSERT INTO {table.name} VALUES ({', '.join('?' * len(table.columns))})"
        for values in source.execute(select(table)).partitions(500):
            target.exec_driver_sql(row, [tuple(map(_storable, each)) for each in values])


def _storable(value: Any) -> Any:
    return "nan" if value != value else value  # as `schema.Real` has it


def version(connection: Connection) -> str | None:
    """What a record says its schema is."""
    value: str | None = connection.scalar(text("SELECT value FROM meta WHERE name = 'schema'"))
    return value
