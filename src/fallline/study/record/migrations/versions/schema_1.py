"""The first schema: curves as JSON text."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from fallline.study.record.schema import Json, Real

revision = "1"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "meta", sa.Column("name", sa.String(64), primary_key=True), sa.Column("value", sa.Text, nullable=False)
    )
    op.create_table(
        "environments",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("versions", Json, nullable=False),
        sa.Column("machine", Json, nullable=False),
    )
    op.create_table(
        "studies",
        sa.Column("id", sa.String(200), primary_key=True),
        sa.Column("created", sa.String(40), nullable=False),
        sa.Column("opened", sa.String(40), nullable=False),
        sa.Column("environment", sa.String(64), sa.ForeignKey("environments.id"), nullable=False),
        sa.Column("plan", Json, nullable=False),
    )
    op.create_table(
        "trials",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("problem", sa.String(64), nullable=False),
        sa.Column("rule", sa.String(200), nullable=False),
        sa.Column("rule_text", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("settings", Json, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("curve", Json, nullable=False),
        sa.Column("steps", sa.BigInteger, nullable=False),
        sa.Column("seconds", Real, nullable=False),
        sa.Column("step_seconds", Real, nullable=False),
        sa.Column("test_loss", Real),
        sa.Column("test_metric", Real),
        sa.Column("environment", sa.String(64), sa.ForeignKey("environments.id"), nullable=False),
        sa.Column("started", sa.String(40), nullable=False),
    )
    op.create_table(
        "planned",
        sa.Column("study", sa.String(200), sa.ForeignKey("studies.id"), primary_key=True),
        sa.Column("rule", sa.String(200), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("key", sa.String(64), nullable=False),
    )
    op.execute("INSERT INTO meta (name, value) VALUES ('schema', '1')")
