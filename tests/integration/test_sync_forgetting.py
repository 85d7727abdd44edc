"""What nobody looks back to goes, a piece at a time, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from takings.clock import to_unix
from takings.settings import load
from takings.simulator.simclock import MovableClock
from takings.store import Store
from takings.store import schema as s
from takings.sync import Forgetting
from takings.sync.forgetting import COMPARISONS_KEPT, FOLLOWS_KEPT, HEALED_KEPT, REQUESTS_KEPT

DAY = timedelta(days=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store.open(load({"TAKINGS_HOME": str(tmp_path)}))
    yield made
    made.close()


def test_what_is_long_over_goes_and_the_rest_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("takings.sync.forgetting._AT_ONCE", 2)
    clock = MovableClock()
    now = clock.now()

    def run(id: str, kind: str, at: datetime, state: str = "complete") -> dict[str, Any]:
        return {"id": id, "connection_id": "c1", "kind": kind, "state": state, "started_at": at}

    def finding(id: str, healed_at: datetime | None) -> dict[str, Any]:
        return {"id": id, "connection_id": "c1", "kind": "stale", "origin": "reconcile", "ids": [],
                "found_at": now - 2 * HEALED_KEPT, "healed_at": healed_at}  # fmt: skip

    with store.write() as db:
        db.execute(
            sa.insert(s.connections).values(
                **{"id": "c1", "name": "c1", "source": "stripe", "way": "key", "account_id": "a", "account_name": "a"},
                **{"livemode": True, "state": "active", "credentials": b"x", "permissions": {}, "created_at": now},
            )
        )
        old = [run(f"old{n}", "follow", now - FOLLOWS_KEPT - DAY) for n in range(5)]
        db.execute(
            sa.insert(s.runs),
            [
                *old,
                run("old5", "reconcile", now - COMPARISONS_KEPT - DAY),
                run("young", "follow", now - FOLLOWS_KEPT + DAY),
                run("compared", "reconcile", now - FOLLOWS_KEPT - DAY),
                run("loaded", "backfill", now - 900 * DAY),
                run("running", "follow", now - FOLLOWS_KEPT - DAY, "running"),
            ],
        )
        for one in (finding("stands", None), finding("healed", now - HEALED_KEPT - DAY), finding("lately", now - DAY)):
            db.execute(sa.insert(s.findings).values(**one))
        for n, at in enumerate((now - REQUESTS_KEPT - DAY, now - REQUESTS_KEPT + DAY)):
            values = {"account_id": "a", "livemode": True, "hour": to_unix(at) // 3600, "endpoint": f"/{n}"}
            db.execute(sa.insert(s.request_counts).values(**values, purpose="follow", requests=1))
    forgetting = Forgetting(store, clock)
    assert forgetting.tick() == 8
    with store.read() as db:
        assert set(db.execute(sa.select(s.runs.c.id)).scalars()) == {"young", "compared", "loaded", "running"}
        assert set(db.execute(sa.select(s.findings.c.id)).scalars()) == {"stands", "lately"}
        assert db.execute(sa.select(s.request_counts.c.endpoint)).scalars().all() == ["/1"]
    assert forgetting.tick() == 0
