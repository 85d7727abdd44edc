"""Follow, reconcile, verify, alerts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "channels",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("settings", sa.LargeBinary(), nullable=False),
        sa.Column("locale", sa.String(length=8), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("answer", sa.String(length=500), nullable=True),
        sa.Column("failed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channels")),
        sa.UniqueConstraint("name", name=op.f("uq_channels_name")),
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("connection_id", sa.String(length=32), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=300), server_default="", nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("open_key", sa.String(length=400), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("stood_at", sa.BigInteger(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.Column("gone_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("seen_by", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name=op.f("fk_alerts_connection_id_connections"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sa.UniqueConstraint("open_key", name=op.f("uq_alerts_open_key")),
    )
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alerts_connection_id"), ["connection_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_alerts_opened_at"), ["opened_at"], unique=False)

    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("connection_id", sa.String(length=32), nullable=False),
        sa.Column("event_id", sa.String(length=255), nullable=False),
        sa.Column("event_type", sa.String(length=200), nullable=False),
        sa.Column("event_at", sa.BigInteger(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("times", sa.Integer(), server_default="1", nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("handled_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name=op.f("fk_deliveries_connection_id_connections"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("connection_id", "event_id", name="uq_deliveries_event"),
    )
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_deliveries_connection_id"), ["connection_id"], unique=False)
        batch_op.create_index("ix_deliveries_connection_state", ["connection_id", "state"], unique=False)
        batch_op.create_index("ix_deliveries_connection_received", ["connection_id", "received_at"], unique=False)

    op.create_table(
        "findings",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("connection_id", sa.String(length=32), nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=True),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("table_name", sa.String(length=100), server_default="", nullable=False),
        sa.Column("list", sa.String(length=300), server_default="", nullable=False),
        sa.Column("count", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("ids", sa.JSON(), nullable=False),
        sa.Column("subject", sa.String(length=255), server_default="", nullable=False),
        sa.Column("start_at", sa.BigInteger(), nullable=True),
        sa.Column("end_at", sa.BigInteger(), nullable=True),
        sa.Column("stripe_figure", sa.String(length=64), nullable=True),
        sa.Column("our_figure", sa.String(length=64), nullable=True),
        sa.Column("difference", sa.String(length=64), nullable=True),
        sa.Column("silent", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=True),
        sa.Column("found_at", sa.BigInteger(), nullable=False),
        sa.Column("healed_at", sa.BigInteger(), nullable=True),
        sa.Column("healed_by", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name=op.f("fk_findings_connection_id_connections"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_findings")),
    )
    with op.batch_alter_table("findings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_findings_connection_id"), ["connection_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_findings_found_at"), ["found_at"], unique=False)

    op.create_table(
        "follows",
        sa.Column("connection_id", sa.String(length=32), nullable=False),
        sa.Column("read_to", sa.BigInteger(), nullable=True),
        sa.Column("caught_up_at", sa.BigInteger(), nullable=True),
        sa.Column("gap_from", sa.BigInteger(), nullable=True),
        sa.Column("gap_to", sa.BigInteger(), nullable=True),
        sa.Column("tokens", sa.Float(), server_default="0", nullable=False),
        sa.Column("tokens_at", sa.BigInteger(), nullable=True),
        sa.Column("planned_at", sa.BigInteger(), nullable=True),
        sa.Column("transactions", sa.BigInteger(), nullable=True),
        sa.Column("forecast", sa.BigInteger(), nullable=True),
        sa.Column("verified_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name=op.f("fk_follows_connection_id_connections"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("connection_id", name=op.f("pk_follows")),
    )
    op.create_table(
        "proofs",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("connection_id", sa.String(length=32), nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=True),
        sa.Column("asked", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("reason_code", sa.String(length=100), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("requests", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("rows", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("differences", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name=op.f("fk_proofs_connection_id_connections"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proofs")),
    )
    with op.batch_alter_table("proofs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_proofs_connection_id"), ["connection_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_proofs_started_at"), ["started_at"], unique=False)

    op.create_table(
        "stretches",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("connection_id", sa.String(length=32), nullable=False),
        sa.Column("list", sa.String(length=300), nullable=False),
        sa.Column("start_unix", sa.BigInteger(), nullable=True),
        sa.Column("end_unix", sa.BigInteger(), nullable=True),
        sa.Column("rows", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("listed_at", sa.BigInteger(), nullable=False),
        sa.Column("nested_at", sa.BigInteger(), nullable=False),
        sa.Column("open_at", sa.BigInteger(), nullable=False),
        sa.Column("wanted_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name=op.f("fk_stretches_connection_id_connections"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stretches")),
    )
    with op.batch_alter_table("stretches", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_stretches_connection_id"), ["connection_id"], unique=False)
        batch_op.create_index("ix_stretches_connection_list", ["connection_id", "list"], unique=False)

    op.create_table(
        "notices",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("alert_id", sa.String(length=32), nullable=False),
        sa.Column("channel_id", sa.String(length=32), nullable=False),
        sa.Column("what", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("answer", sa.String(length=500), nullable=True),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["alerts.id"], name=op.f("fk_notices_alert_id_alerts"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.id"], name=op.f("fk_notices_channel_id_channels"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint("alert_id", "channel_id", "what", name="uq_notices_once"),
    )
    with op.batch_alter_table("notices", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_notices_alert_id"), ["alert_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_notices_channel_id"), ["channel_id"], unique=False)

    op.add_column("connections", sa.Column("platform_id", sa.String(length=32), nullable=True))
    op.create_index("ix_connections_platform_id", "connections", ["platform_id"])
    op.add_column("connections", sa.Column("pool_account", sa.String(length=255), nullable=True))
    op.add_column("connections", sa.Column("follows_accounts", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("connections", sa.Column("discovered_at", sa.BigInteger(), nullable=True))
    op.add_column("connections", sa.Column("left_out", sa.JSON(), nullable=True))
    op.add_column("connections", sa.Column("webhook_secrets", sa.LargeBinary(), nullable=True))
    op.add_column("list_states", sa.Column("read_at", sa.BigInteger(), nullable=True))
    op.add_column("list_states", sa.Column("state_since", sa.BigInteger(), nullable=True))

    # The key takes in what a request was for, so the table is made anew.
    op.create_table(
        "request_counts_new",
        sa.Column("account_id", sa.String(length=255), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("endpoint", sa.String(length=300), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
    )
    op.execute(
        "INSERT INTO request_counts_new (account_id, livemode, hour, endpoint, purpose, requests) "
        "SELECT account_id, livemode, hour, endpoint, 'other', requests FROM request_counts"
    )
    op.drop_table("request_counts")
    op.create_table(
        "request_counts",
        sa.Column("account_id", sa.String(length=255), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("endpoint", sa.String(length=300), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "account_id", "livemode", "hour", "endpoint", "purpose", name=op.f("pk_request_counts")
        ),
    )
    op.execute(
        "INSERT INTO request_counts (account_id, livemode, hour, endpoint, purpose, requests) "
        "SELECT account_id, livemode, hour, endpoint, purpose, requests FROM request_counts_new"
    )
    op.drop_table("request_counts_new")
    op.add_column("runs", sa.Column("rows_deleted", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("runs", sa.Column("events", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("runs", sa.Column("findings", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("runs", sa.Column("estimate", sa.BigInteger(), nullable=True))

    op.add_column("windows", sa.Column("purpose", sa.String(length=16), server_default="load", nullable=False))
    op.add_column("windows", sa.Column("check_id", sa.String(length=32), server_default="", nullable=False))
