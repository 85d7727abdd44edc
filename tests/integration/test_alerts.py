"""Alerts from beginning to end on a real store: told once over a real mail server and a real receiver, whoever works."""

from __future__ import annotations

import email
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from structlog.testing import capture_logs

from takings.accounts import Audit, People
from takings.alerts import Alerts, BudgetFacts, Health
from takings.alerts.figures import Figures
from takings.alerts.hook import SIGNATURE
from takings.cli import main
from takings.errors import Invalid, NotAllowed, NotFound, Unavailable
from takings.settings import Settings, load
from takings.store import Store, Vault, schema
from takings.store import vault as vaults
from takings.stripe import signatures

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
PASSWORD = "correct horse battery"


class Moving:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - NOW).total_seconds()

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class MailServer:
    """A real mail server on loopback.

    Attributes:
        mails: What it took: recipients and the message.
        refuse: What it says in place of taking a message; None: it takes it.
    """

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], EmailMessage]] = []
        self.raw: list[bytes] = []
        self.refuse: str | None = None

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address.startswith("nobody@"):
            return "550 5.1.1 No such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refuse is not None:
            return self.refuse
        self.raw.append(envelope.content)
        self.mails.append((envelope.rcpt_tos, email.message_from_bytes(envelope.content, policy=default)))  # type: ignore[arg-type]
        return "250 2.0.0 Ok: queued as 4F2A"


class Receiver:
    """A real receiver of webhooks on loopback.

    Attributes:
        got: What came: headers and body.
        status: What it answers.
    """

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        self.location: str | None = None


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def mail(unused_port: int) -> Iterator[tuple[MailServer, int]]:
    server = MailServer()
    controller = Controller(
        server,
        hostname="127.0.0.1",
        port=unused_port,
        auth_require_tls=False,
        authenticator=lambda _s, _c, _e, _m, data: AuthResult(
            success=data.password == PASSWORD.encode(), handled=False
        ),
    )
    controller.start()
    yield server, unused_port
    controller.stop()


@pytest.fixture
def receiver() -> Iterator[tuple[Receiver, str]]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kept.got.append((dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(kept.status)
            if kept.location:
                self.send_header("location", kept.location)
            self.send_header("content-length", "11")
            self.end_headers()
            self.wfile.write(b"secret page")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield kept, f"http://127.0.0.1:{server.server_port}/hooks/token-of-the-receiver"
    server.shutdown()
    server.server_close()


class House:
    """A store with one connection, and the alerts over it."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.clock, self.store, self.settings = Moving(), store, settings
        self.vault = Vault.open(settings)
        self.budget: BudgetFacts | None = None
        self.alerts = self.another()
        self.watch = self.alerts.watch()
        with store.write() as db:
            for key, name in (("c1", "Shop"), ("c2", "Bar")):
                db.execute(
                    sa.insert(schema.connections).values(
                        id=key, name=name, source="stripe", way="key", account_id=f"acct_{key}", account_name=name,
                        livemode=True, state="active", credentials=self.vault.seal({}), permissions={}, created_at=NOW,
                    )
                )  # fmt: skip
            db.execute(sa.insert(schema.workers).values(id="w", host="h", pid=1, started_at=NOW, seen_at=NOW))

    def another(self) -> Alerts:
        """What another process has."""
        audit = Audit(self.store, self.clock)
        return Alerts(self.store, self.vault, self.settings, self.clock, audit, lambda _: self.budget)

    def state(self, state: str, connection: str = "c1") -> None:
        with self.store.write() as db:
            db.execute(
                sa.update(schema.connections)
                .where(schema.connections.c.id == connection)
                .values(state=state, reason="Stripe refuses the key.", reason_code="stripe.key_refused")
            )

    def list(self, table: str, state: str, as_of: datetime | None, connection: str = "c1") -> None:
        here = (schema.list_states.c.connection_id == connection, schema.list_states.c.table_name == table)
        with self.store.write() as db:
            db.execute(sa.delete(schema.list_states).where(*here))
            db.execute(
                sa.insert(schema.list_states).values(
                    connection_id=connection, list=f"/v1/{table}", table_name=table, state=state, complete_as_of=as_of
                )
            )

    def after(self, **time: float) -> None:
        """Move the clock, with a worker that lives, and look."""
        self.clock.at += timedelta(**time)
        with self.store.write() as db:
            db.execute(sa.update(schema.workers).values(seen_at=self.clock.at))
        self.watch.look()

    def mail_to(self, port: int, **more: str) -> str:
        form = {
            "name": "Office", "locale": "en", "host": "127.0.0.1", "port": str(port), "encryption": "none", "user": "",
            "password": "", "sender": "takings@example.com", "recipients": "ada@example.com, bob@example.com", **more,
        }  # fmt: skip
        return self.alerts.channels.add(None, "mail", form)[0].id

    def hook_to(self, url: str, **more: str) -> tuple[str, str]:
        channel, secret = self.alerts.channels.add(
            None, "webhook", {"name": "Robot", "locale": "fr", "url": url, **more}
        )
        assert secret is not None
        return channel.id, secret

    def told(self) -> list[tuple[str, str, int, str | None]]:
        n = schema.notices.c
        with self.store.read() as db:
            rows = db.execute(sa.select(n.what, n.state, n.tries, n.answer).order_by(n.what.desc()))
            return [(row.what, row.state, row.tries, row.answer) for row in rows]


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store to copy from."""
    home = tmp_path_factory.mktemp("migrated")
    Store.open(load({}, home=home)).close()
    return home / "takings.db"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """A house on each kind of store."""
    if request.param == "sqlite":
        yield request.getfixturevalue("house")
        return
    settings = load({}, home=tmp_path, store_url=request.getfixturevalue("postgres_database"))
    with closing(Store.open(settings)) as store:
        yield House(store, settings)


@pytest.fixture
def house(tmp_path: Path, migrated: Path) -> Iterator[House]:
    settings = load({}, home=tmp_path, base_url="https://takings.example.com")
    shutil.copy(migrated, tmp_path)
    store = Store.open(settings)
    yield House(store, settings)
    store.close()


def test_a_trouble_is_told_once_when_it_begins_and_once_when_it_is_over(
    house: House, mail: tuple[MailServer, int], receiver: tuple[Receiver, str]
) -> None:
    server, port = mail
    robot, url = receiver
    house.mail_to(port)
    _, secret = house.hook_to(url)
    house.after()
    house.state("reauth")
    with capture_logs() as logged:
        for _ in range(4):
            house.after(minutes=1)
    assert [(entry["event"], entry["connection"]) for entry in logged if "kind" in entry] == [("alerts.opened", "c1")]
    ((recipients, letter),) = server.mails
    assert recipients == ["ada@example.com", "bob@example.com"]
    assert letter["subject"] == "[Takings] Stripe refuses the connection “Shop”"
    assert letter["auto-submitted"] == "auto-generated"
    plain, html = (letter.get_body((kind,)) for kind in ("plain", "html"))
    (alert,) = house.alerts.open()
    for part in (plain, html):
        assert part is not None
        assert f"https://takings.example.com/alerts#alert-{alert.id}" in part.get_content()
        assert "Stripe refuses the key." in part.get_content()
    house.state("active")
    house.after(minutes=1)
    house.after(minutes=1)
    assert [one["subject"] for _, one in server.mails[1:]] == ["[Takings] Over: Stripe refuses the connection “Shop”"]
    assert house.alerts.open() == []
    assert [one.closed_at for one in house.alerts.past()] == [house.clock.at - timedelta(minutes=1)]

    (headers, body), (_, last) = robot.got
    signatures.check(body, headers[SIGNATURE], [secret], NOW + timedelta(minutes=1))
    with pytest.raises(Invalid):
        signatures.check(body + b" ", headers[SIGNATURE], [secret], NOW + timedelta(minutes=1))
    said, over = json.loads(body), json.loads(last)
    assert said["text"] == "[Takings] Stripe refuse la connexion « Shop »"
    assert said["alerts"][0].items() >= {"what": "opened", "kind": "refused", "connection": "c1"}.items()
    assert over["alerts"][0].items() >= {"what": "closed", "alert": alert.id}.items()
    assert [state for _, state, *_ in house.told()] == ["sent"] * 4


def test_of_two_processes_at_once_one_opens_and_one_sends(shared: House, receiver: tuple[Receiver, str]) -> None:
    house, (robot, url) = shared, receiver
    house.hook_to(url)
    for connection in ("c1", "c2"):
        house.state("reauth", connection)
    others = [house.another().watch() for _ in range(4)]

    def all_look() -> list[tuple[str, str]]:
        with ThreadPoolExecutor(4) as pool:
            for _ in range(3):
                list(pool.map(lambda watch: watch.look(), others))
        return [(one["what"], one["id"]) for _, body in robot.got for one in json.loads(body)["alerts"]]

    said = all_look()
    assert [what for what, _ in said] == ["opened"] * 2
    assert len(house.alerts.open()) == 2
    for connection in ("c1", "c2"):
        house.state("active", connection)
    said = all_look()
    assert [what for what, _ in said] == ["opened"] * 2 + ["closed"] * 2
    assert len(set(said)) == 4
    assert house.alerts.figures().text()


def test_what_begins_together_is_told_together(house: House, mail: tuple[MailServer, int]) -> None:
    server, port = mail
    house.mail_to(port, locale="fr")
    for table in ("charges", "refunds", "plans"):
        house.list(table, "forbidden", NOW - timedelta(hours=1))
    house.state("failed", "c2")
    house.after()
    ((_, letter),) = server.mails
    assert letter["subject"] == "[Takings] 4 nouvelles alertes"
    text = letter.get_body(("plain",))
    assert text is not None
    assert text.get_content().index("«\u00a0Bar\u00a0»") < text.get_content().index("ne peut plus lire charges"), (
        "serious first"
    )


def test_old_tables_are_told_after_a_while_and_not_after_a_start(house: House, mail: tuple[MailServer, int]) -> None:
    server, port = mail
    house.mail_to(port)
    with house.store.write() as db:
        for table in ("charges", "refunds"):
            rows = {"connection_id": "c1", "table_name": table, "rows": 9, "updated_at": NOW}
            db.execute(sa.insert(schema.table_rows).values(rows))
    house.list("plans", "complete", NOW - timedelta(days=3))  # without rows: looked at seldom
    house.list("charges", "complete", NOW - timedelta(days=3))
    house.after(minutes=0)
    house.list("charges", "complete", NOW + timedelta(minutes=5))
    house.after(minutes=10)
    assert (server.mails, house.alerts.past()) == ([], []), "caught up in time"
    house.list("charges", "complete", NOW - timedelta(days=3))
    house.list("refunds", "complete", NOW - timedelta(days=2))
    house.after(minutes=1)
    house.after(minutes=20)
    assert server.mails == []
    house.after(minutes=11)
    ((_, letter),) = server.mails
    assert letter["subject"].startswith("[Takings] 2 tables of “Shop” are older than promised")


def test_findings_proofs_gaps_and_budgets_are_read_from_the_store(house: House) -> None:
    f = {"connection_id": "c1", "table_name": "charges", "ids": [], "list": "/v1/charges", "count": 2, "kind": "stale"}
    with house.store.write() as db:
        for day in range(3):
            moment = NOW - timedelta(days=day)
            for n, more in enumerate(
                ({}, {"silent": True, "table_name": "balance_transactions"}, {"origin": "verify"})
            ):
                values = {"origin": "reconcile", **f, **more, "id": f"f{day}{n}", "found_at": moment}
                db.execute(sa.insert(schema.findings).values(values))
        proof = {"connection_id": "c1", "asked": {}, "parts": []}
        for n, (state, differences) in enumerate((("proven", 0), ("differs", 7), ("incomplete", 0), ("running", 0))):
            at = NOW - timedelta(hours=9 - n)
            db.execute(
                sa.insert(schema.proofs).values(
                    id=f"p{n}", state=state, differences=differences, started_at=at, ended_at=at, **proof
                )
            )
        db.execute(sa.insert(schema.follows).values(connection_id="c2", gap_from=NOW - timedelta(days=40)))
    house.budget = BudgetFacts(used=95, limit=100)
    house.after()
    assert [(one.kind, one.connection, one.subject) for one in house.alerts.open()] == [
        ("verify", "c1", ""),
        ("drift", "c1", "charges"),
        ("gap", "c2", ""),
        ("budget", "c2", ""),
        ("budget", "c1", ""),
    ]
    assert house.alerts.open()[0].fields["n"] == 7
    assert house.alerts.open()[1].fields["n"] == 6


def test_a_server_that_is_away_is_tried_again_and_given_up_in_the_end(
    house: House, mail: tuple[MailServer, int]
) -> None:
    server, port = mail
    channel = house.mail_to(port)
    server.refuse = "451 4.3.2 Come back later"
    house.state("reauth")
    house.after()
    assert house.told() == [("opened", "waiting", 1, "451 4.3.2 Come back later")]
    assert house.alerts.channels.get(channel).failed
    house.after(seconds=59)
    assert house.told()[0][2] == 1
    house.after(seconds=1)
    assert house.told()[0][2] == 2
    for _ in range(20):
        house.after(hours=6)
    assert house.told() == [("opened", "given_up", 18, "451 4.3.2 Come back later")]
    server.refuse = None
    house.state("active")
    house.after(minutes=1)
    assert server.mails == [], "whoever never heard of the beginning need not hear of the end"


def test_a_message_that_waits_goes_once_the_settings_are_mended(house: House, mail: tuple[MailServer, int]) -> None:
    server, port = mail
    channel = house.mail_to(port, recipients="nobody@example.com")
    house.state("reauth")
    house.after()
    house.after(minutes=1)
    assert house.told()[0][1:] == ("waiting", 2, "nobody@example.com: 550 5.1.1 No such user here")
    form = {"name": "Office", "locale": "en", "host": "127.0.0.1", "port": str(port), "encryption": "none"}
    house.alerts.channels.change(
        None, channel, {**form, "sender": "takings@example.com", "recipients": "ada@example.com"}
    )
    house.after(seconds=1)
    assert house.told()[0][:3] == ("opened", "sent", 3)
    assert len(server.mails) == 1


def test_whoever_dies_while_sending_is_followed_by_another(house: House, mail: tuple[MailServer, int]) -> None:
    server, port = mail
    house.mail_to(port)
    house.state("reauth")
    dying = house.another()

    def die(*_: object) -> Any:
        raise KeyboardInterrupt

    dying.send = die  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        dying.watch().look()
    house.after(minutes=4)
    assert server.mails == [], "it might still be at it"
    house.after(minutes=2)
    assert len(server.mails) == 1


def test_a_silent_channel_is_told_nothing_and_a_deleted_one_leaves_nothing(
    house: House, mail: tuple[MailServer, int]
) -> None:
    server, port = mail
    channel = house.mail_to(port)
    house.alerts.channels.disable(None, channel)
    house.state("reauth")
    house.after()
    assert (house.told(), len(house.alerts.open())) == ([], 1)
    house.alerts.channels.enable(None, channel)
    house.after(minutes=1)
    house.state("reauth", "c2")
    house.after(minutes=1)
    assert len(server.mails) == 1, "of what comes from now on"
    house.alerts.channels.delete(None, channel)
    assert house.told() == []
    house.after(minutes=1)


def test_a_paused_connection_keeps_its_alerts_as_they_were(house: House, mail: tuple[MailServer, int]) -> None:
    server, port = mail
    house.mail_to(port)
    house.list("charges", "forbidden", NOW - timedelta(hours=1))
    house.after()
    house.state("paused")
    house.after(days=3)
    assert [one.kind for one in house.alerts.open()] == ["permission"]
    house.state("active")
    house.list("charges", "complete", house.clock.at)
    house.after(minutes=1)
    assert [letter["subject"] for _, letter in server.mails] == [
        "[Takings] “Shop” may not read charges any more",
        "[Takings] Over: “Shop” may not read charges any more",
    ]


def test_where_no_worker_looks_the_web_server_does(house: House, mail: tuple[MailServer, int]) -> None:
    server, port = mail
    house.mail_to(port)
    for _ in range(4):
        house.clock.at += timedelta(minutes=2)
        house.watch.look()
    ((_, letter),) = server.mails
    assert letter["subject"] == "[Takings] Nothing is synchronising: no worker is running"
    house.after(minutes=1)
    house.after(minutes=4)
    assert len(server.mails) == 1
    house.after(minutes=2)
    assert server.mails[-1][1]["subject"].startswith("[Takings] Over: ")


def test_pages_count_what_nobody_has_seen(house: House) -> None:
    people = People(house.store, house.clock)
    ada = people.setup(
        company_name="Bakery", locale="en", time_zone="Europe/Paris", currency="eur", email="ada@example.com",
        name="Ada", password=PASSWORD,
    )  # fmt: skip
    eve = people.accept(people.invite(ada, "eve@example.com", "read_only"), "Eve", PASSWORD)
    house.list("charges", "forbidden", NOW - timedelta(hours=1))
    house.state("reauth", "c2")
    house.after()
    bell = house.alerts.bell()
    assert (bell.unseen, [one.kind for one in bell.serious], bell.more) == (2, ["refused"], 0)
    with pytest.raises(NotAllowed):
        house.alerts.seen(eve, None)
    with pytest.raises(NotAllowed):
        house.alerts.test(eve, "any")
    with pytest.raises(NotAllowed):
        house.alerts.channels.add(eve, "mail", {})
    assert house.alerts.seen(ada, house.alerts.open()[0].id) == 1
    assert (house.alerts.bell().unseen, house.alerts.open()[0].seen_by) == (1, "Ada")
    assert house.alerts.seen(ada, None) == 1
    assert house.alerts.bell().unseen == 0


# -- channels


def test_names_are_used_once_and_found_again(house: House) -> None:
    house.mail_to(25)
    with pytest.raises(Invalid, match="this name already"):
        house.mail_to(25)
    assert house.alerts.channels.named("office").name == "Office"
    with pytest.raises(NotFound, match="There are: “Office”"):
        house.alerts.channels.named("Home")


def test_secrets_are_sealed_kept_and_never_shown(house: House, receiver: tuple[Receiver, str]) -> None:
    _, url = receiver
    channel = house.mail_to(25, user="ada", password=PASSWORD)
    hook, secret = house.hook_to(url)
    shown = repr(house.alerts.channels.all()) + repr(house.alerts.channels.settings(channel))
    shown += repr(house.alerts.channels.settings(hook))
    with house.store.read() as db:
        shown += repr(db.execute(sa.select(schema.channels)).all()) + repr(db.execute(sa.select(schema.audit)).all())
    for hidden in (PASSWORD, secret, "token-of-the-receiver"):
        assert hidden not in shown
    vaults.rotate(house.settings, house.store)
    form = {"name": "Office", "locale": "fr", "host": "127.0.0.1", "port": "26", "encryption": "none", "user": "ada"}
    house.alerts.channels.change(None, channel, {**form, "sender": "a@example.com", "recipients": "b@example.com"})
    assert getattr(house.alerts.channels.settings(channel), "password", None) == PASSWORD
    with pytest.raises(Invalid):
        house.alerts.channels.change(
            None, channel, {**form, "host": "localhost", "sender": "a@e.com", "recipients": "b@e.com"}
        )
    assert house.alerts.channels.change(None, hook, {"name": "Robot", "locale": "fr"})[1] is None
    assert house.alerts.channels.settings(hook).url == url  # type: ignore[union-attr]
    renewed = house.alerts.channels.change(None, hook, {"name": "Robot", "locale": "fr", "new_secret": "1"})[1]
    assert renewed not in (None, secret)


def test_a_test_shows_what_the_mail_server_says(house: House, mail: tuple[MailServer, int]) -> None:
    server, port = mail
    test = house.alerts.test
    good = house.mail_to(port, name="Good", user="ada", password=PASSWORD)
    answer = test(None, good)
    assert (answer.ok, answer.text) == (True, "250 2.0.0 Ok: queued as 4F2A")
    assert "nothing is wrong" in str(server.mails[0][1])
    wrong = test(None, house.mail_to(port, name="Wrong", user="ada", password="wrong password"))
    assert not wrong.ok and wrong.text.startswith("535 5.7.8")
    assert house.alerts.channels.named("Wrong").answer == wrong.text
    some = test(None, house.mail_to(port, name="Some", recipients="ada@example.com nobody@example.com"))
    assert (some.ok, some.text) == (
        False,
        "250 2.0.0 Ok: queued as 4F2A; nobody@example.com: 550 5.1.1 No such user here",
    )
    server.refuse = f"554 Transaction of {PASSWORD} failed"
    assert test(None, good).text == "554 Transaction of [secret] failed"
    clear = test(None, house.mail_to(port, name="Clear", encryption="starttls"))
    assert not clear.ok and "STARTTLS" in clear.text
    assert test(None, house.mail_to(port, name="Tls", encryption="tls")).text.startswith(
        "alerts.unanswered.unencrypted: "
    )


def test_a_server_that_is_not_there_is_named_as_such(house: House, unused_port: int) -> None:
    nobody = house.alerts.test(None, house.mail_to(unused_port))
    assert (nobody.ok, nobody.text) == (False, "alerts.unanswered.no_listener")
    hook, _ = house.hook_to(f"http://127.0.0.1:{unused_port}/")
    assert not house.alerts.test(None, hook).ok


def test_a_redirect_is_not_followed_and_this_machines_words_are_not_shown(
    house: House, receiver: tuple[Receiver, str]
) -> None:
    robot, url = receiver
    hook, _ = house.hook_to(url)
    assert house.alerts.test(None, hook).text == "HTTP 200 OK"
    robot.status, robot.location = 302, url
    answer = house.alerts.test(None, hook)
    assert (answer.ok, answer.text, len(robot.got)) == (False, "HTTP 302 Found", 2)


def test_a_name_cannot_write_headers_or_markup(house: House, mail: tuple[MailServer, int]) -> None:
    server, port = mail
    house.mail_to(port)
    with house.store.write() as db:
        db.execute(
            sa.update(schema.connections)
            .where(schema.connections.c.id == "c1")
            .values(name='Shop\r\nBcc: eve@example.com\r\n\r\n<script>alert("é")</script>')
        )
    house.state("reauth")
    house.after()
    ((_, letter),) = server.mails
    assert letter["bcc"] is None and letter["subject"].startswith("[Takings] Stripe refuses the connection “Shop Bcc")
    html = letter.get_body(("html",))
    assert html is not None and "<script>" not in html.get_content() and "&lt;script&gt;" in html.get_content()
    assert all(len(line) < 998 and line.isascii() for line in server.raw[0].splitlines())


def test_a_watch_ticks_in_its_own_thread_and_not_too_often(house: House) -> None:
    house.state("reauth")
    house.watch.tick()
    house.watch.close()
    assert len(house.alerts.open()) == 1
    house.state("active")
    house.watch.tick()
    house.watch.close()
    assert len(house.alerts.open()) == 1, "not so soon again"
    with house.watch.standing_in():
        pass


def test_figures_are_text_for_prometheus(house: House) -> None:
    house.list("charges", "complete", NOW - timedelta(minutes=10))
    house.list("refunds", "forbidden", None)
    house.budget = BudgetFacts(used=5, limit=100)
    hour = int(NOW.timestamp()) // 3600
    with house.store.write() as db:
        for n, (at, purpose) in enumerate(((hour, "follow"), (hour - 1, "follow"), (hour - 48, "backfill"))):
            db.execute(
                sa.insert(schema.request_counts).values(
                    account_id="acct_c1", livemode=True, hour=at, endpoint="/v1/events", purpose=purpose, requests=n + 2
                )
            )
        db.execute(
            sa.insert(schema.table_rows).values(connection_id="c1", table_name="charges", rows=9, updated_at=NOW)
        )
        for n, state in enumerate(("failed", "complete")):
            at = NOW - timedelta(minutes=9 - n)
            run = {"kind": "follow", "connection_id": "c1"}
            db.execute(
                sa.insert(schema.runs).values(
                    id=f"r{n}", state=state, started_at=at, ended_at=at + timedelta(seconds=30), **run
                )
            )
    house.state("reauth", "c2")
    house.after()
    text = house.alerts.figures().text().decode()
    for line in (
        'takings_connection_state{connection="Shop",state="active"} 1.0',
        'takings_connection_state{connection="Bar",state="reauth"} 1.0',
        'takings_table_age_seconds{connection="Shop",table="charges"} 600.0',
        'takings_oldest_table_age_seconds{connection="Shop"} 600.0',
        'takings_lists_forbidden{connection="Shop"} 1.0',
        'takings_stripe_requests_total{connection="Shop",purpose="follow"} 2.0',
        'takings_rows{connection="Shop"} 9.0',
        'takings_last_run_state{connection="Shop",kind="follow",state="complete"} 1.0',
        'takings_last_run_state{connection="Shop",kind="follow",state="failed"} 0.0',
        'takings_last_run_duration_seconds{connection="Shop",kind="follow"} 30.0',
        'takings_webhook_deliveries_waiting{connection="Shop"} 0.0',
        'takings_alerts_open{kind="refused"} 1.0',
        'takings_read_budget_used{connection="Shop"} 5.0',
        'takings_read_budget_limit{connection="Shop"} 100.0',
        "takings_workers 1.0",
    ):
        assert line in text.splitlines()
    assert "backfill" not in text
    assert "process_cpu_seconds_total" in text


def test_the_counter_of_requests_only_rises_while_the_process_lives(house: House) -> None:
    """Hour by hour over three days, with counts that are written down late; a new process begins anew."""
    figures = Figures(house.store, house.clock)
    counts, first, seen = schema.request_counts, int(NOW.timestamp()) // 3600, [0.0]

    def asked(hour: int, requests: int) -> None:
        with house.store.write() as db:
            values = {"account_id": "acct_c1", "livemode": True, "hour": hour, "endpoint": "/v1/events"}
            known = sa.and_(*(counts.c[name] == value for name, value in values.items()))
            if not db.execute(sa.update(counts).where(known).values(requests=counts.c.requests + requests)).rowcount:
                db.execute(sa.insert(counts).values(**values, purpose="follow", requests=requests))

    def read(figures: Figures) -> float:
        lines = figures.text().decode().splitlines()
        return sum(
            float(line.rpartition(" ")[2]) for line in lines if line.startswith("takings_stripe_requests_total{")
        )

    for hour in range(72):
        asked(first + hour, 3)
        if hour > 5:
            asked(first + hour - 5, 1)
        seen.append(read(figures))
        assert seen[-1] - seen[-2] == (4 if hour > 5 else 3)
        house.after(hours=1)
    assert read(Figures(house.store, house.clock)) == 0


# -- health


def test_health_names_the_part_that_fails(house: House, tmp_path: Path) -> None:
    def broken() -> int:
        raise Unavailable("warehouse.disk", "The disk that holds /secret/path is full.")

    assert Health(house.store, lambda: 1, house.clock).failing() is None
    assert Health(house.store, broken, house.clock).failing() == "warehouse"
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"no database at all" * 100)
    with closing(Store(sa.create_engine(f"sqlite:///{damaged}"))) as store:
        assert Health(store, lambda: 1, house.clock).failing() == "store"


def test_health_looks_now_and_then_and_a_look_that_hangs_is_a_failure(house: House) -> None:
    looks, held = [], threading.Event()

    def slow() -> None:
        looks.append(1)
        held.wait(30)

    health = Health(house.store, slow, house.clock, patience_s=0.2)
    assert health.failing() == "warehouse"
    house.clock.sleep(60)
    assert (health.failing(), len(looks)) == ("warehouse", 1), "nobody waits for it again"
    held.set()
    for thread in threading.enumerate():
        if thread.name == "health":
            thread.join()
    assert (health.failing(), len(looks)) == (None, 2)
    assert (health.failing(), len(looks)) == (None, 2)
    house.clock.sleep(6)
    assert (health.failing(), len(looks)) == (None, 3)


# -- the command line


def test_the_command_line_shows_alerts_and_sends_tests(
    house: House,
    mail: tuple[MailServer, int],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, port = mail
    house.mail_to(port)
    house.state("reauth")
    house.after()
    monkeypatch.setenv("TAKINGS_HOME", str(house.settings.home))

    def takings(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(list(arguments))
        said = capfd.readouterr()
        return code, said.out, said.err

    try:
        code, out, _ = takings("alerts", "--json")
        (alert,) = json.loads(out)
        assert (code, alert["kind"], alert["connection_name"]) == (0, "refused", "Shop")
        code, out, _ = takings("alerts")
        assert code == 0 and "Stripe refuses the connection “Shop”" in out
        assert takings("alerts", "test", "office") == (0, "Office: 250 2.0.0 Ok: queued as 4F2A\n", "")
        assert len(server.mails) == 2
        server.refuse = "451 Later"
        code, out, _ = takings("alerts", "test", "Office", "--json")
        assert (code, json.loads(out)["ok"], json.loads(out)["answer"]) == (6, False, "451 Later")
        code, _, err = takings("alerts", "test", "Home")
        assert code == 3 and "There are: “Office”" in err
    finally:
        structlog.reset_defaults()
