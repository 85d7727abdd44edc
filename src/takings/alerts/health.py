"""Whether the product can answer: the store answers and the warehouse can be opened."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Literal

import sqlalchemy as sa

from takings.clock import Clock
from takings.errors import TakingsError
from takings.log import get
from takings.store import Store
from takings.store.schema import company

Part = Literal["store", "warehouse"]

_KEPT_S: Final = 5.0
_PATIENCE_S: Final = 5.0


class Health:
    """Looks at the parts once in a while, however often somebody asks. Safe for threads.

    A look that does not come back counts as a failure of the part it is at, and no second one is begun meanwhile.

    Args:
        store: The product's own database.
        warehouse: Asks the warehouse for something cheap; raises what the warehouse raises.
        clock: Tells the time.
        patience_s: How long a look may take, in seconds.
    """

    def __init__(
        self, store: Store, warehouse: Callable[[], object], clock: Clock, patience_s: float = _PATIENCE_S
    ) -> None:
        self._store, self._warehouse, self._clock, self._patience_s = store, warehouse, clock, patience_s
        self._mutex = threading.Lock()
        self._at: Part = "store"
        self._failing: Part | None = None
        self._looked: float | None = None
        self._busy: threading.Thread | None = None
        self._log = get("health")

    def failing(self) -> Part | None:
        """Return the part that fails, as of some seconds ago at most; None: all is well."""
        with self._mutex:
            if self._busy is not None and self._busy.is_alive():
                return self._failing  # an earlier look has not come back: nobody waits for it again
            if self._looked is not None and self._clock.monotonic() - self._looked < _KEPT_S:
                return self._failing
            self._at = "store"
            self._busy = threading.Thread(target=self._look, name="health", daemon=True)
            self._busy.start()
            self._busy.join(self._patience_s)
            if self._busy.is_alive():
                self._failing = self._at
                self._log.warning("health.silent", failing=self._at)
            self._looked = self._clock.monotonic()
            return self._failing

    def _look(self) -> None:
        found: Part | None = None
        try:
            with self._store.read() as db:
                db.execute(sa.select(company.c.id).limit(1)).all()
            self._at = "warehouse"
            self._warehouse()
        except TakingsError as error:
            found = self._at
            self._log.warning("health.failing", failing=found, code=error.code)
        except Exception:
            found = self._at
            self._log.exception("health.failing", failing=found)
        self._failing = found
