"""Requests that comparing takes beyond the pages of a list."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("stretches") as table:
        table.add_column(sa.Column("hidden_requests", sa.BigInteger(), nullable=True))
        table.add_column(sa.Column("inner_requests", sa.BigInteger(), nullable=True))
