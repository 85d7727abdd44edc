"""The word that stands for a connection, and times left."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from takings.connections import Connection, Credentials
from takings.connections.progress import time_left
from takings.connections.standing import Reach, _Facts, _List, _reach, status_of
from takings.connections.tokens import RENEW_BEFORE, renewed
from takings.connections.tokens import time_left as token_left

NOW = datetime(2026, 11, 1, tzinfo=UTC)

ACTIVE = Connection(
    id="c1",
    name="Aurore",
    source="stripe",
    way="key",
    account_id="acct_1",
    account_name="Aurore",
    livemode=True,
    country="FR",
    currency="eur",
    state="active",
    reason=None,
    reason_code=None,
    start_at=None,
    permissions={},
    created_at=NOW,
    last_sync_at=None,
    sync_wanted_at=None,
    next_sync_at=None,
)


@pytest.mark.parametrize(
    ("run", "wanted", "status"),
    [
        (None, False, "waiting"),
        (None, True, "waiting"),
        ("running", False, "syncing"),
        ("running", True, "syncing"),
        ("complete", False, "success"),
        ("complete", True, "waiting"),
        ("partial", False, "incomplete"),
        ("failed", False, "incomplete"),
        ("stopped", False, "success"),
    ],
)
def test_the_status_of_an_active_connection(run: str | None, wanted: bool, status: str) -> None:
    assert status_of(replace(ACTIVE, sync_wanted_at=NOW if wanted else None), run) == status


@pytest.mark.parametrize("state", ["paused", "reauth", "failed", "disconnecting"])
def test_any_other_state_is_its_own_word(state: str) -> None:
    assert status_of(replace(ACTIVE, state=state), "running") == state  # type: ignore[arg-type]


def test_time_left_is_told_only_when_it_can_be() -> None:
    minute = timedelta(minutes=1)
    assert time_left(0.25, minute) == 3 * minute
    assert time_left(1.0, minute) == timedelta(0)
    assert time_left(0.001, minute) is None
    assert time_left(0.5, timedelta(0)) is None


def test_only_credentials_that_can_be_renewed_run_out() -> None:
    key = Credentials(way="key", secret="rk_live_x")
    app = Credentials(way="app_oauth", secret="sk_live_x", refresh="rt_x", expires_at=NOW + RENEW_BEFORE)
    assert token_left(key, NOW) is None
    assert token_left(replace(app, refresh=None), NOW) is None
    assert token_left(app, NOW) == RENEW_BEFORE


def test_an_answer_without_a_refresh_token_keeps_the_old_one() -> None:
    old = Credentials(way="app_oauth", secret="one", refresh="rt_1", account="acct_1")
    assert renewed(old, "two", None, NOW) == replace(old, secret="two", expires_at=NOW)
    assert renewed(old, "two", "rt_2", NOW).refresh == "rt_2"


def test_secrets_do_not_show() -> None:
    shown = repr(Credentials(way="app_oauth", secret="sk_live_hidden", refresh="rt_hidden"))
    assert "hidden" not in shown


def test_how_far_data_reaches_while_it_first_loads() -> None:
    def reached(*lists: _List, run: str | None = "running", **changes: Any) -> Reach | None:
        return _reach(_Facts(replace(ACTIVE, **changes), 0, run), lists)

    march, june = datetime(2025, 3, 12, tzinfo=UTC), datetime(2025, 6, 1, tzinfo=UTC)
    charges = _List("charges", "running", 0.5, march, None)
    invoices = _List("invoices", "running", 0.2, june, None)
    read = _List("payouts", "running", 1.0, None, None)
    closed = _List("disputes", "forbidden", 0.0, None, None)
    aside = _List("coupons", "waiting", 0.0, None, None)

    both = reached(charges, invoices, read, closed, aside)
    assert both is not None
    assert (both.since, both.running) == (june, True)  # as far as the list that is furthest behind
    unsaid = reached(charges, replace(invoices, reaches_back_to=None))
    assert unsaid is not None and unsaid.since is None
    assert reached() is not None  # nothing has begun
    assert reached(read, closed, aside) is None  # all that figures are made of is there
    assert reached(charges, last_sync_at=NOW) is None  # not a first load
    assert reached(charges, state="disconnecting") is None
    waits = reached(charges, state="reauth")
    assert waits is not None and not waits.running
