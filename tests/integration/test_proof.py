"""Verification against the simulated Stripe: everything ties after a load, and each single row that does not is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from takings import app, settings
from takings.connections import Credentials
from takings.proof import Asked, Proven, Verifier
from takings.simulator import Options, Simulator
from takings.simulator.simclock import MovableClock
from takings.sync import Finding

FULL = Asked(extent="full")


def only(*lists: str) -> Asked:
    """All of some lists, with what lies inside their objects."""
    return Asked(extent="full", lists=tuple(f"/v1/{one}" for one in lists))


class Company:
    """A loaded company, and hands that reach into its warehouse behind the program's back."""

    def __init__(self, home: Path, stripe: Simulator) -> None:
        self.stripe = stripe
        self.clock = MovableClock(stripe.advance(timedelta(0)))
        known = {**stripe.environ(), "TAKINGS_HOME": str(home), "TAKINGS_LOG_LEVEL": "error"}
        self.parts = app.build(settings.load(known), self.clock)
        credentials = Credentials(way="key", secret=stripe.live_key)
        pending = self.parts.connections.pend(None, credentials, self.parts.connections.probe(credentials))
        self.id = self.parts.connections.confirm(None, pending, "Company", None).id
        assert self.parts.sync.run_once(self.id).state == "complete"

    def verify(self, asked: Asked = FULL) -> Proven:
        return self.parts.proof.verify(self.id, asked)

    def ask(self, sql: str) -> list[Any]:
        return list(self.parts.warehouse.query(sql).rows)

    @contextmanager
    def tampered(self, table: str, *statements: str) -> Iterator[None]:
        """Change a table for as long as the block lasts."""
        engine = self.parts.warehouse._engine
        with engine.session(write=True) as session:
            session.execute(f"CREATE OR REPLACE TABLE raw.kept AS SELECT * FROM stripe.{table}")
            for statement in statements:
                session.execute(statement)
        try:
            yield
        finally:
            with engine.session(write=True) as session:
                session.execute(f"DELETE FROM stripe.{table}")
                session.execute(f"INSERT INTO stripe.{table} SELECT * FROM raw.kept")
                session.execute("DROP TABLE raw.kept")


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory, furnish: Callable[[Path], Path]) -> Iterator[Company]:
    options = Options(objects=1_500, test_objects=0, seed=11, rate=0, test_rate=0, endpoint_rate=0)
    with Simulator(options) as stripe:
        loaded = Company(furnish(tmp_path_factory.mktemp("proof")), stripe)
        yield loaded
        loaded.parts.close()


def named(proven: Proven) -> dict[tuple[str, str], set[str]]:
    """Return the ids found by table and kind."""
    found: dict[tuple[str, str], set[str]] = {}
    for one in proven.findings:
        found.setdefault((one.table, one.kind), set()).update(one.ids)
    return found


def of(proven: Proven, kind: str) -> list[Finding]:
    return [one for one in proven.findings if one.kind == kind]


def test_everything_ties_after_a_load_and_each_part_says_so(company: Company) -> None:
    proven = company.verify()
    assert [(one.table, one.kind, one.ids[:3]) for one in proven.findings] == []
    verification = proven.verification
    assert verification.state == "proven", [part for part in verification.parts if part.state != "proven"]
    assert verification.requests > 20
    by_check = {
        check: [p for p in verification.parts if p.check == check] for check in ("rows", "integrity", "balance")
    }
    charges = next(part for part in by_check["rows"] if part.table == "charges")
    assert charges.rows == charges.stripe == charges.ours == company.ask("SELECT count(*) FROM stripe.charges")[0][0]
    assert any(part.table == "invoice_line_items" and part.rows for part in by_check["rows"])
    assert any(part.table == "invoice_line_items" and part.rows for part in by_check["integrity"])
    assert by_check["balance"] and all(part.stripe == part.ours for part in by_check["balance"])
    payouts = next(part for part in verification.parts if part.check == "payouts")
    assert payouts.state == "proven" and payouts.stripe and payouts.rows
    assert company.parts.proof.book.latest(company.id)[0] == verification


def test_a_row_that_was_removed_is_missing(company: Company) -> None:
    (lost,) = company.ask("SELECT id FROM stripe.charges ORDER BY created LIMIT 1")[0]
    with company.tampered("charges", f"DELETE FROM stripe.charges WHERE id = '{lost}'"):
        proven = company.verify(only("charges"))
        assert named(proven) == {("charges", "missing"): {lost}}
        assert proven.verification.state == "differs"
        assert proven.verification.differences == 1
        # It is in no typed row, and verifying writes none: the next one finds it again, and keeps it once.
        assert named(company.verify(only("charges"))) == {("charges", "missing"): {lost}}
        assert sum(f.origin == "verify" for f in company.parts.sync.findings.of(company.id, open_only=True)) == 1
    assert company.verify(only("charges")).verification.state == "proven"
    assert company.parts.sync.findings.of(company.id, open_only=True) == []


@pytest.mark.parametrize("also", ["", ", _hash = 'feedfeedfeedfeedfeedfeedfeedfeed'"])
def test_a_column_that_was_changed_is_named_whether_or_not_its_hash_was_changed_too(
    company: Company, also: str
) -> None:
    (changed,) = company.ask("SELECT id FROM stripe.invoices ORDER BY created DESC LIMIT 1")[0]
    with company.tampered(
        "invoices", f"UPDATE stripe.invoices SET amount_due = amount_due + 1{also} WHERE id = '{changed}'"
    ):
        assert named(company.verify(only("invoices"))) == {("invoices", "altered"): {changed}}


def test_a_row_that_was_made_up_is_a_ghost_and_one_that_is_there_twice_is_double(company: Company) -> None:
    (twice,) = company.ask("SELECT id FROM stripe.customers WHERE _deleted_at IS NULL ORDER BY id LIMIT 1")[0]
    copied = "INSERT INTO stripe.customers SELECT * {} FROM stripe.customers WHERE id = '{}'"
    with company.tampered("customers", copied.format("REPLACE ('cus_made_up' AS id)", twice), copied.format("", twice)):
        assert named(company.verify(only("customers"))) == {
            ("customers", "ghost"): {"cus_made_up"},
            ("customers", "duplicate"): {twice},
        }


def test_rows_inside_others_are_compared_too_beyond_the_tenth(company: Company) -> None:
    parent, _ = company.ask(
        "SELECT _parent, count(*) FROM stripe.invoice_line_items GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1"
    )[0]
    lines = [row[0] for row in company.ask(f"SELECT id FROM stripe.invoice_line_items WHERE _parent = '{parent}'")]
    lost = lines[-1]
    with company.tampered(
        "invoice_line_items",
        f"DELETE FROM stripe.invoice_line_items WHERE id = '{lost}'",
        f"INSERT INTO stripe.invoice_line_items SELECT * REPLACE ('il_made_up' AS id) FROM raw.kept WHERE id = '{lost}'",
    ):
        assert named(company.verify(only("invoices"))) == {
            ("invoice_line_items", "missing"): {lost},
            ("invoice_line_items", "ghost"): {"il_made_up"},
        }


def test_an_altered_transaction_breaks_the_balance_and_a_lost_one_of_a_payout_breaks_that(company: Company) -> None:
    changed, currency = company.ask(
        "SELECT id, currency FROM stripe.balance_transactions WHERE type = 'charge' AND id NOT IN "
        "(SELECT balance_transaction FROM stripe.payout_balance_transactions) ORDER BY created DESC LIMIT 1"
    )[0]
    with company.tampered(
        "balance_transactions", f"UPDATE stripe.balance_transactions SET net = net + 7 WHERE id = '{changed}'"
    ):
        proven = company.verify(only("balance_transactions"))
        (balance,) = of(proven, "balance")
        assert (balance.subject, balance.difference) == (currency, -7)
        assert {one for finding in of(proven, "altered") for one in finding.ids} == {changed}
    payout, row = company.ask(
        "SELECT k.payout, k.id FROM stripe.payout_balance_transactions AS k JOIN stripe.payouts AS p ON p.id = k.payout "
        "WHERE k.balance_transaction <> p.balance_transaction ORDER BY k.id LIMIT 1"
    )[0]
    with company.tampered(
        "payout_balance_transactions", f"DELETE FROM stripe.payout_balance_transactions WHERE id = '{row}'"
    ):
        proven = company.verify(only("payouts"))
        (untied,) = of(proven, "payout")
        assert untied.ids == (payout,) and untied.difference
        assert named(proven)["payout_balance_transactions", "missing"] == {row}


def test_less_is_verified_where_less_is_asked_for(company: Company) -> None:
    recent = company.verify(Asked())
    assert recent.verification.state == "proven"
    refunds = company.verify(only("refunds"))
    assert {part.table for part in refunds.verification.parts if part.check == "rows"} == {"refunds"}
    assert refunds.verification.requests < recent.verification.requests


def test_it_verifies_by_itself_once_a_day_within_the_budget_and_when_asked(company: Company) -> None:
    parts = company.parts
    verifier = Verifier(parts.proof, parts.proof.book, parts.connections, parts.store, parts.settings, parts.clock)
    before = len(parts.proof.book.latest(company.id))
    parts.proof.book.want(company.id, None, only("refunds"))
    wanted = parts.proof.book.want(company.id, None)
    assert parts.proof.book.latest(company.id)[0].state == "waiting"
    verifier.look()
    done = parts.proof.book.get(company.id, wanted.id)
    assert done is not None and done.state == "proven" and not done.asked.scheduled
    verifier.look()
    assert len(parts.proof.book.latest(company.id)) == before + 1
    company.clock.advance(timedelta(hours=25))
    company.stripe.advance(timedelta(hours=25))
    verifier.look()
    scheduled, *rest = parts.proof.book.latest(company.id)
    assert len(rest) == before + 1 and scheduled.asked.scheduled and scheduled.asked.extent == "sampled"
    assert scheduled.requests < 40


def test_one_whose_process_is_gone_is_incomplete(company: Company) -> None:
    book = company.parts.proof.book
    left = book.begin(company.id, FULL)
    company.clock.advance(timedelta(minutes=6))
    assert book.forget_silent() == 1
    found = book.get(company.id, left)
    assert found is not None and (found.state, found.reason_code) == ("incomplete", "proof.interrupted")
