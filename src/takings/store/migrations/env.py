"""What Alembic runs to reach the database: always a connection that the program hands over."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context

from takings.store import migrate, schema


def _render(kind: str, item: Any, _autogen: object) -> str | Literal[False]:
    """Write moments as the plain integers they are, so that migrations do not change when our types do."""
    return "sa.BigInteger()" if kind == "type" and isinstance(item, schema.Moment) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema.metadata,
    render_item=_render,
    render_as_batch=True,
    transactional_ddl=True,
    compare_type=True,
    compare_server_default=migrate.default_differs,
)
with context.begin_transaction():
    context.run_migrations()
