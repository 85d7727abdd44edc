"""Everything the product holds in one place that can be carried away: made while it runs, proven whole before it is put back."""

from takings.archive.pack import back_up
from takings.archive.unpack import restore

__all__ = ["back_up", "restore"]
