"""What is delivered to webhooks: taken in once, whatever comes, and nothing forged, stale or malformed ever written."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from takings.accounts import Audit
from takings.catalog import load as load_catalog
from takings.clock import SystemClock, to_unix
from takings.connections import Connections, Credentials, Deliveries, SigningSecrets, records
from takings.connections.webhooks import KEPT, MOST_BYTES
from takings.errors import Invalid, NotFound, TakingsError
from takings.settings import load
from takings.store import Store, Vault
from takings.store.schema import audit, connections, deliveries
from takings.store.vault import rotate

SECRET = "whsec_0123456789abcdefghijklmn"
ROLLED = "whsec_nmlkjihgfedcba9876543210"


class Clock(SystemClock):
    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> Any:
        return super().now() + self.ahead


class House:
    """A store with connections and their webhooks."""

    def __init__(self, home: Path) -> None:
        self.settings = load({"TAKINGS_HOME": str(home)})
        self.clock = Clock()
        self.store = Store.open(self.settings)
        self.vault = Vault.open(self.settings)
        self.signing = SigningSecrets(self.store, self.vault, self.clock, Audit(self.store, self.clock))
        self.deliveries = Deliveries(self.store, self.signing, self.clock)

    def join(self, id: str, account: str, *, livemode: bool = True, platform: str | None = None) -> None:
        with self.store.write() as db:
            db.execute(
                sa.insert(connections).values(
                    id=id,
                    name=f"Name of {id}",
                    source="stripe",
                    way="key",
                    account_id=account,
                    account_name=account,
                    livemode=livemode,
                    state="active",
                    credentials=records.seal(self.vault, Credentials(way="key", secret="rk_live_1")),
                    permissions={},
                    created_at=self.clock.now(),
                    next_sync_at=self.clock.now() + timedelta(hours=1),
                    platform_id=platform,
                )
            )

    def deliver(self, body: bytes, *secrets: str, to: str = "c1", age_s: int = 0) -> None:
        self.deliveries.receive(to, body, self.signed(body, *(secrets or (SECRET,)), age_s=age_s))

    def signed(self, body: bytes, *secrets: str, age_s: int = 0) -> str:
        stamp = to_unix(self.clock.now()) - age_s
        signs = [hmac.new(s.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest() for s in secrets]
        return ",".join([f"t={stamp}", *(f"v1={sign}" for sign in signs)])

    def rows(self) -> list[Any]:
        with self.store.read() as db:
            return list(db.execute(sa.select(deliveries).order_by(deliveries.c.event_id)))

    def waits_s(self, id: str) -> float:
        """Return in how many seconds the worker looks at a connection."""
        with self.store.read() as db:
            at = db.execute(sa.select(connections.c.next_sync_at).where(connections.c.id == id)).scalar_one()
        return float((at - self.clock.now()).total_seconds())


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    made.join("c1", "acct_1")
    made.signing.add(None, "c1", SECRET)
    yield made
    made.store.close()


def event(id: Any = "evt_1", **changes: Any) -> bytes:
    values = {
        "id": id,
        "object": "event",
        "type": "charge.refunded",
        "created": 1_790_000_000,
        "livemode": True,
        "api_version": "2026-10-28.endive",
        "data": {"object": {"id": "ch_1", "object": "charge"}},
    }
    return json.dumps({name: value for name, value in (values | changes).items() if value is not ...}).encode()


def refused(house: House, body: bytes, *secrets: str, code: str, **how: Any) -> None:
    with pytest.raises(TakingsError) as problem:
        house.deliver(body, *secrets, **how)
    assert problem.value.code == code
    assert house.rows() == []
    assert house.waits_s("c1") > 3000


def test_an_event_waits_until_it_is_handled_and_the_worker_is_told(house: House) -> None:
    house.deliver(event())
    (waiting,) = house.deliveries.take("c1", 10)
    assert (waiting.event_id, waiting.body) == ("evt_1", event())
    assert house.deliveries.take("c1", 10) == [waiting], "taking it does not lose it when the worker dies"
    assert house.waits_s("c1") <= 0
    house.deliveries.handled([waiting.id])
    (row,) = house.rows()
    assert (row.state, row.body, row.size_bytes) == ("handled", None, len(event()))
    assert (house.deliveries.take("c1", 10), house.deliveries.pending("c1")) == ([], 0)


def test_what_came_during_a_look_is_looked_at_next(house: House) -> None:
    """It rang while nobody listened; what waits since before, and could not be made use of, does not ring for ever."""
    marking = Connections(
        house.store, house.vault, load_catalog(), house.settings, house.clock, Audit(house.store, house.clock)
    )
    began = house.clock.now()
    house.deliver(event())
    for mark in (
        lambda: marking.mark_synced("c1", began, timedelta(hours=1)),
        lambda: marking.mark_followed("c1", timedelta(hours=1), began),
    ):
        mark()
        assert house.waits_s("c1") <= 0
    for mark in (
        lambda: marking.mark_synced("c1", house.clock.now(), timedelta(hours=1)),
        lambda: marking.mark_followed("c1", timedelta(hours=1), house.clock.now()),
        lambda: marking.mark_followed("c1", timedelta(hours=1)),
    ):
        mark()
        assert house.waits_s("c1") > 3000
    house.deliveries.handled(one.id for one in house.deliveries.take("c1", 10))
    marking.mark_synced("c1", began, timedelta(hours=1))
    assert house.waits_s("c1") > 3000


def test_a_doubled_event_is_counted_and_never_waits_again(house: House) -> None:
    house.deliver(event())
    house.deliver(event())
    house.deliveries.handled(one.id for one in house.deliveries.take("c1", 10))
    house.deliver(event(type="charge.updated"))
    (seen,) = house.deliveries.recent("c1", 10)
    assert (seen.times, seen.state, seen.event_type) == (3, "handled", "charge.refunded")
    assert house.deliveries.pending("c1") == 0


def test_any_order_and_repetition_leaves_each_event_once(house: House) -> None:
    bodies = [event(f"evt_{number}", created=1_790_000_000 + number) for number in range(12)] * 2
    random.Random(3).shuffle(bodies)

    def send(part: list[bytes]) -> None:
        for body in part:
            house.deliver(body)

    threads = [threading.Thread(target=send, args=(bodies[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.event_id for one in house.deliveries.take("c1", 100)} == {f"evt_{number}" for number in range(12)}
    assert len(house.deliveries.take("c1", 5)) == 5
    assert [row.times for row in house.rows()] == [2] * 12


def test_forged_old_and_replayed_deliveries_leave_no_trace(house: House) -> None:
    refused(house, event(), ROLLED, code="webhook.signature")
    refused(house, event(), code="webhook.signature", age_s=301)
    refused(house, event(), code="webhook.signature", age_s=-301)
    for header in ("", "t=1,v1=00", f"t={to_unix(house.clock.now())}", house.signed(b"{}", SECRET)):
        with pytest.raises(Invalid):
            house.deliveries.receive("c1", event(), header)
    good = house.signed(event(), SECRET)
    house.clock.ahead = timedelta(minutes=6)
    with pytest.raises(Invalid):
        house.deliveries.receive("c1", event(), good)
    assert house.rows() == []


def test_what_is_no_event_is_refused_though_it_is_signed(house: House) -> None:
    for body in (
        b"",
        b"null",
        b"[]",
        b"{",
        b'"evt_1"',
        b"\xff\xfe",
        b"[" * 100_000,
        event(id=...),
        event(id=7),
        event(id=""),
        event(id="evt_" + "x" * 252),
        event(id="evt_\x00"),
        event(type=None),
        event(type="x" * 201),
        event(created=-1),
        event(created=10**15),
        event(created=None),
        event(livemode="yes"),
        event(object="charge"),
        event(account=5),
    ):
        refused(house, body, code="webhook.malformed")


def test_an_id_of_255_characters_and_a_body_of_a_megabyte_are_taken(house: House) -> None:
    house.deliver(event("evt_" + "x" * 251, data={"object": {"text": "x" * 1_000_000}}))
    assert house.deliveries.pending("c1") == 1


def test_a_body_beyond_the_limit_is_refused_before_anything_is_done_with_it(house: House) -> None:
    refused(house, b" " * (MOST_BYTES + 1), code="webhook.too_large")


def test_while_a_secret_rolls_either_is_good_and_a_removed_one_is_not(house: House) -> None:
    made = house.signing.add(None, "c1", f"  {ROLLED}\n")
    assert [one.secret for one in house.signing.all("c1")] == [ROLLED, SECRET]
    house.deliver(event("evt_1"), SECRET)
    house.deliver(event("evt_2"), ROLLED)
    house.deliver(event("evt_3"), "whsec_unknown", ROLLED)
    old = house.signing.all("c1")[1]
    house.signing.remove(None, "c1", old.id)
    with pytest.raises(Invalid):
        house.deliver(event("evt_4"), SECRET)
    house.deliver(event("evt_4"), SECRET, ROLLED)
    assert house.deliveries.pending("c1") == 4
    house.signing.remove(None, "c1", made.id)
    with pytest.raises(Invalid):
        house.deliver(event("evt_5"), ROLLED)
    with pytest.raises(NotFound):
        house.signing.remove(None, "c1", made.id)


def test_only_signing_secrets_are_stored_sealed_and_their_acts_written_down(house: House) -> None:
    for wrong in (
        "",
        "whsec_",
        "whsec_short",
        "rk_live_0123456789abcdefgh",
        "we_1234567890123456789012",
        SECRET + " x",
    ):
        with pytest.raises(Invalid) as problem:
            house.signing.add(None, "c1", wrong)
        assert problem.value.code == "webhook.not_secret"
    with pytest.raises(Invalid):
        house.signing.add(None, "c1", SECRET)
    assert SECRET not in repr(house.signing.all("c1"))
    with house.store.read() as db:
        sealed = db.execute(sa.select(connections.c.webhook_secrets)).scalar_one()
        assert b"whsec" not in sealed
        acts = db.execute(sa.select(audit.c.action, audit.c.details)).all()
    assert [(act.action, act.details) for act in acts] == [
        ("connection.webhook_secret_added", {"id": "c1", "ending": SECRET[-4:]})
    ]
    for number in range(15):
        house.signing.add(None, "c1", f"whsec_{number:0>24}")
    with pytest.raises(Invalid):
        house.signing.add(None, "c1", ROLLED)
    with pytest.raises(NotFound):
        house.signing.add(None, "none", ROLLED)


def test_a_new_key_of_the_vault_seals_signing_secrets_too(house: House) -> None:
    assert rotate(house.settings, house.store) == 2
    assert Vault.open(house.settings).unseal(_sealed(house))["secrets"][0]["secret"] == SECRET
    house.deliver(event())


def _sealed(house: House) -> bytes:
    with house.store.read() as db:
        return bytes(db.execute(sa.select(connections.c.webhook_secrets)).scalar_one())


def test_an_address_that_is_nobodys_or_has_no_secret_takes_nothing(house: House) -> None:
    with pytest.raises(NotFound):
        house.deliver(event(), to="c2")
    with pytest.raises(NotFound):
        house.deliver(event(), "", to="' OR 1=1 --")
    house.join("c2", "acct_2")
    for secret in (SECRET, ""):
        with pytest.raises(Invalid):
            house.deliver(event(), secret, to="c2")
    assert house.rows() == []


def test_events_of_another_mode_or_account_are_accepted_and_ignored(house: House) -> None:
    house.deliver(event("evt_1", livemode=False))
    house.deliver(event("evt_2", account="acct_stranger"))
    house.deliver(
        event("evt_3", object="v2.core.event", type="v2.core.account.updated", created="2026-11-01T00:00:00Z")
    )
    house.deliver(event("evt_1", livemode=False))
    assert [(row.state, row.body, row.times) for row in house.rows()] == [
        ("ignored", None, 2),
        ("ignored", None, 1),
        ("ignored", None, 1),
    ]
    assert (house.deliveries.take("c1", 10), house.waits_s("c1") > 3000) == ([], True)
    house.deliver(event("evt_4", account="acct_1"))
    assert house.deliveries.pending("c1") == 1


def test_an_event_of_a_connected_account_goes_to_its_own_connection(house: House) -> None:
    house.join("child", "acct_child", platform="c1")
    house.join("test", "acct_child", livemode=False, platform="c1")
    house.join("other", "acct_other")
    house.deliver(event("evt_1", account="acct_child"))
    house.deliver(event("evt_2", context="org_1/acct_child"))
    house.deliver(event("evt_3", account="acct_other"))
    assert [one.event_id for one in house.deliveries.take("child", 10)] == ["evt_1", "evt_2"]
    assert [house.deliveries.pending(id) for id in ("c1", "test", "other")] == [0, 0, 0]
    assert (house.waits_s("child") <= 0, house.waits_s("c1") > 3000) == (True, True)


def test_handled_events_are_forgotten_after_thirty_days_and_waiting_ones_never(house: House) -> None:
    house.deliver(event("evt_1"))
    house.deliveries.handled(one.id for one in house.deliveries.take("c1", 1))
    house.deliver(event("evt_2"))
    house.deliver(event("evt_3", livemode=False))
    assert len(house.rows()) == 3
    house.clock.ahead = KEPT + timedelta(seconds=1)
    house.deliver(event("evt_4"))
    assert [row.event_id for row in house.rows()] == ["evt_2", "evt_4"]


def test_what_nobody_takes_up_is_bounded_and_the_oldest_go_first(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("takings.connections.webhooks.MOST_WAITING", 8)
    for number in range(1, 10):
        house.deliver(event(f"evt_{number}"))
    assert [one.event_id for one in house.deliveries.take("c1", 20)] == [f"evt_{number}" for number in range(3, 10)]
    gone = house.deliveries.let_go("c1")
    assert gone is not None and gone.events == 2
    assert [row.body for row in house.rows() if row.state == "let_go"] == [None, None]
    house.deliver(event("evt_1"))  # Stripe sends it again: it stays gone
    assert house.deliveries.pending("c1") == 7
    monkeypatch.setattr("takings.connections.webhooks.MOST_WAITING_BYTES", 3_000)
    house.deliver(event("evt_a", data={"object": {"id": "ch_1", "object": "charge", "description": "x" * 2_500}}))
    assert house.deliveries.pending("c1") == 6
    house.clock.ahead = KEPT + timedelta(seconds=1)
    house.deliver(event("evt_b"))
    assert house.deliveries.let_go("c1") is not None  # what that one let go; those before are forgotten
    assert {"evt_1", "evt_2"}.isdisjoint(row.event_id for row in house.rows())


def test_what_is_delivered_goes_with_its_connection(house: House) -> None:
    house.deliver(event())
    with house.store.write() as db:
        db.execute(sa.delete(connections))
    assert house.rows() == []
    with pytest.raises(NotFound):
        house.deliver(event())
