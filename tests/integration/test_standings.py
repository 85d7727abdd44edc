"""How connections stand, as the store sums it up: the same as adding up their lists one by one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from takings.clock import SystemClock
from takings.connections import standings
from takings.settings import load
from takings.store import Store
from takings.store import schema as s

NOW = SystemClock().now()
STATES = ("complete", "complete", "partial", "forbidden", "unavailable", "running", "waiting")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store.open(load({"TAKINGS_HOME": str(tmp_path)}))
    yield made
    made.close()


def test_sums_are_those_of_the_lists(store: Store) -> None:
    dice = random.Random(3)
    lists: dict[str, list[dict[str, object]]] = {}
    with store.write() as db:
        for n in range(40):
            id = f"c{n:02}"
            lists[id] = [
                {
                    "connection_id": id,
                    "list": f"/v1/list_{k}",
                    "table_name": f"table_{k}",
                    "state": dice.choice(STATES),
                    "progress": dice.choice((0.0, 0.25, 1.0, 1.5)),
                    "complete_as_of": None if dice.random() < 0.1 else NOW - timedelta(minutes=dice.randrange(90)),
                    "updated_at": NOW,
                }
                for k in range(dice.randrange(9))
            ]
            db.execute(
                sa.insert(s.connections).values(
                    **{"id": id, "name": id, "source": "stripe", "way": "key", "account_id": id, "account_name": id},
                    **{"livemode": True, "state": "active", "credentials": b"x", "permissions": {}, "created_at": NOW},
                )
            )
            if lists[id]:
                db.execute(sa.insert(s.list_states), lists[id])
                db.execute(
                    sa.insert(s.table_rows),
                    [
                        {"connection_id": id, "table_name": one["table_name"], "rows": 7, "updated_at": NOW}
                        for one in lists[id]
                    ],
                )
            if n % 5 == 0:
                run = {"id": id, "connection_id": id, "kind": "backfill", "state": "running", "started_at": NOW}
                db.execute(sa.insert(s.runs).values(**run))
    found = standings(store)
    assert [one.connection.id for one in found] == sorted(lists)
    for n, one in enumerate(found):
        open_ = [each for each in lists[one.connection.id] if each["state"] not in ("forbidden", "unavailable")]
        moments = [each["complete_as_of"] for each in open_]
        partial = sum(each["state"] == "partial" for each in open_)
        word = "syncing" if n % 5 == 0 else "waiting" if not lists[one.connection.id] else None
        assert one.status == (word or ("incomplete" if partial else "success"))
        assert one.rows == 7 * len(lists[one.connection.id])
        assert one.trouble == partial
        assert one.fresh_as_of == (None if None in moments else min(moments, default=None))  # type: ignore[type-var]
        if one.status == "syncing":
            done = sum(min(1.0, float(str(each["progress"]))) for each in open_)
            assert one.progress == pytest.approx(done / len(open_) if open_ else 0.0)
        assert standings(store, one.connection.id) == [one]
