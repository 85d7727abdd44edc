"""The policy of recurring revenue that the company keeps its figures under."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("company", sa.Column("policy", sa.String(length=64), nullable=False, server_default="stripe"))
