"""Figures: they tie with Stripe, their contributions add up to them, and every engine makes the same lines."""

from __future__ import annotations

import json
import random
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import chdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot

from takings import app, catalog, settings
from takings.cli import main
from takings.connections import Credentials
from takings.errors import Invalid, NotFound, Unavailable
from takings.metrics import Builder, Built, Derived, Figures, Keeping, Question, Registry, aging, rolling
from takings.metrics.policies import BUILT_IN, DEFAULT
from takings.metrics.steps import fill
from takings.metrics.storing import Memory
from takings.reports import missing_of
from takings.simulator import Simulator
from takings.simulator.simclock import MovableClock
from takings.warehouse import Delivery, Item, Scope, Warehouse

LINES = [model for model in Registry.load(catalog.load()).ordered if model.kind == "lines"]
WINDOWS = [model for model in Registry.load(catalog.load()).ordered if model.kind == "windows"]
MEASURES = sorted(Registry.load(catalog.load()).measures)
DERIVED = sorted(Registry.load(catalog.load()).derived)


SCOPE = Scope("acct_1", True)


@pytest.fixture(scope="module")
def home(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory, load: Callable[[Path], Path]) -> Path:
    """A data folder with the company in it."""
    folder = load(tmp_path_factory.mktemp("metrics"))
    parts = app.build(settings.load({**simulator.environ(), "TAKINGS_HOME": str(folder)}))
    try:
        write_usage(parts.warehouse)
    finally:
        parts.close()
    return folder


@pytest.fixture(scope="module")
def parts(home: Path, simulator: Simulator) -> Iterator[app.App]:
    built = app.build(settings.load({**simulator.environ(), "TAKINGS_HOME": str(home)}))
    built.builder.build("Europe/Paris")
    yield built
    built.close()


def write(warehouse: Warehouse, table: str, scope: Scope, at: datetime, **fields: Any) -> None:
    """Write one object as if Stripe had just listed it."""
    body = {"object": table, "created": 1_767_400_000, **fields}
    item = Item.of(body["id"], body["created"], json.dumps(body).encode())
    delivery = Delivery(table=table, scope=scope, items=(item,), as_of=at, known_at=at, source="list", api_version="0")
    warehouse.writer().write([delivery])


def write_usage(warehouse: Warehouse) -> None:
    """Add what the company has none of: a metered price and what was invoiced of it, among the rows of its sandbox."""
    scope, at, start, end = (
        Scope("acct_1", False),
        datetime(2026, 6, 1, tzinfo=UTC),
        1_772_323_200,
        1_775_001_600,
    )  # March 2026
    recurring = {"interval": "month", "interval_count": 1, "usage_type": "metered"}
    price = {"id": "price_used", "product": "prod_used", "currency": "eur", "recurring": recurring, "unit_amount": 4}
    item = {
        "id": "si_used",
        "created": start,
        "quantity": None,
        "price": price,
        "discounts": [],
        "tax_rates": [],
        "subscription": "sub_used",
    }
    write(warehouse, "prices", scope, at, created=start, **price)
    write(
        warehouse, "subscriptions", scope, at, id="sub_used", created=start, start_date=start, status="active", customer="cus_used", currency="eur",
        discounts=[], default_tax_rates=[], items={"data": [item], "has_more": False},
    )  # fmt: skip
    write(
        warehouse,
        "invoices",
        scope,
        at,
        id="in_used",
        created=end,
        status="open",
        currency="eur",
        status_transitions={"finalized_at": end},
        total=900,
    )
    write(
        warehouse, "invoice_line_items", scope, at, id="il_used", created=end, invoice="in_used", currency="eur", amount=900, quantity=225,
        period={"start": start, "end": end}, pricing={"price_details": {"price": "price_used"}},
        parent={"subscription_item_details": {"subscription": "sub_used", "subscription_item": "si_used", "proration": False}},
    )  # fmt: skip


def write_charge(warehouse: Warehouse, name: str, net: int, at: datetime, *, fee: int = 0) -> None:
    """Write the balance transaction of a charge in euros."""
    money = {"amount": net + fee, "fee": fee, "net": net, "currency": "eur", "reporting_category": "charge"}
    write(warehouse, "balance_transactions", SCOPE, at, id=name, **money)


def by_currency(figures: Figures, question: Question) -> dict[str, int]:
    return {one.currency: one.amount for one in figures.answer(question)}


def test_the_balance_is_stripes_to_the_minor_unit(parts: app.App) -> None:
    available, pending = parts.warehouse.query("SELECT b.available, b.pending FROM stripe.balance AS b").rows[0]
    theirs: dict[str, int] = defaultdict(int)
    for entry in json.loads(available) + json.loads(pending):
        theirs[entry["currency"]] += entry["amount"]
    assert len(theirs) > 1
    assert by_currency(parts.figures, Question("balance")) == dict(theirs)


def test_opening_and_activity_and_payouts_make_the_closing_of_every_day(parts: app.App) -> None:
    opening: dict[str, int] = {}
    day, end = parts.warehouse.query(
        "SELECT min(l.day_utc), max(l.day_utc) FROM metrics.money_lines AS l WHERE l.livemode"
    ).rows[0]
    everything = {one.group for one in parts.figures.answer(Question("balance"), by="part")}
    assert {"payout", "transaction_fee", "charge"} <= everything
    first = day
    while day <= end:
        if day - first < timedelta(days=8) or end - day < timedelta(days=8):  # each day asks the engine three times
            opening = by_currency(parts.figures, Question("balance", end=day))
            closing = by_currency(parts.figures, Question("balance", end=day + timedelta(days=1)))
            paid = by_currency(parts.figures, Question("payouts", day, day + timedelta(days=1)))
            rows = parts.warehouse.query(
                "SELECT t.currency, CAST(SUM(t.net) AS BIGINT) FROM stripe.balance_transactions AS t WHERE t._livemode "
                "AND t.reporting_category NOT IN ('payout', 'payout_reversal') AND t.created >= $start "
                "AND t.created < $end GROUP BY 1",
                {
                    "start": datetime(day.year, day.month, day.day, tzinfo=UTC),
                    "end": datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1),
                },
            ).rows
            activity = dict(rows)
            for currency in {*opening, *closing, *paid, *activity}:
                moved = activity.get(currency, 0) + paid.get(currency, 0)
                assert opening.get(currency, 0) + moved == closing.get(currency, 0), (day, currency)
        day += timedelta(days=1)


def test_what_became_of_a_period_is_booked_to_no_month(parts: app.App) -> None:
    with pytest.raises(Invalid, match="for each period anew"):
        parts.books.restatements(Question("retained_mrr"), "UTC")


def next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


@pytest.mark.parametrize("name", MEASURES)
def test_contributions_add_up_to_the_figure_and_groups_to_the_total(parts: app.App, name: str) -> None:
    measure = parts.registry.measure(name)
    ask = parts.figures.still()
    spans = [(None, None), (None if measure.sum == "stock" else date(2026, 3, 1), date(2026, 5, 1))]
    somebody = ask.contributions(Question(name))[:1]  # none where the company's life has no such thing
    for start, end in spans:
        for only in ({}, *({"part": one.part} for one in somebody if end is None)):
            question = Question(name, start, end, only=only)
            figures = ask.answer(question)
            summed: dict[str, int] = defaultdict(int)
            counted: dict[str, int] = defaultdict(int)
            for line in ask.contributions(question):
                summed[line.currency] += line.amount
                counted[line.currency] += 1
            assert {one.currency: one.amount for one in figures} == dict(summed)
            assert {one.currency: one.lines for one in figures} == dict(counted)
            cuts = (*ask.cuts(name), *(("day", "month") if measure.sum == "flow" else ()))
            for cut in cuts if (start, end) == spans[-1] else ():
                grouped: dict[str, int] = defaultdict(int)
                for one in ask.answer(question, cut):
                    grouped[one.currency] += one.amount
                assert dict(grouped) == dict(summed), cut


def test_days_are_those_of_the_zone_and_nothing_is_lost_by_another(parts: app.App) -> None:
    zones = {}
    for zone in ("Pacific/Auckland", "America/Los_Angeles", "Europe/Paris"):
        parts.builder.build(zone, figures=("gross_volume",))
        by_day = parts.figures.answer(Question("gross_volume", currency="eur"), by="day")
        zones[zone] = {one.group: one.amount for one in by_day}
    assert zones["Pacific/Auckland"] != zones["America/Los_Angeles"]
    assert len({sum(days.values()) for days in zones.values()}) == 1


def test_only_what_changed_is_built_again(parts: app.App) -> None:
    parts.builder.build("Europe/Paris")
    again = parts.builder.build("Europe/Paris")
    assert again and not any(one.fresh for one in again)
    scope = Scope("acct_other", False)
    now = datetime(2026, 11, 1, tzinfo=UTC)
    read = {model.name: parts.registry.sources(model.name) for model in LINES}
    unread = next(
        name for name in sorted(catalog.load().resources) if not any(name in tables for tables in read.values())
    )
    write(parts.warehouse, unread, scope, now, id="x_1")
    assert not any(one.fresh for one in parts.builder.build("Europe/Paris"))
    money = {"amount": 500, "fee": 20, "net": 480, "currency": "jpy", "reporting_category": "charge"}
    write(parts.warehouse, "balance_transactions", scope, now, id="txn_1", **money)
    few = {one.model for one in parts.builder.build("Europe/Paris", figures=("fee_rate",)) if one.fresh}
    assert few == {"money_lines"}  # what both come from, and nothing else that has changed
    assert not any(one.fresh for one in parts.builder.build("Europe/Paris", figures=("fee_rate", "refunds")))
    fresh = {one.model for one in parts.builder.build("Europe/Paris") if one.fresh} | few
    assert fresh == {name for name, tables in read.items() if "balance_transactions" in tables}
    question = Question("balance", account="acct_other", livemode=False)
    assert [(one.currency, one.amount, one.lines) for one in parts.figures.answer(question)] == [("jpy", 480, 2)]
    assert parts.figures.answer(Question("gross_volume", livemode=False, account="acct_other"))[0].amount == 500
    assert "jpy" not in by_currency(parts.figures, Question("balance"))
    assert list((parts.settings.home / "warehouse" / "data" / "metrics").rglob("*.parquet"))
    parts.warehouse.purge(scope)
    assert list((parts.settings.home / "warehouse" / "data" / "metrics").rglob("*.parquet")) == []
    parts.builder.build("Europe/Paris")
    assert parts.figures.answer(question) == []


def test_a_warehouse_of_one_file_holds_them_too(tmp_path: Path) -> None:
    with closing(app.build(settings.load({"TAKINGS_HOME": str(tmp_path), "TAKINGS_WAREHOUSE": "duckdb"}))) as single:
        now = datetime(2026, 11, 1, tzinfo=UTC)
        write_charge(single.warehouse, "txn_1", 100, now, fee=7)
        assert all(one.fresh for one in single.builder.build("UTC"))
        assert not any(one.fresh for one in single.builder.build("UTC"))
        write_charge(single.warehouse, "txn_2", 50, now, fee=7)
        assert all(one.fresh for one in single.builder.build("UTC"))
        assert by_currency(single.figures, Question("balance")) == {"eur": 150}
        assert [one.amount for one in single.figures.contributions(Question("fees"))] == [-7, -7]
        single.warehouse.purge(SCOPE)
        with pytest.raises(Unavailable, match="--build"):
            single.figures.answer(Question("balance"))


def test_what_cannot_be_asked_is_said(parts: app.App, furnished: Path) -> None:
    with pytest.raises(NotFound, match=r"There are: .*balance"):
        parts.figures.answer(Question("nothing"))
    for question, by in (
        (Question("balance", start=date(2026, 1, 1)), None),
        (Question("balance"), "day"),
        (Question("fees"), "no_such"),
        (Question("fees", only={"amount; DROP": "1"}), None),
    ):
        with pytest.raises(Invalid):
            parts.figures.answer(question, by)
    with closing(app.build(settings.load({"TAKINGS_HOME": str(furnished)}))) as fresh:
        with pytest.raises(Unavailable, match="--build"):
            fresh.figures.answer(Question("fees"))
        assert [one.rows for one in fresh.builder.build("UTC")] == [0] * len(LINES)
        assert fresh.figures.answer(Question("fees")) == []


def plain(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    def one(value: Any) -> Any:
        if isinstance(value, datetime):
            return int(value.replace(tzinfo=value.tzinfo or UTC).timestamp())
        return value

    return sorted((tuple(one(value) for value in row) for row in rows), key=repr)


@pytest.mark.parametrize("model", LINES, ids=lambda model: model.name)
def test_other_engines_make_the_same_lines(parts: app.App, postgres_database: str, tmp_path: Path, model: Any) -> None:
    """Models of lines are written in SQL that sqlglot turns into any engine's, with the same rows as the outcome."""
    parts.builder.build("Europe/Paris")
    ours = parts.warehouse.query(f"SELECT l.* EXCLUDE (l.known_at) FROM {model.table} AS l")
    assert ours.rows and set(model.grain) <= {column.name for column in ours.columns}
    needs = [need.name for need in parts.registry.needed(model)]
    with parts.builder.staged("Europe/Paris", *needs) as ask:
        sources = {f"metrics.{name}": ask(f"SELECT * FROM metrics.{name}") for name in needs}
    assert_the_same_elsewhere(model.sql, sources, ours, postgres_database, tmp_path)


@pytest.mark.parametrize("model", WINDOWS, ids=lambda model: model.name)
def test_other_engines_make_the_same_of_periods(
    parts: app.App, postgres_database: str, tmp_path: Path, model: Any
) -> None:
    parts.builder.build("Europe/Paris")
    sql, _ = parts.figures.source(Question(model.measures[0].name, date(2026, 1, 1), date(2026, 7, 1)))
    sources = {
        need.table: pa.Table.from_pylist(parts.warehouse.query(f"SELECT * FROM {need.table}").dicts())
        for need in parts.registry.needed(model)
    }
    ours = parts.warehouse.query(sql[1:-1])
    assert ours.rows and {measure.parts[0] for measure in model.measures} & {row[7] for row in ours.rows}
    assert_the_same_elsewhere(sql[1:-1], sources, ours, postgres_database, tmp_path)


def assert_the_same_elsewhere(
    sql: str, sources: dict[str, pa.Table], ours: Any, postgres_database: str, tmp_path: Path
) -> None:
    """Run a statement on PostgreSQL and ClickHouse over the same tables."""
    names = [column.name for column in ours.columns]
    with psycopg.connect(postgres_database, autocommit=True) as db, db.cursor() as cursor:
        kinds = {"string": "text", "bool": "boolean", "int64": "bigint", "date32[day]": "date"}
        cursor.execute("SET TimeZone = 'UTC'")
        cursor.execute("CREATE SCHEMA metrics")
        for need, table in sources.items():
            columns = ", ".join(f'"{field.name}" {kinds.get(str(field.type), "timestamptz")}' for field in table.schema)
            cursor.execute(f"CREATE TABLE {need} ({columns})".encode())
            with cursor.copy(f"COPY {need} FROM STDIN".encode()) as copy:
                for row in table.to_pylist():
                    copy.write_row(list(row.values()))
        cursor.execute(sqlglot.transpile(sql, read="duckdb", write="postgres")[0].encode())
        assert [column.name for column in cursor.description or ()] == names
        assert plain(cursor.fetchall()) == plain(ours.rows)

    statement = sqlglot.transpile(sql, read="duckdb", write="clickhouse")[0]
    for need, table in sources.items():
        file = tmp_path / f"{need}.parquet"
        pq.write_table(table, file)
        statement = statement.replace(need, f"file('{file}', Parquet)")
    answer = json.loads(chdb.query(statement, "JSONCompact").data())
    assert [column["name"] for column in answer["meta"]] == names
    theirs = [dict(zip(names, row, strict=True)) for row in answer["data"]]
    reads: dict[str, Callable[[Any], Any]] = {
        "TIMESTAMP WITH TIME ZONE": lambda value: datetime.fromisoformat(value).replace(tzinfo=UTC),
        "DATE": date.fromisoformat,
        "BIGINT": int,
    }
    kinds_of = {column.name: column.type for column in ours.columns}
    for row in theirs:
        for name, value in row.items():
            if value is not None and kinds_of[name] in reads:
                row[name] = reads[kinds_of[name]](value)
    assert plain([tuple(row.values()) for row in theirs]) == plain(ours.rows)


def test_no_model_holds_every_row_against_every_other(parts: app.App) -> None:
    """A join that no equality leads is a join of all with all: it takes hours where there are millions of rows."""
    # These take each line apart, by a handful of constants.
    constants = {"money_lines", "recovery_lines", "tax_lines"}
    registry, values = parts.registry, {"zone": "UTC", "today": date(2026, 11, 1), **DEFAULT.parameters()}
    staging = [model.name for model in registry.ordered if model.kind == "staging"]
    found = set()
    with parts.warehouse.deriving() as session:
        for model in registry.ordered:
            if model.kind == "windows":
                continue
            sql = model.sql
            for need in registry.needed(model):
                sql = need.renamed(sql, f"temp.main.{need.name}")
            used = {name: values[name] for name in sorted(model.parameters)}
            fill(session, Memory(session), model, model.name, sql, used)
            ((_, plan),) = session.execute(f"EXPLAIN {sql}", used).fetchall()
            if any(
                join in plan for join in ("BLOCKWISE_NL_JOIN", "NESTED_LOOP_JOIN", "IE_JOIN", "PIECEWISE_MERGE_JOIN")
            ):
                found.add(model.name)
        for model in reversed(registry.ordered):
            session.execute(f"DROP TABLE IF EXISTS temp.main.{model.name}")
    assert staging and found == constants


@pytest.mark.parametrize("model", LINES, ids=lambda model: model.name)
def test_lines_have_what_lines_must_and_their_grain_is_true(parts: app.App, model: Any) -> None:
    found = parts.warehouse.query(f"SELECT * FROM {model.table}", limit=1)
    assert {column.name for column in found.columns} >= {"id", "at", "amount", "source", *model.dimensions}
    grain = ", ".join(model.grain)
    double = f"SELECT {grain} FROM {model.table} GROUP BY {grain} HAVING COUNT(*) > 1"
    assert parts.warehouse.query(double).rows == []
    parts_of_measures = {part for measure in model.measures for part in measure.parts}
    assert any(not measure.parts for measure in model.measures) or parts_of_measures & {
        row[0] for row in parts.warehouse.query(f"SELECT DISTINCT part FROM {model.table}").rows
    }


def test_the_command_line_explains_and_lists(
    home: Path, parts: app.App, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAKINGS_HOME", str(home))

    def run(*arguments: str) -> Any:
        capfd.readouterr()
        code = main(list(arguments))
        said = capfd.readouterr()
        return code, said.out, said.err

    code, out, _ = run("metrics")
    assert code == 0 and all(name in out for name in MEASURES)
    assert {one["metric"] for one in json.loads(run("metrics", "--json")[1])} == {*MEASURES, *DERIVED}
    assert [one["model"] for one in json.loads(run("metrics", "--build", "--anew", "--json")[1])] == [
        model.name for model in LINES
    ]
    assert run("metrics", "--anew")[0] == 2
    code, out, _ = run("explain", "fees", "--period", "2026-09", "--currency", "EUR", "--all", "--by", "part", "--json")
    said = json.loads(out)
    assert code == 0 and said["start"] == "2026-09-01" and said["end"] == "2026-10-01"
    (made,) = said["sums"]
    assert [one["amount"] for one in made["figures"]] == [sum(one["amount"] for one in made["contributions"])]
    assert sum(int(one["value"]) for one in said["groups"]) == made["figures"][0]["amount"]
    assert said["values"] == [{"currency": "eur", "exponent": 2, "value": str(made["figures"][0]["amount"])}]
    assert [int(row[1]) for row in parts.warehouse.query(made["sql"]).rows] == [made["figures"][0]["amount"]]
    rate = json.loads(run("explain", "fee_rate", "--period", "2026-09", "--currency", "eur", "--json")[1])
    fees, volume = (one["figures"][0]["amount"] for one in rate["sums"])
    assert fees < 0 < volume and Fraction(rate["values"][0]["value"]) == Fraction(-fees, volume)
    code, out, _ = run("explain", "fee_rate", "--period", "2026", "--by", "month")
    assert code == 0 and "2026-01-01" in out and " %" in out and "Gross volume" in out
    assert said["missing"] == []
    code, out, _ = run("explain", "balance", "--at", "2026-10-31")
    assert code == 0 and "up to the end of 2026-10-31" in out.lower() and "smaller contributions" in out
    shown = json.loads(run("explain", "balance", "--json")[1])["sums"][0]["contributions"]
    counts = {one["currency"]: 0 for one in shown}
    for one in shown:
        counts[one["currency"]] += 1
    assert len(counts) > 1 and set(counts.values()) == {20}  # the largest of each currency
    for wrong in (("--period", "2026-13"), ("--period", "2026-02-01..2026-01-01"), ("--at", "x"), ("--only", "x")):
        code, _, err = run("explain", "fees", *wrong)
        assert code == 2 and wrong[1] in err
    assert run("explain", "fees", "--at", "2026-01-01", "--period", "2026")[0] == 2
    assert run("explain", "no_such")[0] == 3


def test_a_figure_from_tables_that_are_short_says_so(
    simulator: Simulator, furnished: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**simulator.environ(), "TAKINGS_HOME": str(furnished)}.items():
        monkeypatch.setenv(name, value)
    with closing(app.build(settings.load())) as fresh:
        credentials = Credentials(way="key", secret=simulator.live_key)
        pending = fresh.connections.pend(None, credentials, fresh.connections.probe(credentials))
        made = fresh.connections.confirm(None, pending, "Shop", datetime(2026, 9, 1, tzinfo=UTC))
    capfd.readouterr()
    assert main(["explain", "fees"]) == 1
    assert "Shop: balance_transactions is here: it has not been loaded yet." in capfd.readouterr().err
    simulator.fault("status", path="/v1/balance_transactions", status=503, times=None, should_retry=False)
    with closing(app.build(settings.load())) as fresh:
        assert fresh.sync.run_once(made.id).state == "partial"
    simulator.clear_faults()
    capfd.readouterr()
    assert main(["explain", "fees", "--json"]) == 1
    missing = {one["table"]: one["reason"] for one in json.loads(capfd.readouterr().out)["missing"]}
    assert set(missing) == {"Shop: balance_transactions", "Shop"}
    assert missing["Shop"] == "only what was made since 2026-09-01 was loaded."
    # Another account, and the sandboxes, lack nothing.
    assert main(["explain", "fees", "--account", "acct_other"]) == 0
    assert main(["explain", "fees", "--test"]) == 0


def test_a_series_leaves_nothing_out_and_ends_where_the_single_answer_stands(parts: app.App) -> None:
    start, end = date(2025, 1, 1), date(2026, 7, 1)
    shown = 0
    for name in (*MEASURES, *DERIVED):
        figure = parts.registry.figure(name)
        question = Question(name, start, end, currency="eur")
        by_month = parts.figures.series(question, "month")
        if not by_month:  # the company has nothing of the kind in this currency
            assert parts.figures.values(question) == []
            continue
        shown += 1
        assert [one.period for one in by_month] == [date(2025 + n // 12, n % 12 + 1, 1) for n in range(18)]
        single = {one.currency: one.value for one in parts.figures.values(question)}
        if isinstance(figure, Derived) or "eur" not in single:
            continue
        if figure.sum == "flow":
            assert sum(one.value or 0 for one in by_month) == single["eur"]
        elif figure.sum == "window":
            for one in by_month:
                assert one.period is not None
                alone = replace(question, start=one.period, end=next_month(one.period))
                assert one.value == sum(each.amount for each in parts.figures.answer(alone))
        else:
            assert by_month[-1].value == single["eur"]
            opening = parts.figures.answer(Question(name, end=date(2025, 2, 1), currency="eur"))
            assert by_month[0].value == sum(one.amount for one in opening)
        grouped = parts.figures.series(question, "month", "part")
        for one in by_month:
            assert sum(each.value or 0 for each in grouped if each.period == one.period) == one.value
    assert shown > len(MEASURES) / 2
    whole = parts.figures.series(Question("fee_rate"), "quarter")
    assert {one.currency for one in whole} >= {"eur"} and all(one.period and one.period.day == 1 for one in whole)


def test_what_was_known_before_is_known_still(furnished: Path) -> None:
    """A line that changes or goes stays in the past, and any figure can be asked as it was known."""
    clock = MovableClock(datetime(2026, 3, 10, 12, tzinfo=UTC))
    with closing(app.build(settings.load({"TAKINGS_HOME": str(furnished)}), clock)) as made:

        def put(name: str, amount: int) -> None:
            write_charge(made.warehouse, name, amount, clock.now())

        def volume(known: datetime | None = None) -> list[int]:
            return [one.amount for one in made.figures.answer(Question("gross_volume", known=known))]

        def build(zone: str = "UTC") -> Built:
            return next(one for one in builder.build(zone) if one.model == "money_lines")

        builder = Builder(made.warehouse, made.registry.only("money_lines"), clock)
        assert build().cause == "first"
        put("txn_1", 100)
        put("txn_2", 50)
        built = build()
        assert (built.came, built.gone, built.cause) == (2, 0, "data")
        first = clock.now()
        clock.advance(timedelta(days=1))
        put("txn_1", 70)
        built = build()
        assert (built.rows, built.came, built.gone) == (2, 1, 1)
        second = clock.now()
        clock.advance(timedelta(days=1))
        put("txn_3", 5)
        put("txn_1", 100)
        build()
        assert volume() == [155] == volume(clock.now())
        assert volume(second) == [120]
        assert volume(first) == [150]
        assert volume(first - timedelta(hours=1)) == []
        lines = made.figures.contributions(Question("gross_volume", known=second))
        assert [(one.source, one.amount) for one in lines] == [("txn_1", 70), ("txn_2", 50)]
        assert lines[1].known_at < first < lines[0].known_at < second
        assert build("Asia/Tokyo").cause == "definition"
        assert volume() == [155] and volume(first) == [150]
        for moment, expected in ((None, 155), (second, 120)):
            rows = made.warehouse.query(made.figures.statement(Question("gross_volume", known=moment))).rows
            assert [int(row[1]) for row in rows] == [expected]


def test_sums_by_day_say_what_the_lines_say_whatever_comes_and_goes(
    furnished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are added to with each build, written anew once a day, and most questions are answered from them alone."""
    monkeypatch.setattr(rolling, "FROM_LINES", 3)
    monkeypatch.setattr(rolling, "FEWER", 0)
    clock = MovableClock(datetime(2026, 3, 10, 12, tzinfo=UTC))
    dice = random.Random(3)
    with closing(app.build(settings.load({"TAKINGS_HOME": str(furnished)}), clock)) as made:
        model = made.registry.model("money_lines")
        builder = Builder(made.warehouse, made.registry.only("money_lines"), clock)
        sums = f"SELECT {', '.join(rolling.KEYS)}, SUM(amount), SUM(lines) FROM {rolling.SUMS} WHERE model = 'money_lines' GROUP BY ALL HAVING SUM(lines) <> 0"
        arms = " UNION ALL ".join(
            f"SELECT 'money_lines', account, livemode, currency, '{cut}', {f'CAST({cut} AS VARCHAR)' if cut else 'NULL'}, day, day_utc, part, "
            f"SUM(amount), COUNT(*) FROM {model.table} GROUP BY ALL"
            for cut in ("", *model.rolled)
        )
        assert {"payment_method", "country"} <= set(model.rolled) and "customer" not in model.rolled
        rows = []
        for step in range(12):
            for _ in range(dice.randrange(4)):
                write_charge(
                    made.warehouse, f"txn_{dice.randrange(6)}", dice.randrange(900), clock.now(), fee=dice.randrange(9)
                )
            builder.build("Asia/Tokyo" if step > 8 else "UTC")
            kept = sorted(made.warehouse.query(sums).rows, key=repr)
            assert kept == sorted(made.warehouse.query(arms).rows, key=repr) or (step < 8 and not kept)
            rows.append(made.warehouse.query(f"SELECT COUNT(*) FROM {rolling.SUMS}").rows[0][0])
            clock.advance(timedelta(hours=7))
        assert rows != sorted(rows)  # they do not only grow
        with made.warehouse._engine.session(write=True) as session:
            session.execute(f"DELETE FROM {model.table}")
        asked = [
            Question("gross_volume"),
            Question("gross_volume", only={"country": None}),
            Question("fees", date(2026, 1, 1)),
        ]
        assert all(made.figures.answer(one) for one in asked)
        assert made.figures.answer(asked[0], "payment_method") and made.figures.series(asked[0], "week", "country")
        assert made.figures.answer(Question("gross_volume", known=clock.now())) == []
        assert made.figures.answer(asked[0], "customer") == []


def test_sums_by_day_answer_every_question_as_the_lines_do(
    home: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every measure and cut of the company, as a whole, over a time that begins and ends within months, and by time."""
    monkeypatch.setattr(rolling, "FROM_LINES", 0)
    monkeypatch.setattr(rolling, "FEWER", 0)
    with closing(app.build(settings.load({**simulator.environ(), "TAKINGS_HOME": str(home)}))) as made:
        made.builder.build(made.zone())
        with made.warehouse.deriving() as session, made.warehouse.publishing(session):
            for model in LINES:
                rolling.put(session, model, rolling.summed(session, model, model.table, 1))
        try:
            sums, lines = made.figures.still(), made.figures.still()
            lines._bare = frozenset(model.name for model in LINES)
            assert sums._summed() == lines._bare and lines._summed() == frozenset()
            lines._kept = OrderedDict()
            asked = answered = 0
            for name in MEASURES:
                measure = made.registry.measure(name)
                start = None if measure.sum == "stock" else date(2026, 3, 4)
                for question in (Question(name), Question(name, start, date(2026, 5, 6))):
                    for by in (None, *made.registry.cuts(name)):
                        assert sums.answer(question, by) == lines.answer(question, by), (name, by)
                        asked += 1
                        answered += sums._rolled(measure, question, None, by) is not None
                for grain, by in (("month", None), ("week", "part")):
                    span = replace(question, start=date(2026, 3, 4))
                    assert sums.series(span, grain, by) == lines.series(span, grain, by), (name, grain)
            assert answered > asked / 2
            assert_put_together(made, sums)
        finally:
            with made.warehouse.deriving() as session, made.warehouse.publishing(session):
                session.execute(f"DELETE FROM {rolling.SUMS}")


def questions_of(made: app.App) -> Iterator[tuple[Question, str | None]]:
    """Give every figure over a time that begins and ends within months, as a whole and by some of its dimensions."""
    accounts = tuple(account for account, _ in made.reports.accounts())
    for name in (*MEASURES, *DERIVED):
        for by in (None, *made.registry.cuts(name)[:2]):
            yield Question(name, date(2026, 3, 4), date(2026, 5, 6), currency="eur", accounts=accounts), by


def assert_put_together(made: app.App, singly: Figures) -> None:
    """Hold answers that were asked for all at once to those asked one by one, and that nothing is asked again for them."""
    figures = made.figures.still()
    figures._kept = OrderedDict()
    with figures.foreseeing():
        for question, by in questions_of(made):
            figures.values(question, by)
            figures.series(question, "month", by)
    windows = {model.name for model in WINDOWS}
    figures._kept = OrderedDict((key, sums) for key, sums in figures._kept.items() if key not in figures._foreseen)
    told = list[str]()
    ask = figures.ask
    figures.ask = lambda sql, values: told.append(sql) or ask(sql, values)  # type: ignore[method-assign, func-returns-value]
    seen = 0
    for question, by in questions_of(made):
        if any(one.model in windows for one in made.registry.behind(question.measure)):
            continue
        found = figures.values(question, by)
        assert found == singly.values(question, by), (question.measure, by)
        assert figures.series(question, "month", by) == singly.series(question, "month", by), (question.measure, by)
        seen += len(found)
    assert seen > 200
    spread = {model.name for model in LINES if model.spread}  # whose lines are cut where the time is
    assert all(any(f"metrics.{name}" in sql for name in spread) for sql in told), told


def test_questions_put_together_are_answered_as_each_by_itself(parts: app.App) -> None:
    assert_put_together(parts, parts.figures.still())


def test_a_value_that_looks_like_a_name_stays_a_value(parts: app.App) -> None:
    figures = parts.figures.still()
    nasty = Question("gross_volume", only={"payment_method": "$only_country", "country": "' OR true --"})
    with figures.foreseeing():
        assert figures.answer(nasty) == []
    assert figures.answer(nasty) == []
    assert parts.warehouse.query(figures.statement(nasty)).rows == []


@pytest.mark.parametrize("by", ["customer", "country"])
def test_the_largest_groups_of_several_measures_are_those_of_each(parts: app.App, by: str) -> None:
    asked = [Question(name, currency="eur") for name in ("gross_volume", "refunds", "net_volume", "balance", "mrr")]
    rankings = parts.figures.rankings(asked, by, 5)
    assert [ranking.measures for ranking in rankings] == [
        ("gross_volume", "refunds", "net_volume", "balance"),
        ("mrr",),
    ]
    for ranking in rankings:
        for at, name in enumerate(ranking.measures):
            every = parts.figures.answer(Question(name, currency="eur"), by)
            every.sort(key=lambda one: (-abs(one.amount), one.group is None, one.group or ""))
            assert ranking.largest(at, 5) == every[:5] and ranking.counts[at] == len(every), name
            assert parts.figures.largest(Question(name, currency="eur"), by, 5) == (every[:5], len(every))


def test_the_worker_keeps_figures_in_step_but_not_all_of_the_time(furnished: Path) -> None:
    clock = MovableClock()
    with closing(app.build(settings.load({"TAKINGS_HOME": str(furnished)}), clock)) as made:
        chosen, zone = [DEFAULT], ["UTC"]
        registry = made.registry.only("money_lines", "mrr_lines")
        builder = Builder(made.warehouse, registry, clock, policy=lambda: chosen[0])
        keeping = Keeping(builder, lambda: zone[0], clock)
        assert keeping.tick() == ()  # nothing to make anything of
        write_charge(made.warehouse, "txn_1", 9, clock.now())
        assert {one.model for one in keeping.tick()} == {"money_lines", "mrr_lines"}
        assert [one.amount for one in made.figures.answer(Question("gross_volume"))] == [9]
        write_charge(made.warehouse, "txn_2", 9, clock.now())
        assert keeping.tick() == ()  # not yet
        zone[0] = "Pacific/Auckland"  # people wait for what they have chosen
        assert {one.model for one in keeping.tick()} == {"money_lines", "mrr_lines"}
        assert [one.amount for one in made.figures.answer(Question("gross_volume"))] == [18]
        write_charge(made.warehouse, "txn_3", 9, clock.now())
        assert keeping.tick() == ()
        later = Keeping(builder, lambda: zone[0], clock)
        assert {one.model for one in later.tick()} == {"money_lines"}
        assert later.tick() == ()
        chosen[0] = BUILT_IN["conservative"]
        assert {one.model for one in later.tick()} == {"mrr_lines"}


def test_receivables_today_are_what_open_invoices_have_remaining(parts: app.App) -> None:
    parts.builder.build("Europe/Paris")
    remaining = dict(
        parts.warehouse.query(
            "SELECT i.currency, CAST(SUM(i.amount_remaining) AS BIGINT) FROM stripe.invoices AS i "
            "WHERE i._livemode AND i.status = 'open' GROUP BY 1"
        ).rows
    )
    assert len(remaining) > 1
    owed = by_currency(parts.figures, Question("receivables"))
    assert {currency: amount for currency, amount in owed.items() if amount} == remaining
    assert parts.figures.answer(Question("receivables_unexplained")) == []
    (first, last), zone = (
        parts.warehouse.query("SELECT min(l.day), max(l.day) FROM metrics.receivable_lines AS l").rows[0],
        ZoneInfo("Europe/Paris"),
    )
    for part in range(1, 9):
        day = first + (last - first) * part // 8 + timedelta(days=1)
        found = aging(parts.warehouse, datetime(day.year, day.month, day.day, tzinfo=zone))
        owed = by_currency(parts.figures, Question("receivables", end=day))
        assert {one.currency: one.total for one in found} == {code: amount for code, amount in owed.items() if amount}
        assert all(sum(each.amount for each in one.invoices) == one.total for one in found)


def test_fees_by_type_are_the_fees_and_tax_is_that_of_the_invoices(parts: app.App) -> None:
    parts.builder.build("Europe/Paris")
    for span in ((), (date(2026, 5, 1), date(2026, 6, 1))):
        assert by_currency(parts.figures, Question("fees_by_type", *span)) == by_currency(
            parts.figures, Question("fees", *span)
        )
    whole = parts.warehouse.query(
        "SELECT i.currency, CAST(SUM(CAST(json_extract_string(t.tax, '$.amount') AS BIGINT)) AS BIGINT) "
        "FROM stripe.invoices AS i CROSS JOIN UNNEST(CAST(i.total_taxes AS JSON[])) AS t(tax) "
        "WHERE i._livemode AND i.status <> 'draft' GROUP BY 1"
    ).rows
    by_part = parts.figures.answer(Question("tax"), "part")
    assert {one.currency: one.amount for one in by_part if one.group == "invoice_tax"} == dict(whole)
    billed, net = (by_currency(parts.figures, Question(name)) for name in ("billed", "billed_excluding_tax"))
    kept = {"invoice_tax", "invoice_void_tax"}
    for currency, amount in billed.items():
        taxed = sum(one.amount for one in by_part if one.currency == currency and one.group in kept)
        inclusive_or_not = amount - net[currency]
        assert inclusive_or_not == taxed, currency


def test_what_renewals_came_to_adds_up_and_attempts_are_of_payments(parts: app.App) -> None:
    def ask(name: str) -> dict[str, int]:
        return by_currency(parts.figures, Question(name))

    for suffix in ("", "_count"):
        failed = ask(f"renewals_failed{suffix}")
        assert failed
        for currency, amount in failed.items():
            split = (ask(f"{name}{suffix}").get(currency, 0) for name in ("recovered", "lost", "in_dunning"))
            assert sum(split) == amount
    charges, captured = parts.warehouse.query(
        "SELECT count(*) FILTER (c.status <> 'pending'), CAST(SUM(c.amount_captured) FILTER (c.currency = 'eur') AS BIGINT) "
        "FROM stripe.charges AS c WHERE c._livemode"
    ).rows[0]
    assert sum(ask("attempts").values()) == charges
    assert ask("payment_volume")["eur"] == captured


@pytest.mark.parametrize("sizes", [{}, {"filed_from": 0, "share_rows": 1}], ids=["at once", "in shares"])
def test_a_model_that_cannot_be_worked_out_stops_no_other_and_is_said(furnished: Path, sizes: dict[str, int]) -> None:
    """Its lines stay those of before; the engine's words, which may hold a customer's data, go nowhere."""
    with closing(app.build(settings.load({"TAKINGS_HOME": str(furnished)}))) as made:
        now = datetime(2026, 11, 1, tzinfo=UTC)
        write_charge(made.warehouse, "txn_1", 9, now)
        few = made.registry.only("money_lines", "fee_lines")
        good = few.model("money_lines")
        bad = replace(
            good,
            name="bad_lines",
            measures=(),
            derived=(),
            sql=good.sql.replace("t.account AS account", "CAST(CAST(t.id AS BIGINT) AS VARCHAR) AS account"),
        )
        builder = Builder(made.warehouse, Registry([*few.ordered, bad], made.catalog), made.clock, **sizes)
        built = {one.model: one for one in builder.build("UTC")}
        assert built["bad_lines"].failed and [name for name, one in built.items() if one.failed] == ["bad_lines"]
        assert built["money_lines"].fresh and built["money_lines"].rows == 1
        assert [one.amount for one in made.figures.answer(Question("gross_volume"))] == [9]
        again = {one.model: one for one in builder.build("UTC")}
        assert again["bad_lines"].failed and not again["money_lines"].fresh
        assert not list(made.warehouse.temporary.iterdir())


def test_a_figure_that_is_too_old_says_so_until_it_could_be_worked_out_again(furnished: Path) -> None:
    with closing(app.build(settings.load({"TAKINGS_HOME": str(furnished)}))) as made:
        write_charge(made.warehouse, "txn_1", 9, datetime(2026, 11, 1, tzinfo=UTC))

        def said() -> list[tuple[str, bool]]:
            found = missing_of(made.figures, made.registry, made.connections, made.health, Question("net_volume"))
            return [(one.where, one.short) for one in found]

        few = made.registry.only("money_lines", "fee_lines")
        Builder(made.warehouse, few, made.clock).build("UTC")
        first = made.figures.built_at("net_volume")
        assert said() == []
        good = few.model("money_lines")
        bad = replace(
            good, sql=good.sql.replace("t.account AS account", "CAST(CAST(t.id AS BIGINT) AS VARCHAR) AS account")
        )
        others = [one for one in few.ordered if one.name != good.name]
        worse = Builder(made.warehouse, Registry([*others, bad], made.catalog), made.clock)
        for _ in range(2):
            assert [one.model for one in worse.build("UTC") if one.failed] == ["money_lines"]
        assert said() == [("metrics.money_lines", True)]
        entries = made.warehouse.query("SELECT COUNT(*) FROM metrics.fillings WHERE cause = 'failed'").rows
        assert entries == [(1,)] and made.figures.built_at("net_volume") == first
        assert [one.amount for one in made.figures.answer(Question("gross_volume"))] == [9]
        Builder(made.warehouse, few, made.clock).build("UTC")
        assert said() == [] and made.figures.built_at("net_volume") > first


def test_a_model_that_lacks_memory_stops_no_other_and_the_limit_is_as_before(furnished: Path) -> None:
    home = {"TAKINGS_HOME": str(furnished), "TAKINGS_WAREHOUSE_MEMORY_MB": "64", "TAKINGS_METRICS_MEMORY_MB": "64"}
    with closing(app.build(settings.load(home))) as made:
        write_charge(made.warehouse, "txn_1", 9, datetime(2026, 11, 1, tzinfo=UTC))
        few = made.registry.only("money_lines", "fee_lines")
        good = few.model("money_lines")
        large = "(SELECT len(list(repeat('x', 100) || r.n)) FROM range(3_000_000) AS r(n))"
        sql = good.sql.replace("t.account AS account", f"CASE WHEN {large} > 0 THEN t.account END AS account")
        bad = replace(good, name="large_lines", measures=(), derived=(), sql=sql)
        builder = Builder(made.warehouse, Registry([*few.ordered, bad], made.catalog), made.clock)
        built = {one.model: one for one in builder.build("UTC")}
        assert [name for name, one in built.items() if one.failed] == ["large_lines"]
        assert built["money_lines"].rows == 1
        limit = "SELECT current_setting('memory_limit')"
        with made.warehouse._engine.session(write=False) as session:
            before = session.execute(limit).fetchone()
        with made.warehouse.deriving() as session:
            assert session.execute(limit).fetchone() == before
    with closing(app.build(settings.load({**home, "TAKINGS_METRICS_MEMORY_MB": "512"}))) as made:
        with made.warehouse.deriving() as session:
            assert session.execute(limit).fetchone() != before
        with made.warehouse._engine.session(write=False) as session:
            assert session.execute(limit).fetchone() == before


def test_a_model_that_gets_another_column_keeps_what_it_said_before(furnished: Path) -> None:
    with closing(app.build(settings.load({"TAKINGS_HOME": str(furnished)}))) as made:
        now = datetime(2026, 11, 1, tzinfo=UTC)
        write_charge(made.warehouse, "txn_1", 9, now)
        few = made.registry.only("money_lines", "fee_lines")
        Builder(made.warehouse, few, made.clock).build("UTC")
        before = made.clock.now()
        good = few.model("money_lines")
        wide = replace(good, sql=good.sql.replace("\nFROM", ",\n  'x' AS extra\nFROM", 1), dimensions=("extra",))
        others = [one for one in few.ordered if one.name != "money_lines"]
        registry = Registry([*others, wide], made.catalog)
        built = {one.model: one for one in Builder(made.warehouse, registry, made.clock).build("UTC")}
        assert (built["money_lines"].came, built["money_lines"].gone, built["money_lines"].cause) == (
            1,
            1,
            "definition",
        )
        figures = Figures(made.warehouse, registry, made.clock)
        assert [(one.group, one.amount) for one in figures.answer(Question("gross_volume"), "extra")] == [("x", 9)]
        known = figures.answer(Question("gross_volume", known=before), "extra")
        assert [(one.group, one.amount) for one in known] == [(None, 9)]
        write_charge(made.warehouse, "txn_1", 10, now + timedelta(seconds=1))
        Builder(made.warehouse, registry, made.clock).build("UTC")
        assert [one.amount for one in figures.answer(Question("gross_volume"))] == [10]


def test_a_first_load_is_no_restatement(parts: app.App) -> None:
    ((account, livemode, over),) = parts.sync.book.loaded()
    (connection,) = parts.connections.all()
    assert (account, livemode) == (connection.account_id, True) and over is not None
    assert connection.created_at < over < parts.clock.now()
    assert parts.books.restatements(Question("gross_volume"), "Europe/Paris") == []
