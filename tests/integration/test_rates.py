"""Figures of several currencies in one: by Stripe's own conversions, then the user's table, and never without saying what is left out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from takings import app, settings
from takings.cli import main
from takings.clock import to_unix
from takings.errors import Invalid, Misconfigured
from takings.metrics import Converted, Question
from takings.metrics.rates import Rolled
from takings.simulator.simclock import MovableClock
from takings.warehouse import Delivery, Item, Scope

SCOPE = Scope("acct_1", True)
NOW = datetime(2026, 4, 2, 9, tzinfo=UTC)


def put(parts: app.App, table: str, day: str, **fields: Any) -> None:
    created = to_unix(datetime.fromisoformat(day).replace(hour=12, tzinfo=UTC))
    body = {"object": table, "created": created, **fields}
    item = Item.of(body["id"], created, json.dumps(body).encode())
    parts.warehouse.writer().write(
        [Delivery(table=table, scope=SCOPE, items=(item,), as_of=NOW, known_at=NOW, source="list", api_version="0")]
    )


def paid(
    parts: app.App, name: str, day: str, amount: int, currency: str, *, given: tuple[int, str] | None = None
) -> None:
    """Let a payment reach the balance; ``given``: what was charged, where Stripe converted it."""
    more: dict[str, Any] = {}
    if given is not None:
        put(parts, "charges", day, id=f"ch_{name}", amount=given[0], amount_captured=given[0], currency=given[1])
        more = {"source": f"ch_{name}", "exchange_rate": 0.5}
    put(
        parts, "balance_transactions", day, id=f"txn_{name}", amount=amount, fee=0, net=amount, currency=currency,
        reporting_category="charge", **more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory, furnish: Callable[[Path], Path]) -> Iterator[app.App]:
    folder = furnish(tmp_path_factory.mktemp("rates"))
    with closing(app.build(settings.load({"TAKINGS_HOME": str(folder)}), MovableClock(NOW))) as made:
        paid(made, "converted", "2026-01-03", 650, "eur", given=(1_000, "jpy"))
        paid(made, "also", "2026-01-03", 70, "eur", given=(200, "jpy"))
        paid(made, "later", "2026-01-20", 500, "jpy")
        paid(made, "last", "2026-03-20", 100, "jpy")
        paid(made, "pounds", "2026-01-03", 1_001, "gbp")
        paid(made, "dinars", "2026-02-01", 1_500, "kwd")
        made.builder.build("UTC")
        yield made


def euros(parts: app.App, question: Question, currency: str = "eur") -> Converted:
    return parts.exchange.convert(parts.figures, question, currency)


@pytest.fixture
def table(parts: app.App) -> Iterator[Path]:
    file = parts.settings.home / "rates.csv"
    yield file
    file.unlink(missing_ok=True)


def test_stripes_own_conversions_come_first_and_stand_for_a_month(parts: app.App) -> None:
    found = euros(parts, Question("gross_volume"))
    by = {one.currency: one for one in found.parts}
    rate = Fraction(650 + 70, 1_000 + 200)
    assert by["eur"].converted == by["eur"].value == 720 and by["eur"].origins == frozenset()
    assert (by["jpy"].value, by["jpy"].converted, by["jpy"].lacking, by["jpy"].days) == (600, 500 * rate, 100, 1)
    assert by["jpy"].origins == {"stripe"}
    assert (by["gbp"].converted, by["gbp"].lacking) == (0, 1_001) and not found.whole
    assert found.total == 720 + 500 * rate
    back = {one.currency: one for one in euros(parts, Question("gross_volume", end=date(2026, 1, 10)), "jpy").parts}
    assert back["eur"].converted == 720 / rate


def test_the_users_table_fills_what_stripe_did_not_convert(parts: app.App, table: Path) -> None:
    table.write_text(
        "date,from,to,rate\n2026-01-03,jpy,eur,99\n2026-03-15,JPY,EUR,0.006\n2026-01-02,gbp,eur,1.25\n2026-02-01,eur,kwd,0.5\n",
        encoding="utf-8",
    )
    found = euros(parts, Question("gross_volume"))
    by = {one.currency: one for one in found.parts}
    assert by["jpy"].converted == 500 * Fraction(720, 1_200) + 100 * Fraction(
        6, 10
    )  # a yen is a minor unit, as a cent is
    assert by["jpy"].origins == {"stripe", "table"}
    assert by["gbp"].converted == 1_001 * Fraction(5, 4)
    assert by["kwd"].converted == Fraction(1_500 * 2 * 100, 1_000)  # a dinar has a thousand fils
    assert found.whole and found.total == sum(one.converted for one in found.parts)
    halves = [
        euros(parts, Question("gross_volume", start, end)).total
        for start, end in ((None, date(2026, 1, 15)), (date(2026, 1, 15), None))
    ]
    assert sum(halves) == found.total


def test_what_stands_is_converted_at_the_rate_of_its_last_day(parts: app.App, table: Path) -> None:
    table.write_text(
        "date,from,to,rate\n2026-03-31,jpy,eur,0.007\n2026-03-31,gbp,eur,1.5\n2026-03-31,kwd,eur,3\n", encoding="utf-8"
    )
    by = {one.currency: one for one in euros(parts, Question("balance", end=date(2026, 4, 1))).parts}
    assert by["jpy"].converted == 600 * Fraction(7, 10) and by["gbp"].converted == 1_001 * Fraction(3, 2)
    assert by["kwd"].converted == Fraction(1_500 * 3, 10)
    assert euros(parts, Question("balance", end=date(2026, 4, 1), currency="gbp")).total == 1_001 * Fraction(3, 2)


def test_what_cannot_be_converted_is_said(parts: app.App, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("fee_rate", "payments", "average_payment"):
        with pytest.raises(Invalid, match="cannot be converted"):
            euros(parts, Question(name))
    with pytest.raises(Invalid, match="no currency"):
        euros(parts, Question("gross_volume"), "euro")
    for text, line in (
        ("day,from,to,rate\n", 1),
        ("date,from,to,rate\n2026-01-01,gbp,eur,1.1\n2026-01-32,gbp,eur,1.1\n", 3),
        ("date,from,to,rate\n2026-01-01,gbp,eur,-1\n", 2),
        ("date,from,to,rate\n\n2026-01-01,gbp,eur\n", 3),
    ):
        table.write_text(text, encoding="utf-8")
        with pytest.raises(Misconfigured, match=f"Line {line} of rates.csv"):
            euros(parts, Question("gross_volume"))
    table.unlink()
    where = ["--home", str(parts.settings.home)]
    assert main(["explain", "gross_volume", "--in", "eur", *where]) == 1
    said = capsys.readouterr()
    assert "all, converted to eur" in said.out and "10.01 gbp of 1 day are not in it" in said.err
    table.write_text(
        "date,from,to,rate\n2026-01-03,gbp,eur,1\n2026-02-01,kwd,eur,1\n2026-03-20,jpy,eur,1\n", encoding="utf-8"
    )
    assert main(["explain", "gross_volume", "--in", "EUR", "--json", *where]) in (0, 1)
    told = json.loads(capsys.readouterr().out)["converted"]
    assert told["currency"] == "eur" and all(one["days_without_rate"] == 0 for one in told["parts"])
    assert Fraction(told["total"]) == sum(Fraction(one["converted"]) for one in told["parts"])


def test_what_other_rates_made_of_what_stood_is_fx(parts: app.App, table: Path) -> None:
    table.write_text(
        "date,from,to,rate\n2026-01-02,gbp,eur,1.2\n2026-01-31,gbp,eur,1.5\n2026-02-28,gbp,eur,1.4\n"
        "2026-01-31,kwd,eur,3\n2026-02-01,kwd,eur,4\n2026-02-28,kwd,eur,5\n",
        encoding="utf-8",
    )

    def rolled(start: date, end: date) -> Rolled:
        return parts.exchange.roll_forward(parts.figures, Question("balance", start, end), ("net_volume",), "EUR")

    january = rolled(date(2026, 1, 1), date(2026, 2, 1))
    yen = Fraction(720, 1_200)  # Stripe's own of 3 January, which stands on the 20th and on the 31st
    assert (january.currency, january.opening) == ("eur", 0)
    assert january.movements == {"net_volume": 720 + 500 * yen + 1_001 * Fraction(6, 5)}
    assert january.closing == 720 + 500 * yen + 1_001 * Fraction(3, 2)
    assert january.fx == 1_001 * Fraction(3, 10) and january.left_out == ()
    assert (january.currencies, january.origins) == (("eur", "gbp", "jpy"), {"stripe", "table"})

    february = rolled(date(2026, 2, 1), date(2026, 3, 1))
    assert february.left_out == ("jpy",), "its rate is of more than 31 days before the end: nothing of it is in it"
    assert february.currencies == ("eur", "gbp", "kwd") and february.opening == 720 + 1_001 * Fraction(3, 2)
    assert february.movements == {"net_volume": Fraction(1_500 * 4, 10)}
    assert february.fx == Fraction(1_500, 10) - 1_001 * Fraction(1, 10)
    assert february.opening + february.movements["net_volume"] + february.fx == february.closing


def test_the_command_line_rolls_recurring_revenue_forward_in_one_currency(
    load: Callable[[Path], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = load(tmp_path / "home")
    where = ["--period", "2026-09", "--home", str(home)]
    assert main(["recurring", "--json", *where]) == 0
    alone = json.loads(capsys.readouterr().out)
    native = {one["currency"]: one for one in alone["currencies"]}
    assert "converted" not in alone and len(native) > 2

    assert main(["recurring", "--in", "eur", "--json", *where]) == 1
    lacking = json.loads(capsys.readouterr().out)["converted"]
    assert main(["recurring", "--in", "xaf", *where]) == 1
    nothing = capsys.readouterr()
    assert "Converted to" not in nothing.out and all(f"{one} is not converted to xaf" in nothing.err for one in native)
    assert lacking["left_out"] and {*lacking["left_out"], *lacking["currencies"]} == set(native)

    others = sorted(set(native) - {"eur"})
    days = ("2026-08-31", "2026-09-30")
    lines = [f"{day},{one},eur,{rate}" for one in others for day, rate in zip(days, ("0.5", "2"), strict=True)]
    (home / "rates.csv").write_text("\n".join(["date,from,to,rate", *lines]), encoding="utf-8")
    assert main(["recurring", "--in", "eur", "--json", *where]) == 0
    whole = json.loads(capsys.readouterr().out)["converted"]
    moved = [name for name in whole if name.endswith("_mrr")]
    assert len(moved) == 5 and whole["left_out"] == [] and whole["fx"] > 0
    assert whole["opening"] + sum(whole[name] for name in moved) + whole["fx"] == whole["closing"]

    assert main(["recurring", "--in", "eur", *where]) == 0
    said = capsys.readouterr().out
    assert "Converted to eur: " in said and "\nfx " in said and "stripe" in said
    assert main(["recurring", "--in", "eur", "--check", *where]) == 2
    assert "leave the other views out" in capsys.readouterr().err
