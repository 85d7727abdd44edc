"""The pages that show how in step a connection is: by role, by state, and walked through in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from takings.accounts import Person
from takings.clock import SystemClock
from takings.connections import Credentials, records
from takings.proof import Asked, Part
from takings.store import schema as s
from takings.sync import Finding, FindingBook, steady
from takings.web.pages.help import anchor, chapters
from takings.words import LOCALES, sentences

from .conftest import PASSWORD, Look, Site, as_json, csrf_of

NOW = SystemClock().now()
PAGES = ("", "/runs", "/drift", "/proofs")


def join(site: Site, id: str, **columns: Any) -> None:
    """Put a connection into the store that was loaded, follows events, and ran some times."""
    with site.app.store.write() as db:
        db.execute(
            sa.insert(s.connections).values(
                {
                    "id": id,
                    "name": f"Aurore {id}",
                    "source": "stripe",
                    "way": "key",
                    "account_id": f"acct_{id}",
                    "account_name": "Aurore",
                    "livemode": True,
                    "state": "active",
                    "credentials": records.seal(site.app.vault, Credentials(way="key", secret="rk_live_1")),
                    "permissions": {},
                    "created_at": NOW,
                    "next_sync_at": NOW + timedelta(days=1),
                    **columns,
                }
            )
        )
        db.execute(
            sa.insert(s.follows).values(
                connection_id=id, read_to=NOW, caught_up_at=NOW, tokens=0, transactions=40, forecast=4_000
            )
        )
        for path, table, state, rows in (
            ("/v1/events", "events", "complete", 90),
            ("/v1/charges", "charges", "complete", 1_234),
            ("/v1/invoices", "invoices", "complete", 50),
            ("/v1/invoices/{invoice}/lines", "invoice_line_items", "complete", 70),
            ("/v1/disputes", "disputes", "complete", 0),
            ("/v1/reviews", "reviews", "unavailable", 0),
        ):
            old = NOW - timedelta(days=9) if "{" in path else NOW
            db.execute(
                sa.insert(s.list_states).values(
                    connection_id=id, list=path, table_name=table, state=state, complete_as_of=old, progress=1.0
                )
            )
            db.execute(sa.insert(s.table_rows).values(connection_id=id, table_name=table, rows=rows, updated_at=NOW))
        for path in ("/v1/charges", "/v1/invoices"):
            looked = NOW - timedelta(hours=2)
            db.execute(
                sa.insert(s.stretches).values(
                    id=f"{id}{path}",
                    connection_id=id,
                    list=path,
                    listed_at=looked,
                    nested_at=looked,
                    open_at=looked,
                    rows=250,
                )
            )
        for number in range(52):
            began = NOW - timedelta(minutes=10 * number + 5)
            db.execute(
                sa.insert(s.runs).values(
                    id=f"{id}{number}",
                    connection_id=id,
                    kind="backfill" if number == 51 else "reconcile" if number % 9 == 1 else "follow",
                    state="complete",
                    started_at=began,
                    ended_at=began + timedelta(seconds=7),
                    rows_new=number,
                    requests=3,
                )
            )
        db.execute(
            sa.insert(s.request_counts).values(
                account_id=f"acct_{id}",
                livemode=True,
                hour=int(NOW.timestamp()) // 3600,
                endpoint="/v1/charges",
                purpose="reconcile",
                requests=2_500,
            )
        )


def differed(site: Site, id: str, at: datetime, **changes: Any) -> None:
    """Note that three charges were found different."""
    known: dict[str, Any] = {
        "kind": "stale",
        "origin": "reconcile",
        "table": "charges",
        "list": "/v1/charges",
        "ids": ("ch_1", "ch_2", "ch_3"),
        "count": 3,
        "since": at - timedelta(days=1),
        "found_at": at,
        "healed_at": at,
        "healed_by": "read_again",
    }
    FindingBook(site.app.store).add(id, [Finding(**(known | changes))])


@pytest.fixture(scope="module")
def well(site: Site) -> str:
    join(site, "well")
    return "well"


@pytest.fixture
def admin(site: Site, ada: Person) -> Iterator[httpx2.Client]:
    site.app.people.set_preferences(ada, locale="en")
    with site.client(ada) as client:
        yield client


def at(id: str, page: str = "") -> str:
    return f"/admin/connections/{id}{page}"


def test_only_administrators_see_and_ask(site: Site, ada: Person, well: str) -> None:
    for role in ("standard", "read_only"):
        with site.client(site.joined(ada, role)) as client:
            token = csrf_of(client.get("/profile").text)
            for page in PAGES:
                assert client.get(at(well, page)).status_code == 403
            for act in ("/reread", "/verify"):
                assert client.post(at(well, act), data={"_csrf": token, "table": "charges"}).status_code == 403
    assert not site.app.sync.follows.anything_wanted(well)
    assert site.app.proof.book.latest(well) == []


def test_a_connection_in_step_says_so_and_a_table_inside_others_is_as_fresh_as_they_are(
    admin: httpx2.Client, well: str
) -> None:
    health = as_json(admin, at(well))["health"]
    assert (health["word"], health["tone"]) == ("well", "good")
    assert health["line"].startswith("In step with Stripe as of ")
    assert health["line"].endswith("; not verified yet.")
    rows = {row["table"]: row for row in health["rows"]}
    assert set(rows) == {"charges", "events", "invoice_line_items", "invoices"}
    assert rows["invoice_line_items"]["fresh_as_of"] == rows["invoices"]["fresh_as_of"]
    assert rows["charges"]["compared"] == "2 hours ago"
    assert [row["table"] for row in health["quiet"]] == ["disputes", "reviews"]


def test_requests_are_told_with_their_limit_and_forecast(admin: httpx2.Client, well: str) -> None:
    budget = as_json(admin, at(well))["steps"]["budget"]
    assert (budget["spent"], budget["limit"], budget["share"]) == (2_500, 10_000, 0.25)
    assert [one["purpose"] for one in budget["by_purpose"]] == ["Comparing"]
    assert "with 40 payments that is 20,000. 50% of them" in budget["why"]
    assert "about 4,000 in 30 days: within the limit" in budget["forecast"]


@pytest.mark.parametrize(
    ("change", "word", "said"),
    [
        ((s.connections, {"state": "paused"}), "stopped", "Not kept in step at present: the data is as of"),
        ((s.follows, {"caught_up_at": NOW - timedelta(hours=5)}), "behind", "Behind Stripe: last in step 5 hours ago"),
        ((s.list_states, {"state": "partial", "reason": "Away."}), "short", "; 5 tables are not complete;"),
        (
            (s.follows, {"gap_from": NOW - timedelta(days=40), "gap_to": NOW - timedelta(days=30)}),
            "gap",
            "Healing a gap in Stripe’s events",
        ),
    ],
)
def test_trouble_is_told_in_the_line(
    site: Site, admin: httpx2.Client, change: tuple[sa.Table, dict[str, Any]], word: str, said: str
) -> None:
    join(site, word)
    table, values = change
    key = table.c.id if table is s.connections else table.c.connection_id
    where = sa.and_(key == word, table.c.state == "complete") if table is s.list_states else key == word
    with site.app.store.write() as db:
        db.execute(sa.update(table).where(where).values(**values))
    health = as_json(admin, at(word))["health"]
    assert health["word"] == word
    assert said in health["line"]
    assert admin.get(at(word)).status_code == 200


def test_reading_again_notes_what_is_wanted_and_who_wanted_it(site: Site, admin: httpx2.Client) -> None:
    join(site, "again")
    token = csrf_of(admin.get(at("again")).text)

    def ask(**fields: str) -> str:
        answer = admin.post(at("again", "/reread"), data={"_csrf": token, **fields})
        assert answer.status_code == 303
        return admin.get(answer.headers["location"]).text

    assert "There is no table “nonsense” to read again." in ask(table="nonsense")
    assert "has not been loaded completely yet" in ask(table="payouts")
    assert "not in the future" in ask(table="charges", since="2999-01-01")
    assert not site.app.sync.follows.anything_wanted("again")
    assert "invoice_line_items is read again next: about 3 requests." in ask(
        table="invoice_line_items", since="2026-01-01"
    )
    wanted = {one.list for one in site.app.sync.stretches.of("again") if one.wanted_at}
    assert wanted == {"/v1/invoices"}
    entry = next(one for one in site.app.audit.latest() if one.action == "connection.reread")
    assert entry.details["since"] == "2026-01-01T00:00:00+01:00", "a day begins where the company is"
    assert site.app.connections.get("again").next_sync_at <= SystemClock().now()
    site.app.connections.pause(None, "again")
    assert "is not being synchronised at present" in ask(table="charges")


def test_runs_are_paged(admin: httpx2.Client, well: str) -> None:
    first = as_json(admin, at(well, "/runs"))
    assert (len(first["runs"]), first["previous"]) == (50, None)
    second = as_json(admin, first["next"])
    assert [run["kind_text"] for run in second["runs"]] == ["Events", "First load"]
    assert (second["runs"][-1]["rows_new"], second["next"]) == (51, None)
    for odd in ("?page=0", "?page=x", "?page=99999999999", "?page=-1"):
        assert admin.get(at(well, f"/runs{odd}")).status_code == 200


def test_differences_are_counted_by_the_readers_day_and_steady_ones_are_a_warning(
    site: Site, admin: httpx2.Client
) -> None:
    join(site, "drifting")
    late = datetime(NOW.year, NOW.month, NOW.day, 23, 30, tzinfo=UTC) - timedelta(days=3)  # the next day in Paris
    for days in range(3):
        differed(site, "drifting", late - timedelta(days=days))
    differed(site, "drifting", NOW, table="balance_transactions", silent=True, count=2, ids=("txn_1", "txn_2"))
    differed(site, "drifting", NOW - timedelta(days=60), kind="ghost", healed_by="marked_deleted")
    page = as_json(admin, at("drifting", "/drift"))
    assert page["warnings"] == ["charges differed on 3 days of the last 7, though Stripe has events for it."]
    (charges, transactions) = page["tables"]
    assert (charges["stale"], charges["told"], charges["steady"]) == (9, "9 that events should have told of", True)
    assert (transactions["stale"], transactions["steady"]) == (2, False)
    counted = dict(zip(page["chart"]["points"], page["chart"]["series"][0]["values"], strict=True))
    assert counted[(late + timedelta(days=1)).date().isoformat()] == 3
    assert counted[(late - timedelta(days=2)).date().isoformat()] == 0
    assert len(page["findings"]) == 4
    assert page["findings"][1]["more"] == "and 1 more"
    assert page["findings"][1]["ids"][0]["href"] == "https://dashboard.stripe.com/payments/ch_1"
    longer = as_json(admin, at("drifting", "/drift?days=90"))
    assert longer["days"] == 90
    assert longer["tables"][0]["ghost"] == 3
    health = as_json(admin, at("drifting"))["health"]
    assert health["notes"][0]["href"] == at("drifting", "/drift")


def test_what_has_no_event_is_never_steady(site: Site) -> None:
    found = site.app.health.drift("drifting", NOW - timedelta(days=90), ZoneInfo("UTC"))
    assert set(steady(found, NOW.date())) == {"charges"}
    assert steady(found, NOW.date() - timedelta(days=30)) == {}


def test_verifications_are_shown_with_each_figure(site: Site, admin: httpx2.Client) -> None:
    join(site, "proven")
    book = site.app.proof.book
    first = book.begin("proven", Asked(extent="full"))
    book.end(
        first,
        "proven",
        [Part(check="rows", state="proven", table="charges", rows=9)],
        requests=4,
        rows=9,
        differences=0,
    )
    assert "last proven complete today at" in as_json(admin, at("proven"))["health"]["line"]
    second = book.begin("proven", Asked())
    parts = [
        Part(check="balance", state="differs", subject="eur", stripe=123_456, ours=123_400, differences=1),
        Part(check="rows", state="unchecked", table="reviews", reason="The key may not read it."),
    ]
    book.end(second, "differs", parts, requests=4, rows=9, differences=1)
    differed(
        site, "proven", NOW, origin="verify", kind="balance", table="", list="", ids=(), count=1, subject="eur",
        stripe=123_456, ours=123_400, run_id=second, healed_at=None, healed_by=None,
    )  # fmt: skip
    page = as_json(admin, at("proven", "/proofs"))
    assert [row["state_text"] for row in page["proofs"]] == ["1 difference", "Proven complete"]
    (found,) = page["findings"]
    assert (found["stripe"], found["ours"], found["difference"]) == ("€1,234.56", "€1,234.00", "€0.56")
    assert [part["state"] for part in page["quiet"]] == ["unchecked"]
    assert "1 difference not healed yet; last verified today" in as_json(admin, at("proven"))["health"]["line"]
    assert as_json(admin, at("proven", "/drift"))["findings"] == []


def test_every_small_link_leads_to_a_heading_of_the_manual() -> None:
    for locale in LOCALES:
        text = next(one for one in chapters(locale) if one.slug == "sync").html
        for key, both in sentences().items():
            if key.startswith("health.anchor_"):
                assert f'id="{both[locale]}"' in text, (locale, key)
    assert anchor("À jour et prouvé") == "a-jour-et-prouve"


@pytest.mark.browser
def test_an_administrator_walks_through(site: Site, look: Callable[..., Look]) -> None:
    join(site, "walked")
    differed(site, "walked", NOW)
    ada = site.app.people.authenticate("ada@example.com", PASSWORD)
    window = look(ada)
    page = window.at(at("walked"))
    expect(page.get_by_role("status").filter(has_text="3 differences healed today")).to_be_visible()
    page.get_by_text("Read a table again").click()
    page.get_by_label("Table", exact=True).select_option("invoice_line_items")
    page.get_by_label("Rows made since").fill("2026-03-01")
    page.get_by_role("button", name="Read it again").click()
    expect(page.get_by_text("invoice_line_items is read again next")).to_be_visible()
    expect(page.get_by_role("row", name="invoice_line_items")).to_contain_text("being read again")
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_text("“Aurore walked” is verified next.")).to_be_visible()
    expect(page.get_by_text("A verification is asked for")).to_be_visible()
    # The stream renews what stands in the store.
    with site.app.store.write() as db:
        db.execute(
            sa.insert(s.runs).values(
                id="live", connection_id="walked", kind="reconcile", state="running", started_at=SystemClock().now(),
                requests=40, estimate=120, rows_seen=3_900,
            )
        )  # fmt: skip
    expect(page.get_by_text("40 of about 120 requests, 3,900 rows")).to_be_visible()
    page.get_by_role("link", name="Differences", exact=True).click()
    expect(page.get_by_role("heading", name="Differences of Aurore walked")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="ch_1")).to_contain_text("Read again")
    page.get_by_role("link", name="90 days").click()
    page.get_by_role("link", name="Runs", exact=True).click()
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_role("row").filter(has_text="First load")).to_be_visible()
    page.get_by_role("link", name="Verifications", exact=True).click()
    expect(page.get_by_role("row").filter(has_text="Waiting")).to_be_visible()
    for locale, theme, pages in (("en", "dark", PAGES[2:]), ("fr", "light", PAGES[:2])):
        narrow = look(ada, locale=locale, theme=theme, width=375)
        for each in pages:
            narrow.at(at("walked", each))
            assert narrow.violations() == []
            assert not narrow.is_too_wide()
        assert narrow.troubles == []
    site.app.people.set_preferences(ada, locale="en")
    assert window.troubles == []
