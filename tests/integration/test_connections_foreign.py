"""Joining accounts of a Stripe-shaped server that shares no code with us: what a probe finds, and what it makes do with."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from takings import catalog, settings
from takings.accounts import Audit, People, Person
from takings.clock import SystemClock
from takings.connections import Connections, Credentials, Probe
from takings.errors import Invalid, NotAllowed, NotFound, Refused, TakingsError, Unavailable
from takings.store import Store, Vault
from takings.store.requests import used
from takings.store.schema import connections as rows
from takings.store.schema import pending_connections, table_rows
from takings.words import Words

NOW = int(datetime.now(UTC).timestamp())
DAY = 86_400
KEY = "rk_live_" + "f" * 24


@dataclass
class Account:
    """What the server has, and how it misbehaves."""

    keys: set[str] = field(default_factory=lambda: {KEY})
    body: dict[str, Any] | None = field(
        default_factory=lambda: {
            "id": "acct_1Foreign",
            "object": "account",
            "country": "FR",
            "default_currency": "eur",
            "created": NOW - 400 * DAY,
            "settings": {"dashboard": {"display_name": "Atelier Foreign"}},
        }
    )
    #: Path to the creation times of its objects, oldest first.
    lists: dict[str, list[int]] = field(default_factory=dict)
    #: Path to status and error of what is not given.
    refused: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    livemode: bool | None = True
    asked: list[str] = field(default_factory=list)


def forbidden(permission: str, account: str | None = None) -> tuple[int, dict[str, Any]]:
    named = f" on account '{account}'" if account else ""
    return 403, {
        "type": "invalid_request_error",
        "message": f"The provided key 'rk_live_***ffff' does not have the required permissions for this endpoint{named}. "
        f"Having the '{permission}' permission would allow this request to continue.",
    }


class Handler(BaseHTTPRequestHandler):
    account: Account

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.account.asked.append(self.path)
        key = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if key not in self.account.keys:
            self._send(401, {"error": {"type": "invalid_request_error", "message": "Invalid API Key provided: rk_***"}})
        elif url.path in self.account.refused:
            status, error = self.account.refused[url.path]
            self._send(status, {"error": error})
        elif url.path == "/v1/account" and self.account.body is not None:
            self._send(200, self.account.body)
        elif url.path in self.account.lists:
            self._send(200, self._page(url.path, query))
        else:
            message = f"Unrecognized request URL (GET: {url.path})."
            self._send(404, {"error": {"type": "invalid_request_error", "message": message}})

    def _page(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        name = path.rsplit("/", 1)[1]
        found = [
            {"id": f"{name}_{place}", "object": name[:-1], "created": moment} | self.account.extra
            for place, moment in enumerate(self.account.lists[path])
            if moment < int(query.get("created[lt]", NOW * 2))
        ][::-1]
        if self.account.livemode is not None:
            for each in found:
                each["livemode"] = self.account.livemode
        limit = int(query["limit"])
        return {"object": "list", "data": found[:limit], "has_more": len(found) > limit, "url": path}

    def _send(self, status: int, body: object) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.send_header("Request-Id", "req_foreign")
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(account: Account) -> Iterator[str]:
    handler = type("One", (Handler,), {"account": account, "protocol_version": "HTTP/1.1"})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class House:
    """The parts that connections need, over one data folder."""

    store: Store
    vault: Vault
    service: Connections
    admin: Person
    people: People


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Callable[[str], House]]:
    opened: list[Store] = []

    def make(base: str, **more: str) -> House:
        chosen = settings.load(
            {
                "TAKINGS_HOME": str(tmp_path),
                "TAKINGS_STRIPE_API_BASE": base,
                "TAKINGS_RATE_LIVE": "5000",
                "TAKINGS_RATE_SANDBOX": "5000",
                "TAKINGS_RATE_ENDPOINT": "5000",
                **more,
            }
        )
        clock = SystemClock()
        store = Store.open(chosen)
        opened.append(store)
        vault = Vault.open(chosen)
        people = People(store, clock)
        admin = people.setup(
            company_name="Aurore",
            locale="en",
            time_zone="Europe/Paris",
            currency="eur",
            email="ada@example.com",
            name="Ada",
            password="a long enough password",
        )
        service = Connections(store, vault, catalog.load(), chosen, clock, Audit(store, clock))
        return House(store, vault, service, admin, people)

    yield make
    for store in opened:
        store.close()


def key(secret: str = KEY) -> Credentials:
    return Credentials(way="key", secret=secret)


def full() -> Account:
    """A company of 400 days: 4,000 charges, 250 customers, a coupon, nothing else."""
    start = NOW - 400 * DAY
    return Account(
        lists={
            "/v1/charges": [start + place * 400 * DAY // 4000 for place in range(4000)],
            "/v1/customers": [start + 5000 + place * DAY for place in range(250)],
            "/v1/coupons": [start + 3 * DAY],
            "/v1/products": [],
        }
    )


def test_a_probe_finds_the_account_its_lists_and_how_much_there_is(house: Any) -> None:
    account = full()
    account.refused["/v1/disputes"] = forbidden("rak_dispute_read")
    account.refused["/v1/issuing/cards"] = (400, {"message": "Your account is not set up to use Issuing."})
    account.refused["/v1/reviews"] = (500, {"message": "Something went wrong."})
    with serving(account) as base:
        parts = house(base)
        found: Probe = parts.service.probe(key())
    assert (found.account_id, found.account_name, found.account_known) == ("acct_1Foreign", "Atelier Foreign", True)
    assert (found.country, found.currency, found.livemode) == ("FR", "eur", True)
    assert found.broad_key is False
    lists = {one.path: one for one in found.lists}
    assert (lists["/v1/charges"].access, lists["/v1/products"].access) == ("allowed", "allowed")
    assert (lists["/v1/products"].rows, lists["/v1/products"].exact) == (0, True)
    assert (lists["/v1/coupons"].rows, lists["/v1/coupons"].exact) == (1, True)
    assert lists["/v1/charges"].rows == pytest.approx(4000, rel=0.1)
    assert lists["/v1/customers"].rows == pytest.approx(250, rel=0.2)
    assert (lists["/v1/disputes"].access, lists["/v1/disputes"].permission) == ("forbidden", "rak_dispute_read")
    assert lists["/v1/issuing/cards"].access == "unavailable"
    assert lists["/v1/reviews"].access == "unknown"
    everything, two_years, one_year = found.estimates
    assert everything.objects == pytest.approx(4251, rel=0.1)
    assert two_years.objects == pytest.approx(everything.objects, rel=0.02)
    assert one_year.objects == pytest.approx(4251 * 365 / 400, rel=0.1)
    assert everything.requests >= 43
    assert 0 < everything.minutes < 1
    assert found.first_at is not None
    assert abs(found.first_at - datetime.fromtimestamp(NOW - 400 * DAY, UTC)) < timedelta(days=1)
    assert len(account.asked) < 200
    assert used(parts.store, "acct_1Foreign", True, 0) == len(account.asked)


def test_a_key_that_may_not_read_its_account_learns_its_id_from_the_refusal(house: Any) -> None:
    account = full()
    account.refused["/v1/account"] = forbidden("rak_accounts_kyc_basic_read", "acct_1Named")
    with serving(account) as base:
        found = house(base).service.probe(key())
    assert (found.account_id, found.account_known, found.country) == ("acct_1Named", True, None)
    assert found.account_name == "acct_1Named"


def test_an_invoice_tells_whose_it_is(house: Any) -> None:
    account = full()
    account.refused["/v1/account"] = forbidden("rak_accounts_kyc_basic_read")
    account.lists["/v1/invoices"] = [NOW - 9 * DAY]
    account.extra = {
        "object": "invoice",
        "account_name": "Atelier Facture",
        "account_country": "BE",
        "hosted_invoice_url": "https://invoice.stripe.com/i/acct_1Billed/live_YWNjdA?s=ap",
    }
    with serving(account) as base:
        found = house(base).service.probe(key())
    assert (found.account_id, found.account_name, found.country) == ("acct_1Billed", "Atelier Facture", "BE")


@pytest.mark.parametrize("status", [403, 404])
def test_an_account_that_nobody_names_is_known_by_its_oldest_object(house: Any, status: int) -> None:
    account = full()
    account.keys |= {"rk_live_other"}
    account.refused["/v1/account"] = (status, {"message": "No."})
    with serving(account) as base:
        service = house(base).service
        one, other = service.probe(key()), service.probe(key("rk_live_other"))
        assert one.account_id.startswith("unknown_")
        assert one.account_id == other.account_id  # the same account whichever key reads it
        assert not one.account_known
        account.lists["/v1/charges"] += [NOW, NOW + 1]  # only newer rows
        assert service.probe(key()).account_id == one.account_id


def test_credentials_of_an_account_joined_unnamed_are_recognised_once_it_is_named(house: Any) -> None:
    account = full()
    named = account.body
    account.body = None
    account.keys |= {"rk_live_better"}
    with serving(account) as base:
        parts = house(base)
        joined = join(parts, key())
        assert joined.account_id.startswith("unknown_")
        account.body = named
        with pytest.raises(Invalid) as caught:
            join(parts, key("rk_live_better"))
        assert caught.value.code == "connections.already"
        again = parts.service.reauthenticate(parts.admin, joined.id, key("rk_live_better"))
    assert again.account_id == joined.account_id  # rows in the warehouse are kept under it
    assert again.account_name == "Atelier Foreign"


def test_the_mode_is_believed_from_objects_before_the_form_of_the_key(house: Any) -> None:
    account = full()
    account.keys |= {"rk_test_abc"}
    account.livemode = False
    with serving(account) as base:
        service = house(base).service
        assert service.probe(key()).livemode is False
        account.livemode = None
        assert service.probe(key()).livemode is True
        assert service.probe(key("rk_test_abc")).livemode is False


def test_a_secret_key_is_taken_and_advised_against(house: Any) -> None:
    account = full()
    account.keys = {"sk_live_all"}
    with serving(account) as base:
        assert house(base).service.probe(key("sk_live_all")).broad_key is True


def refused(act: Callable[[], object]) -> TakingsError:
    with pytest.raises(TakingsError) as caught:
        act()
    return caught.value


def test_every_refusal_is_one_sentence_in_both_languages(house: Any) -> None:
    account = full()
    found: list[TakingsError] = []
    with serving(account) as base:
        parts = house(base)
        found.append(refused(lambda: parts.service.probe(key("rk_live_wrong"))))
        for path in [one.path for one in catalog.load().lists]:
            account.refused[path] = forbidden("rak_some_read")
        found.append(refused(lambda: parts.service.probe(key())))
    found.append(refused(lambda: parts.service.probe(key())))  # nothing listens any more
    assert [error.code for error in found] == [
        "stripe.key_refused",
        "connections.nothing_readable",
        "stripe.network",
    ]
    assert isinstance(found[0], Refused)
    assert isinstance(found[2], Unavailable)
    for error in found:
        english, french = Words("en").error(error), Words("fr").error(error)
        assert english != french
        for sentence in (english, french):
            assert KEY not in sentence
            assert "rk_live_wrong" not in sentence


def join(parts: House, credentials: Credentials, name: str = "", start: datetime | None = None) -> Any:
    probe = parts.service.probe(credentials)
    return parts.service.confirm(parts.admin, parts.service.pend(parts.admin, credentials, probe), name, start)


def test_a_connection_is_made_wanted_at_once_and_sealed(house: Any, tmp_path: Path) -> None:
    account = full()
    start = datetime(2025, 3, 12, tzinfo=UTC)
    with serving(account) as base:
        parts = house(base)
        made = join(parts, key(), "  Our  shop ", start)
    assert (made.name, made.state, made.source, made.way) == ("Our shop", "active", "stripe", "key")
    assert (made.account_id, made.livemode, made.start_at) == ("acct_1Foreign", True, start)
    assert made.sync_wanted_at is not None
    assert made.permissions["/v1/charges"] == "allowed"
    assert parts.service.credentials(made.id) == key()
    with parts.store.read() as db:
        assert db.execute(sa.select(sa.func.count()).select_from(pending_connections)).scalar() == 0
    assert all(KEY.encode() not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert Audit(parts.store, SystemClock()).latest(1)[0].action == "connection.added"


def test_names_are_suggested_and_kept_apart(house: Any) -> None:
    account = full()
    account.keys |= {"rk_test_abc"}
    with serving(account) as base:
        parts = house(base)
        first = join(parts, key())
        account.livemode = False
        assert first.name == "Atelier Foreign"
        assert refused(lambda: join(parts, key("rk_test_abc"), "ATELIER foreign")).code == "connections.name_taken"
        assert refused(lambda: join(parts, key("rk_test_abc"), "x" * 101)).code == "connections.name_long"
        second = join(parts, key("rk_test_abc"))
        assert second.name == "Atelier Foreign (test)"
        assert (
            refused(lambda: parts.service.rename(parts.admin, second.id, first.name)).code == "connections.name_taken"
        )
        assert parts.service.rename(parts.admin, second.id, "Sandbox").name == "Sandbox"
        assert refused(lambda: parts.service.rename(parts.admin, second.id, " ")).code == "connections.name_missing"


def test_the_same_account_is_not_connected_twice(house: Any) -> None:
    with serving(full()) as base:
        parts = house(base)
        made = join(parts, key())
        error = refused(lambda: join(parts, key(), "Another"))
    assert error.code == "connections.already"
    assert error.fields == {"name": made.name, "connection": made.id}


def test_history_cannot_start_in_the_future(house: Any) -> None:
    with serving(full()) as base:
        parts = house(base)
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        assert refused(lambda: join(parts, key(), "", tomorrow)).code == "connections.start_future"


def test_only_who_gave_the_credentials_can_say_yes_and_only_once(house: Any) -> None:
    with serving(full()) as base:
        parts = house(base)
        token = parts.people.invite(parts.admin, "bo@example.com", "admin")
        other = parts.people.accept(token, name="Bo", password="another long password")
        probe = parts.service.probe(key())
        pending = parts.service.pend(parts.admin, key(), probe)
        assert isinstance(refused(lambda: parts.service.confirm(other, pending, "", None)), NotFound)
        assert isinstance(refused(lambda: parts.service.confirm(None, pending, "", None)), NotFound)
        parts.service.confirm(parts.admin, pending, "", None)
        assert isinstance(refused(lambda: parts.service.confirm(parts.admin, pending, "", None)), NotFound)
        with parts.store.write() as db:
            db.execute(sa.delete(rows))
        old = parts.service.pend(parts.admin, key(), probe)
        with parts.store.write() as db:
            db.execute(sa.update(pending_connections).values(created_at=datetime.now(UTC) - timedelta(minutes=61)))
        assert refused(lambda: parts.service.confirm(parts.admin, old, "", None)).code == "connections.pending_gone"


def test_nobody_but_an_administrator_changes_anything(house: Any) -> None:
    with serving(full()) as base:
        parts = house(base)
        made, service = join(parts, key()), parts.service
        for role in ("standard", "read_only"):
            token = parts.people.invite(parts.admin, f"{role}@example.com", role)
            person = parts.people.accept(token, name=role, password="another long password")
            acts: list[Callable[[], object]] = [
                lambda p=person: service.pend(p, key()),
                lambda p=person: service.pending(p, "x"),
                lambda p=person: service.probe_pending(p, "x"),
                lambda p=person: service.pending_credentials(p, "x"),
                lambda p=person: service.drop_pending(p, "x"),
                lambda p=person: service.confirm(p, "x", "", None),
                lambda p=person: service.reauthenticate(p, made.id, key()),
                lambda p=person: service.rename(p, made.id, "x"),
                lambda p=person: service.pause(p, made.id),
                lambda p=person: service.resume(p, made.id),
                lambda p=person: service.sync_now(p, made.id),
                lambda p=person: service.disconnect(p, made.id, True),
            ]
            for act in acts:
                assert isinstance(refused(act), NotAllowed)
        assert parts.service.get(made.id) == made


def test_reauthentication_keeps_history_and_settings(house: Any) -> None:
    account = full()
    account.keys |= {"rk_live_new"}
    start = datetime(2025, 1, 1, tzinfo=UTC)
    with serving(account) as base:
        parts = house(base)
        made = join(parts, key(), "Shop", start)
        account.keys.discard(KEY)
        error = refused(lambda: parts.service.probe(key()))
        assert parts.service.mark_reauth(made.id, error) is True
        marked = parts.service.get(made.id)
        assert (marked.state, marked.reason_code) == ("reauth", "stripe.key_refused")
        assert refused(lambda: parts.service.sync_now(parts.admin, made.id)).code == "connections.needs_reauth"
        again = parts.service.reauthenticate(parts.admin, made.id, key("rk_live_new"))
        assert (again.state, again.reason, again.name, again.start_at) == ("active", None, "Shop", start)
        assert again.created_at == made.created_at
        assert again.sync_wanted_at is not None
        assert parts.service.credentials(made.id) == key("rk_live_new")


def test_a_late_refusal_of_old_credentials_does_not_mark_new_ones(house: Any) -> None:
    account = full()
    account.keys |= {"rk_live_new"}
    with serving(account) as base:
        parts = house(base)
        made = join(parts, key())
        account.keys.discard(KEY)
        late = refused(lambda: parts.service.probe(key()))
        parts.service.reauthenticate(parts.admin, made.id, key("rk_live_new"))
        assert parts.service.mark_reauth(made.id, late) is False
        account.refused["/v1/account"] = forbidden("rak_accounts_kyc_basic_read")
        assert parts.service.mark_reauth(made.id, late) is False  # a key without that permission is no refused key
        assert parts.service.get(made.id).state == "active"


def test_reauthentication_refuses_another_account_and_the_other_mode(house: Any) -> None:
    account = full()
    account.keys |= {"rk_test_abc"}
    with serving(account) as base:
        parts = house(base)
        made = join(parts, key())
        assert account.body is not None
        account.body |= {"id": "acct_1Other", "settings": {"dashboard": {"display_name": "Someone else"}}}
        error = refused(lambda: parts.service.reauthenticate(parts.admin, made.id, key()))
        assert error.code == "connections.other_account"
        assert "Someone else" in Words("fr").error(error)
        account.body["id"] = "acct_1Foreign"
        account.livemode = False
        assert refused(lambda: parts.service.reauthenticate(parts.admin, made.id, key("rk_test_abc"))).code == (
            "connections.wants_live"
        )
        assert parts.service.credentials(made.id) == key()


def test_pausing_resuming_and_looking_at_once(house: Any) -> None:
    with serving(full()) as base:
        parts = house(base)
        made = join(parts, key())
        service, admin = parts.service, parts.admin
        assert service.pause(admin, made.id).state == "paused"
        assert refused(lambda: service.sync_now(admin, made.id)).code == "connections.paused"
        service.mark_failed(made.id, Unavailable("stripe.down", "Stripe is down."))
        assert service.get(made.id).state == "paused"  # what a worker says late does not unpause
        resumed = service.resume(admin, made.id)
        assert (resumed.state, resumed.sync_wanted_at is not None) == ("active", True)
        service.mark_failed(made.id, Unavailable("stripe.down", "Stripe is down."))
        assert service.get(made.id).reason == "Stripe is down."
        assert service.sync_now(admin, made.id).state == "active"
        at = datetime.now(UTC) - timedelta(seconds=5)
        service.mark_synced(made.id, at, timedelta(minutes=1))
        synced = service.get(made.id)
        assert synced.last_sync_at == at
        assert synced.next_sync_at is not None and synced.next_sync_at > at


def test_disconnecting_keeps_or_purges(house: Any) -> None:
    with serving(full()) as base:
        parts = house(base)
        made = join(parts, key())
        with parts.store.write() as db:
            for table, count in (("charges", 4000), ("customers", 250), ("coupons", 0)):
                db.execute(
                    sa.insert(table_rows).values(
                        connection_id=made.id, table_name=table, rows=count, updated_at=datetime.now(UTC)
                    )
                )
        removal = parts.service.preview_disconnect(made.id)
        assert removal.tables == (("charges", 4000), ("customers", 250))
        assert removal.rows == 4250
        parts.service.disconnect(parts.admin, made.id, purge=False)
        assert parts.service.all() == []
        again = join(parts, key())  # the same account can be joined again
        parts.service.disconnect(parts.admin, again.id, purge=True)
        assert parts.service.get(again.id).state == "disconnecting"
        assert parts.service.credentials(again.id).secret == ""
        assert refused(lambda: join(parts, key())).code == "connections.disconnecting"
        assert refused(lambda: parts.service.pause(parts.admin, again.id)).code == "connections.disconnecting"
        parts.service.forget(again.id)
        parts.service.forget(again.id)
        assert isinstance(refused(lambda: parts.service.get(again.id)), NotFound)
        actions = [entry.action for entry in Audit(parts.store, SystemClock()).latest()]
        assert actions[:4] == [
            "connection.purged",
            "connection.disconnected",
            "connection.added",
            "connection.disconnected",
        ]
