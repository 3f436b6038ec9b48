"""The second schema: packed curves, the problem's own hyper-parameters, seals, claims, how a study is trained."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from fallline.study.plan import back
from fallline.study.record.curve import COLUMNS, pack_columns
from fallline.study.record.schema import Json, Real, seal

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Rewrite the trials, seal the studies, add the claims."""
    _rewrite_trials()
    op.add_column("studies", sa.Column("execution", Json))
    _add_seal("studies", ["id"], {"id": sa.String, "created": sa.String, "environment": sa.String, "plan": Json})
    place = {"study": sa.String, "rule": sa.String, "kind": sa.String, "number": sa.Integer}
    _add_seal("planned", list(place), {**place, "key": sa.String})
    op.create_table(
        "claims",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("study", sa.String(200), nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("seen", Real, nullable=False),
    )
    op.execute("UPDATE meta SET value = '2' WHERE name = 'schema'")


def _rewrite_trials() -> None:
    new = op.create_table(
        "trials_2",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("problem", sa.String(64), nullable=False),
        sa.Column("rule", sa.String(200), nullable=False),
        sa.Column("rule_text", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("settings", Json, nullable=False),
        sa.Column("own", Json, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("steps", sa.BigInteger, nullable=False),
        sa.Column("seconds", Real, nullable=False),
        sa.Column("step_seconds", Real, nullable=False),
        sa.Column("test_loss", Real),
        sa.Column("test_metric", Real),
        sa.Column("environment", sa.String(64), sa.ForeignKey("environments.id"), nullable=False),
        sa.Column("started", sa.String(40), nullable=False),
        sa.Column("seal", sa.String(16), nullable=False, info={"sealed": False}),
        sa.Column("curve", sa.LargeBinary, nullable=False),
    )
    names = [column.name for column in new.columns if column.name not in ("own", "seal", "curve")]
    old = sa.table("trials", *(sa.column(n, new.columns[n].type) for n in names), sa.column("curve", Json))

    def convert(row: dict[str, Any]) -> dict[str, Any]:
        row |= {"own": {}, "curve": pack_columns([back(row["curve"][name]) for name in COLUMNS])}
        return {**row, "seal": seal(new, row)}

    for rows in op.get_bind().execute(sa.select(old)).mappings().partitions(500):
        op.bulk_insert(new, [convert(dict(row)) for row in rows])
    op.drop_table("trials")
    op.rename_table("trials_2", "trials")


def _add_seal(name: str, places: list[str], columns: dict[str, Any]) -> None:
    op.add_column(name, sa.Column("seal", sa.String(16), nullable=False, server_default=""))
    sealed = [sa.Column(column, kind) for column, kind in columns.items()]
    table = sa.Table(name, sa.MetaData(), *sealed, sa.Column("seal", sa.String, info={"sealed": False}))
    at = [table.c[column] == sa.bindparam(f"at_{column}") for column in places]
    for row in op.get_bind().execute(sa.select(table)).mappings().all():
        found = {f"at_{column}": row[column] for column in places}
        op.get_bind().execute(sa.update(table).where(*at).values(seal=seal(table, dict(row))), found)
