"""Whose turn it is: with any number of accounts none is passed over, and who is waited for comes first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from takings.connections import Connection
from takings.sync.worker import in_turn

NOW = datetime(2026, 11, 1, tzinfo=UTC)
EVERY = timedelta(seconds=60)


def connection(id: str, due: timedelta | None = timedelta(0), **changes: Any) -> Connection:
    known: dict[str, Any] = {
        **{"id": id, "name": id, "source": "stripe", "way": "key", "account_id": f"acct_{id}", "account_name": id},
        **{
            "livemode": True,
            "country": "FR",
            "currency": "eur",
            "state": "active",
            "reason": None,
            "reason_code": None,
        },
        **{"start_at": None, "permissions": {}, "created_at": NOW - timedelta(days=9), "last_sync_at": NOW},
        **{"sync_wanted_at": None, "next_sync_at": None if due is None else NOW - due},
    }
    return Connection(**(known | changes))


def test_who_is_waited_for_comes_first_then_who_waits_longest() -> None:
    minute = timedelta(minutes=1)
    found = in_turn(
        [
            connection("late", 5 * minute),
            connection("later", 9 * minute),
            connection("not yet", -minute),
            connection("never", None),
            connection("asked", -minute, sync_wanted_at=NOW - minute),
            connection("paused", 9 * minute, state="paused", sync_wanted_at=NOW),
            connection("refused", 9 * minute, state="reauth"),
            connection("leaves", -minute, state="disconnecting"),
        ],
        NOW,
    )
    assert [one.id for one in found] == ["asked", "leaves", "never", "later", "late"]


@settings(deadline=None, max_examples=50)
@given(number=st.integers(2, 60), at_once=st.integers(1, 8), takes_s=st.integers(1, 30))
def test_none_is_passed_over_however_many_there_are(number: int, at_once: int, takes_s: int) -> None:
    """Connections in name order, more than there is time for: none waits longer than all of them take once."""
    known = {f"{n:03}": connection(f"{n:03}") for n in range(number)}
    last, now = dict.fromkeys(known, NOW), NOW
    round_ = -(-number // at_once) * timedelta(seconds=takes_s)
    for _ in range(3 * number):
        for one in in_turn(known.values(), now)[:at_once]:
            last[one.id] = now
            known[one.id] = replace(one, next_sync_at=now + EVERY)
        now += timedelta(seconds=takes_s)
        assert now - min(last.values()) <= EVERY + round_ + timedelta(seconds=takes_s)
