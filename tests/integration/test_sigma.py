"""Sigma's tables and dialect over a simulated company: values tie with Stripe's objects, whatever the engine."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from takings import app, catalog, settings
from takings.cli import main
from takings.connections import Credentials
from takings.errors import Invalid, NotFound
from takings.reports.sigma import Sigma, among
from takings.simulator import Simulator
from takings.warehouse import Among, Delivery, Item, Scope, Warehouse, sigma
from takings.warehouse.sigma.model import ENGINE_TYPES

MAPPING = sigma.load()
LIVE = "t._livemode AND t._deleted_at IS NULL"


@pytest.fixture(scope="module")
def home(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the live and the test data of a company in one DuckDB file."""
    folder = tmp_path_factory.mktemp("sigma")
    parts = app.build(load(folder, simulator))
    try:
        for name, key in (("Live", simulator.live_key), ("Test", simulator.test_key)):
            credentials = Credentials(way="key", secret=key)
            pending = parts.connections.pend(None, credentials, parts.connections.probe(credentials))
            assert parts.sync.run_once(parts.connections.confirm(None, pending, name, None).id).state == "complete"
    finally:
        parts.close()
    return folder


def load(folder: Path, simulator: Simulator) -> settings.Settings:
    return settings.load({**simulator.environ(), "TAKINGS_HOME": str(folder), "TAKINGS_WAREHOUSE": "duckdb"})


@pytest.fixture(scope="module")
def parts(home: Path, simulator: Simulator) -> Iterator[app.App]:
    built = app.build(load(home, simulator))
    yield built
    built.close()


def ask(parts: app.App, text: str, *, test: bool = False) -> list[tuple[Any, ...]]:
    whose = among(parts.connections.all(), None, test=test)
    asked = Sigma(parts.store).ask(text, whose)
    return [plain(row) for row in parts.warehouse.query(asked.sql, among=whose).rows]


def plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row with numbers and moments as both kinds of tables can be compared."""

    def one(value: Any) -> Any:
        if isinstance(value, Decimal | float):
            return round(float(value), 6)
        if isinstance(value, datetime) and value.tzinfo is not None:
            return value.astimezone(UTC).replace(tzinfo=None)
        return value

    return tuple(one(value) for value in row)


def rows(parts: app.App, sql: str) -> list[tuple[Any, ...]]:
    return [plain(row) for row in parts.warehouse.query(sql).rows]


def test_every_view_has_sigmas_types_can_be_read_whole_and_loses_no_row(parts: app.App) -> None:
    """Whole tables have as many rows as Stripe's; none of their expressions fails on what a company has."""
    whole: dict[str, int] = {}
    for name, table in MAPPING.available.items():
        found = parts.warehouse.query(f"SELECT * FROM sigma.{name}")
        wanted = {column: ENGINE_TYPES[one.type] for column, one in table.columns.items() if one.sql}
        assert {column.name: column.type for column in found.columns} == {**wanted, "merchant_id": "VARCHAR"}, name
        if not any("unnest" in part or "WHERE" in part for part in table.parts):
            whole[name] = len(found.rows)
    counts = " UNION ALL ".join(
        f"SELECT '{name}', count(*) FROM {part.removeprefix('warehouse.')} "
        f"WHERE t._livemode {'' if MAPPING.tables[name].deleted else 'AND t._deleted_at IS NULL'}"
        for name in whole
        for part in MAPPING.tables[name].parts
    )
    assert whole == dict(rows(parts, f"SELECT x.n, sum(x.c) FROM ({counts}) AS x(n, c) GROUP BY 1"))
    assert sum(count > 0 for count in whole.values()) > 25


@pytest.mark.parametrize("name", sorted(name for name, table in MAPPING.available.items() if table.joining))
def test_a_lean_view_has_the_rows_of_the_full_one_without_what_is_joined(parts: app.App, name: str) -> None:
    full, lean = (parts.warehouse.query(f"SELECT * FROM sigma.{part}{name}") for part in ("", "lean."))
    joined = MAPPING.tables[name].joining
    assert lean.columns == tuple(column for column in full.columns if column.name not in joined)
    assert len(lean.rows) == len(full.rows) == len({row["id"] for row in full.dicts()})
    assert all(any(row[column] is not None for row in full.dicts()) for column in joined)


QUERIES = {
    "gross volume by month of New York": (
        """select date_format(c.created at time zone 'America/New_York', '%Y-%m') as month, currency,
             count(*) as payments, sum(amount - amount_refunded) as kept
           from charges c where c.paid and c.captured group by 1, 2 order by 1, 2""",
        f"""SELECT strftime(t.created AT TIME ZONE 'America/New_York', '%Y-%m'), t.currency, count(*),
              sum(t.amount - t.amount_refunded)
            FROM stripe.charges AS t WHERE {LIVE} AND t.paid AND t.captured GROUP BY 1, 2 ORDER BY 1, 2""",
    ),
    "activity of a quarter by category": (
        """select reporting_category, currency, sum(amount) as gross, sum(fee) as fees, sum(net) as net
           from balance_transactions
           where created >= date '2026-07-01' and created < date '2026-07-01' + interval '3' month
           group by reporting_category, currency order by 1, 2""",
        f"""SELECT t.reporting_category, t.currency, sum(t.amount), sum(t.fee), sum(t.net)
            FROM stripe.balance_transactions AS t WHERE {LIVE}
              AND t.created >= TIMESTAMPTZ '2026-07-01 00:00:00Z' AND t.created < TIMESTAMPTZ '2026-10-01 00:00:00Z'
            GROUP BY 1, 2 ORDER BY 1, 2""",
    ),
    "what each payout paid out": (
        """with paid as (
             select automatic_transfer_id as payout, sum(net) as net, count(*) as n
             from balance_transactions where automatic_transfer_id is not null and type <> 'payout' group by 1
           )
           select t.id, t.amount, paid.net, paid.n, date_format(t.date, '%Y-%m-%d')
           from transfers t join paid on paid.payout = t.id where t.automatic order by t.id""",
        f"""SELECT t.id, t.amount, sum(b.net), count(*), strftime(t.arrival_date, '%Y-%m-%d')
            FROM stripe.payouts AS t
            JOIN stripe.payout_balance_transactions AS p ON p.payout = t.id AND p._livemode
            JOIN stripe.balance_transactions AS b ON b.id = p.balance_transaction AND b._livemode AND b.type <> 'payout'
            WHERE {LIVE} AND t.automatic GROUP BY ALL ORDER BY t.id""",
    ),
    "declines by card": (
        """select card_brand, card_country, failure_code, outcome_type, count(*) as n,
             count(distinct card_fingerprint) as cards
           from charges where status = 'failed' group by 1, 2, 3, 4 order by n desc, 1, 2, 3, 4""",
        f"""SELECT (t.payment_method_details->>'$.card.brand'), (t.payment_method_details->>'$.card.country'), t.failure_code,
              (t.outcome->>'$.type'), count(*), count(DISTINCT (t.payment_method_details->>'$.card.fingerprint'))
            FROM stripe.charges AS t WHERE {LIVE} AND t.status = 'failed' GROUP BY 1, 2, 3, 4
            ORDER BY 5 DESC, 1, 2, 3, 4""",
    ),
    "refunds and how many whole days they took": (
        """select r.id, r.reason, r.amount / 100 as whole, date_diff('day', c.created, r.created) as days, c.customer_id
           from refunds r inner join charges c on c.id = r.charge_id order by r.id""",
        f"""SELECT t.id, t.reason, CAST(trunc(t.amount / 100) AS BIGINT),
              CAST(floor((epoch(t.created) - epoch(c.created)) / 86400) AS BIGINT), c.customer
            FROM stripe.refunds AS t JOIN stripe.charges AS c ON c.id = t.charge WHERE {LIVE} AND c._livemode ORDER BY t.id""",
    ),
    "recurring prices of active subscriptions": (
        """select p.currency, p.recurring_interval, p.recurring_interval_count, count(distinct s.id) as subscriptions,
             sum(i.quantity * p.unit_amount) as minor
           from subscriptions s
           join subscription_items i on i.subscription_id = s.id
           join prices p on p.id = i.price_id
           where s.status in ('active', 'past_due') and p.recurring_usage_type = 'licensed'
           group by 1, 2, 3 order by 1, 2, 3""",
        f"""SELECT p.currency, (p.recurring->>'$.interval'), CAST((p.recurring->>'$.interval_count') AS BIGINT),
              count(DISTINCT t.id), sum(i.quantity * p.unit_amount)
            FROM stripe.subscriptions AS t
            JOIN stripe.subscription_items AS i ON i.subscription = t.id AND i._deleted_at IS NULL AND i._livemode
            JOIN stripe.prices AS p ON p.id = (i.price->>'$.id') AND p._deleted_at IS NULL AND p._livemode
            WHERE {LIVE} AND t.status IN ('active', 'past_due') AND (p.recurring->>'$.usage_type') = 'licensed'
            GROUP BY 1, 2, 3 ORDER BY 1, 2, 3""",
    ),
    "invoices with the charge that paid them": (
        """select i.id, i.number, i.total, i.tax, c.id as charge, c.amount, i.subscription_id
           from invoices i join charges c on i.charge_id = c.id
           where i.paid and i.status_transitions_paid_at >= timestamp '2026-06-01 00:00:00' order by i.id""",
        f"""SELECT t.id, t.number, t.total, (SELECT sum(CAST(x->>'$.amount' AS BIGINT))
                FROM (SELECT unnest(CAST(t.total_taxes AS JSON[])) AS x)),
              c.id, c.amount, (t.parent->>'$.subscription_details.subscription')
            FROM stripe.invoices AS t
            JOIN stripe.invoice_payments AS p ON p.invoice = t.id AND p._livemode
            JOIN stripe.payment_intents AS pi ON pi.id = (p.payment->>'$.payment_intent')
            JOIN stripe.charges AS c ON c.id = pi.latest_charge
            WHERE {LIVE} AND t.status = 'paid'
              AND to_timestamp(CAST((t.status_transitions->>'$.paid_at') AS BIGINT)) >= TIMESTAMPTZ '2026-06-01 00:00:00Z'
            ORDER BY t.id""",
    ),
    "best customers with their metadata": (
        """with spent as (
             select customer_id, currency, sum(amount) as minor,
               row_number() over (partition by currency order by sum(amount) desc, customer_id) as place
             from charges where paid and customer_id is not null group by customer_id, currency
           )
           select s.currency, s.place, c.email, m.key, m.value, s.minor
           from spent s join customers c on c.id = s.customer_id
           left join customers_metadata m on m.customer_id = c.id and m.key = 'channel'
           where s.place <= 3 order by 1, 2""",
        f"""SELECT s.currency, s.place, c.email, CASE WHEN (c.metadata->>'$.channel') IS NOT NULL THEN 'channel' END,
              (c.metadata->>'$.channel'), s.minor
            FROM (SELECT t.customer, t.currency, sum(t.amount) AS minor,
                    row_number() OVER (PARTITION BY t.currency ORDER BY sum(t.amount) DESC, t.customer) AS place
                  FROM stripe.charges AS t WHERE {LIVE} AND t.paid AND t.customer IS NOT NULL GROUP BY 1, 2) AS s
            JOIN stripe.customers AS c ON c.id = s.customer AND c._livemode WHERE s.place <= 3 ORDER BY 1, 2""",
    ),
    "billed by product": (
        """select pr.name, l.currency, coalesce(l.proration, false) as proration, sum(l.amount) as minor, sum(l.quantity) as n,
             min(l.period_start), max(l.period_end)
           from invoice_line_items l
           join invoices i on i.id = l.invoice_id and i.status in ('open', 'paid')
           join plans p on p.id = l.plan_id join products pr on pr.id = p.product_id
           group by 1, 2, 3 order by 1, 2, 3""",
        f"""SELECT pr.name, t.currency, coalesce(CAST(coalesce((t.parent->>'$.subscription_item_details.proration'),
                (t.parent->>'$.invoice_item_details.proration')) AS BOOLEAN), false), sum(t.amount), sum(t.quantity),
              min(to_timestamp(CAST((t.period->>'$.start') AS BIGINT))), max(to_timestamp(CAST((t.period->>'$.end') AS BIGINT)))
            FROM stripe.invoice_line_items AS t
            JOIN stripe.invoices AS i ON i.id = t.invoice AND i.status IN ('open', 'paid')
            JOIN stripe.plans AS p ON p.id = (t.pricing->>'$.price_details.price') AND p._deleted_at IS NULL
            JOIN stripe.products AS pr ON pr.id = p.product AND pr._deleted_at IS NULL
            WHERE {LIVE} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3""",
    ),
    "tax by rate": (
        """select r.country, r.percentage, t.inclusive, sum(t.amount) as tax, sum(t.taxable_amount) as base, count(*) as n
           from invoice_line_item_tax_amounts t join tax_rates r on r.id = t.tax_rate
           group by 1, 2, 3 order by 1, 2, 3""",
        f"""SELECT r.country, r.percentage, (x.tax->>'$.tax_behavior') = 'inclusive', sum(CAST((x.tax->>'$.amount') AS BIGINT)),
              sum(CAST((x.tax->>'$.taxable_amount') AS BIGINT)), count(*)
            FROM (SELECT unnest(CAST(t.taxes AS JSON[])) AS tax FROM stripe.invoice_line_items AS t WHERE {LIVE}) AS x
            JOIN stripe.tax_rates AS r ON r.id = (x.tax->>'$.tax_rate_details.tax_rate') GROUP BY 1, 2, 3 ORDER BY 1, 2, 3""",
    ),
    "fees of Stripe": (
        """select type, currency, sum(amount) from balance_transaction_fee_details group by type, currency order by 1, 2""",
        f"""SELECT (x.fee->>'$.type'), (x.fee->>'$.currency'), sum(CAST((x.fee->>'$.amount') AS BIGINT))
            FROM (SELECT unnest(CAST(t.fee_details AS JSON[])) AS fee FROM stripe.balance_transactions AS t WHERE {LIVE}) AS x
            GROUP BY 1, 2 ORDER BY 1, 2""",
    ),
    "disputed payments": (
        """select date_trunc('month', c.created) as m, count(*) as n, count_if(c.dispute_id is not null) as disputed,
             sum(case when c.dispute_id is not null then c.amount else 0 end) as minor
           from charges c where c.paid group by 1 having count_if(c.dispute_id is not null) > 0 order by 1""",
        f"""SELECT date_trunc('month', t.created), count(*), count(d.charge), coalesce(sum(t.amount) FILTER (d.charge IS NOT NULL), 0)
            FROM stripe.charges AS t LEFT JOIN (SELECT DISTINCT charge FROM stripe.disputes) AS d ON d.charge = t.id
            WHERE {LIVE} AND t.paid GROUP BY 1 HAVING count(d.charge) > 0 ORDER BY 1""",
    ),
    "renewals to come": (
        """select id, plan_id, quantity, to_unixtime(current_period_end) as ends,
             cancel_at_period_end, trial_end is null as no_trial
           from subscriptions where status = 'active' and plan_id is not null order by id""",
        f"""SELECT t.id, (t."items"->>'$.data[0].price.id'), CAST((t."items"->>'$.data[0].quantity') AS BIGINT),
              CAST((t."items"->>'$.data[0].current_period_end') AS DOUBLE), t.cancel_at_period_end, t.trial_end IS NULL
            FROM stripe.subscriptions AS t
            WHERE {LIVE} AND t.status = 'active' AND json_array_length(t."items", '$.data') = 1 ORDER BY t.id""",
    ),
}


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_a_query_of_sigma_gives_what_stripes_objects_say(parts: app.App, name: str) -> None:
    theirs, ours = QUERIES[name]
    found = ask(parts, theirs)
    assert found, "the company has nothing of the kind"
    assert found == rows(parts, ours)


def test_payouts_tie_to_the_transactions_that_sigma_says_they_paid_out(parts: app.App) -> None:
    paid = ask(parts, QUERIES["what each payout paid out"][0])
    assert len(paid) > 20
    assert all(amount == net for _, amount, net, *_ in paid)


MEANINGS = {
    "7 / 2": 3,
    "-7 / 2": -3,
    "7 / 2.0": 3.5,
    "date_diff('day', timestamp '2026-03-01 23:00:00', timestamp '2026-03-02 01:00:00')": 0,
    "date_diff('hour', timestamp '2026-03-01 23:00:00', timestamp '2026-03-02 01:00:00')": 2,
    "date_diff('month', date '2026-01-15', date '2026-03-14')": 1,
    "cast(timestamp '2026-07-01 23:30:00' at time zone 'Europe/Paris' as varchar)": "2026-07-02 01:30:00",
    "hour(timestamp '2026-07-01 23:30:00' at time zone 'Europe/Paris' at time zone 'Asia/Tokyo')": 8,
    "hour(at_timezone(from_unixtime(0), 'Asia/Tokyo'))": 9,
    "timestamp '2026-07-01 23:30:00' at time zone 'Asia/Tokyo' = timestamp '2026-07-01 23:30:00'": True,
    "day_of_week(date '2026-11-29')": 7,
    "date_format(timestamp '2026-07-01 15:05:09', '%Y-%m-%d %H:%i:%s')": "2026-07-01 15:05:09",
    "format('%,.2f', 1234567.891)": "1,234,567.89",
    "cardinality(slice(array[1, 2, 3, 4], 2, 2))": 2,
    "element_at(slice(array[1, 2, 3, 4], 2, 2), 2)": 3,
    "greatest(1, null)": None,
    "concat('a', cast(null as varchar))": None,
    "regexp_replace('aaa', 'a', 'b')": "bbb",
    'json_extract_scalar(\'{"a": {"b": "x"}}\', \'$.a.b\')': "x",
    "split_part('a-b', '-', 2) || '!'": "b!",
    "year(last_day_of_month(date '2026-02-03')) * 100 + day(last_day_of_month(date '2026-02-03'))": 202628,
}


@pytest.mark.parametrize("text", sorted(MEANINGS))
def test_what_trino_means_is_what_comes_out(parts: app.App, text: str) -> None:
    found = ask(parts, f"select {text}")[0][0]
    assert found == MEANINGS[text] and isinstance(found, bool) == isinstance(MEANINGS[text], bool)


def test_the_load_time_is_when_the_tables_asked_for_were_complete(parts: app.App) -> None:
    states = parts.connections.all()
    whose = among(states, None, test=False)
    moment = Sigma(parts.store).loaded_at({"charges", "refunds"}, whose)
    assert moment is not None
    found = ask(parts, "select data_load_time, max(created) < data_load_time from charges group by 1")
    assert found[0][0] == moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    assert Sigma(parts.store).loaded_at({"no_such_table"}, whose) is None


def test_live_and_test_data_are_never_mixed(parts: app.App) -> None:
    for test in (False, True):
        mode = "NOT t._livemode" if test else "t._livemode"
        assert ask(parts, "select count(*), sum(amount) from charges", test=test) == rows(
            parts, f"SELECT count(*), sum(t.amount) FROM stripe.charges AS t WHERE {mode} AND t._deleted_at IS NULL"
        )


def test_columns_without_a_name_are_called_as_in_sigma_and_a_star_has_sigmas_columns(parts: app.App) -> None:
    whose = among(parts.connections.all(), None, test=False)
    columns = parts.warehouse.query(Sigma(parts.store).ask("select count(*), max(id) from charges", whose).sql).columns
    assert [column.name for column in columns] == ["_col0", "_col1"]
    columns = parts.warehouse.query(Sigma(parts.store).ask("select * from refunds", whose).sql, limit=1).columns
    had = [name for name, one in MAPPING.tables["refunds"].columns.items() if one.sql]
    assert [column.name for column in columns] == [*had, "merchant_id"]


def test_who_asks_sigma_reaches_nothing_else(parts: app.App) -> None:
    for text, code in (
        ("select * from read_text('/etc/passwd')", "sql"),
        ("select * from table(sqlite_scan('takings.db', 'people'))", "sql"),
        ('select * from "/etc/passwd"', "sql"),
        ("select id from stripe.charges", "sql.sigma_only"),
    ):
        with pytest.raises(Invalid) as caught:
            ask(parts, text)
        assert caught.value.code.startswith(code), text
    for sql in ("SELECT * FROM sigma.captures", "SELECT * FROM sigma.nothing"):
        with pytest.raises(Invalid):
            parts.warehouse.query(sql)


def _write(warehouse: Warehouse) -> None:
    """Write charges of two accounts, live and test, one of them deleted."""
    now = datetime(2026, 11, 1, tzinfo=UTC)
    writer = warehouse.writer()
    for account, livemode, amount in (("acct_a", True, 100), ("acct_b", True, 2_000), ("acct_a", False, 30_000)):
        scope, key = Scope(account, livemode), f"{account}{livemode}"
        for table, body in (
            ("charges", {"id": f"ch_{key}", "amount": amount, "currency": "eur", "payment_intent": f"pi_{key}"}),
            ("customers", {"id": f"cus_{key}", "metadata": {"k": "v", "é": "ü"}}),
            (
                "invoice_payments",
                {"id": f"inpay_{key}", "invoice": f"in_{key}", "payment": {"payment_intent": f"pi_{key}"}},
            ),
        ):
            body = {"object": table, "created": 1_760_000_000, **body}
            item = Item.of(str(body["id"]), 1_760_000_000, json.dumps(body).encode())
            given = {
                "table": table,
                "scope": scope,
                "as_of": now,
                "known_at": now,
                "source": "list",
                "api_version": "0",
            }
            writer.write([Delivery(items=(item,), **given)])  # type: ignore[arg-type]
            if (table, account) == ("customers", "acct_b"):
                given["as_of"] = given["known_at"] = now.replace(hour=1)
                writer.write([Delivery(items=(item,), deleted=True, **given)])  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["ducklake", "duckdb"])
def test_each_account_and_mode_is_seen_alone_whichever_the_engine_and_a_purge_is_not_hindered(
    tmp_path: Path, kind: str
) -> None:
    chosen = settings.load({"TAKINGS_HOME": str(tmp_path), "TAKINGS_WAREHOUSE": kind})
    with Warehouse.open(chosen, catalog.load()) as warehouse:
        _write(warehouse)
        text = "SELECT merchant_id, amount, invoice_id FROM sigma.charges ORDER BY amount"
        both = [("acct_a", 100, "in_acct_aTrue"), ("acct_b", 2_000, "in_acct_bTrue")]
        for whose, wanted in (
            (Among(), both),
            (Among(True, ("acct_b",)), both[1:]),
            (Among(True, ()), []),
            (Among(False), [("acct_a", 30_000, "in_acct_aFalse")]),
            (Among(False, ("acct_b",)), []),
            (Among(True, ("acct_a", "acct_b")), both),
        ):
            assert warehouse.query(text, among=whose).rows == wanted, whose
            with warehouse.stream(text, among=whose) as (_, batches):
                assert [row for batch in batches for row in batch] == wanted
            assert warehouse.arrow(text, among=whose).num_rows == len(wanted)
        assert warehouse.query(text).rows == both  # the last asker's choice does not stay
        assert warehouse.query("SELECT id, deleted FROM sigma.customers ORDER BY 1").rows == [
            ("cus_acct_aTrue", False),
            ("cus_acct_bTrue", True),
        ]
        metadata = "SELECT key, value FROM sigma.customers_metadata ORDER BY 1"
        assert warehouse.query(metadata).rows == [("k", "v"), ("é", "ü")]

        def count(number: int) -> int:
            one = Among(number % 2 == 0, ("acct_a",))
            return int(warehouse.query("SELECT sum(amount) FROM sigma.lean.charges", among=one).rows[0][0])

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(count, range(8))) == [100, 30_000] * 4
        warehouse.purge(Scope("acct_a", True))
        assert warehouse.query(text).rows == both[1:]
    with Warehouse.open(chosen, catalog.load()) as warehouse:  # nothing of the views was kept on disk
        with warehouse.reading() as session:
            assert session.execute("SELECT count(*) FROM duckdb_views() WHERE NOT internal").fetchone() == (0,)
        assert warehouse.query(text).rows == both[1:]


def test_an_account_is_named_by_its_id_and_must_be_connected(parts: app.App) -> None:
    every = parts.connections.all()
    account = every[0].account_id
    assert among(every, account, test=True) == Among(False, (account,))
    assert among([], None, test=False) == Among(True, ())
    with pytest.raises(NotFound, match="acct_other"):
        among(every, "acct_other", test=False)


def test_the_command_answers_in_every_form_and_says_what_is_short(
    home: Path,
    parts: app.App,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in {**simulator.environ(), "TAKINGS_HOME": str(home), "TAKINGS_WAREHOUSE": "duckdb"}.items():
        monkeypatch.setenv(name, value)
    text = "select currency, count(*) as n from charges group by currency order by 1"
    wanted = ask(parts, text)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["query", *arguments])
        out = capsys.readouterr()
        return code, out.out, out.err

    code, out, err = run("--dialect", "sigma", "--json", text)
    assert (code, err) == (0, "")
    assert [(row["currency"], row["n"]) for row in json.loads(out)] == wanted
    code, out, _ = run("--dialect", "sigma", "--format", "csv", text)
    assert [(currency, int(n)) for currency, n in list(csv.reader(io.StringIO(out)))[1:]] == wanted
    assert all(currency in run("--dialect", "sigma", text)[1] for currency, _ in wanted)
    assert run("SELECT currency, count(*) AS n FROM sigma.charges GROUP BY 1 ORDER BY 1", "--json")[1] == json_of(
        wanted
    )
    test = run("--dialect", "sigma", "--test", "--json", text)
    assert json.loads(test[1]) == [{"currency": c, "n": n} for c, n in ask(parts, text, test=True)]
    assert run("--dialect", "sigma", "select card_id from charges")[0] == 2
    code, _, err = run("--test", "SELECT count(*) FROM stripe.charges")
    assert code == 2 and "test data" in err
    # The simulated account has no Issuing: that is said, and is no fault of the reading.
    code, out, err = run("--dialect", "sigma", "--json", "select count(*) as n from issuing_cards")
    assert (code, json.loads(out)) == (0, [{"n": 0}]) and "issuing_cards" in err


def json_of(found: list[tuple[Any, ...]]) -> str:
    return "[\n" + ",\n".join(json.dumps({"currency": c, "n": n}) for c, n in found) + "\n]\n"


def test_a_query_over_tables_that_were_never_read_ends_with_1(
    tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**simulator.environ(), "TAKINGS_HOME": str(tmp_path), "TAKINGS_WAREHOUSE": "duckdb"}.items():
        monkeypatch.setenv(name, value)
    parts = app.build(load(tmp_path, simulator))
    credentials = Credentials(way="key", secret=simulator.live_key)
    pending = parts.connections.pend(None, credentials, parts.connections.probe(credentials))
    parts.connections.confirm(None, pending, "Fresh", None)
    parts.close()
    assert main(["query", "--dialect", "sigma", "select count(*) from refunds"]) == 1
    assert "Not all of Fresh: refunds is here" in capsys.readouterr().err
    assert main(["query", "--dialect", "sigma", "select count(*) from refunds where created < data_load_time"]) == 2
    assert "data_load_time is not known yet" in capsys.readouterr().err


def test_the_coverage_is_printed_whole_by_table_and_as_sql(parts: app.App, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sigma"]) == 0
    out = capsys.readouterr().out
    assert f"{MAPPING.had:,} of Sigma's {MAPPING.columns:,} columns are here" in out
    assert all(f"\n{name} " in f"\n{out}" for name in MAPPING.tables)
    assert main(["sigma", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["here"], told["columns"], len(told["tables"])) == (MAPPING.had, MAPPING.columns, len(MAPPING.tables))
    assert sum(len(one["lacking"]) for one in told["tables"]) == MAPPING.columns - MAPPING.had
    assert main(["sigma", "--table", "charges"]) == 0
    assert "not here: It belongs to an older version" in capsys.readouterr().out
    assert main(["sigma", "--table", "captures", "--lacking"]) == 0
    assert capsys.readouterr().out.count("captures") == 7
    assert main(["sigma", "--table", "nothing"]) == 3
    capsys.readouterr()
    assert main(["sigma", "--table", "refunds", "--sql"]) == 0
    statements = [one for one in capsys.readouterr().out.split(";\n") if one]
    with parts.warehouse.deriving() as session:
        for statement in statements:
            session.execute(statement)
        found = session.execute("SELECT count(*) FROM warehouse.sigma.refunds").fetchone()
        session.execute("DROP SCHEMA warehouse.sigma CASCADE")
    assert found == rows(parts, "SELECT count(*) FROM stripe.refunds AS t WHERE t._livemode")[0]
