"""WHERE rows go: raw versions and typed tables in an open lake (or one DuckDB file), and SQL over them."""

from takings.warehouse.engine import Session, mapped
from takings.warehouse.model import (
    EVERYBODY,
    Among,
    Column,
    Delivery,
    Item,
    Rows,
    Scope,
    TableChange,
    TableInfo,
    WriteResult,
)
from takings.warehouse.tables import BRIDGE
from takings.warehouse.warehouse import Warehouse
from takings.warehouse.writer import Writer

__all__ = [
    "BRIDGE",
    "EVERYBODY",
    "Among",
    "Column",
    "Delivery",
    "Item",
    "Rows",
    "Scope",
    "Session",
    "TableChange",
    "TableInfo",
    "Warehouse",
    "WriteResult",
    "Writer",
    "mapped",
]
