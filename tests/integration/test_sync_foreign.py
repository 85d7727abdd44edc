"""A first load from a Stripe-shaped server that shares no code with us: plain dictionaries, awkward on purpose."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from takings import app, settings
from takings.connections import Connection, Credentials
from takings.warehouse import Scope

KEY = "rk_live_" + "f" * 24
T0 = 1_700_000_000
Object = dict[str, Any]


def company() -> dict[str, list[Object]]:
    """Make the server's objects, by path of their list."""
    customers = [
        {
            "id": f"cus_{n}",
            "object": "customer",
            "created": T0 + n // 3,
            "email": f"c{n}@example.com",
            "surprise": {"a": [n]},
        }
        for n in range(730)
    ]
    charges = [
        {
            "id": f"ch_{n}",
            "object": "charge",
            "created": T0 + n * 97,
            "amount": n,
            "currency": "jpy",
            "customer": f"cus_{n % 730}",
        }
        for n in range(2105)
    ]
    charges[5].pop("currency")
    charges[6]["amount"] = None
    charges[7]["status"] = "a_status_from_the_future"
    lines = [[{"id": f"il_{n}_{k}", "object": "line_item", "amount": k} for k in range(n % 27)] for n in range(300)]
    invoices = [
        {
            "id": f"in_{n}",
            "object": "invoice",
            "created": T0 + n * 1000,
            "total": n,
            "currency": "eur",
            "lines": {
                "object": "list",
                "data": lines[n][:10],
                "has_more": len(lines[n]) > 10,
                "url": f"/v1/invoices/in_{n}/lines",
            },
        }
        for n in range(300)
    ]
    items = [
        [
            {
                "id": f"si_{n}_{k}",
                "object": "subscription_item",
                "price": {"id": f"price_inline_{n % 4}", "object": "price"},
            }
            for k in range(1 + n % 14)
        ]
        for n in range(60)
    ]
    subscriptions = [
        {
            "id": f"sub_{n}",
            "object": "subscription",
            "created": T0 + n,
            "status": "canceled" if n % 3 == 0 else "active",
            "items": {
                "object": "list",
                "data": items[n][:10],
                "has_more": len(items[n]) > 10,
                "url": f"/v1/subscription_items?subscription=sub_{n}",
            },
        }
        for n in range(60)
    ]
    prices = [
        {"id": f"price_{n}", "object": "price", "created": T0 + n, "active": n % 2 == 0, "unit_amount": n}
        for n in range(31)
    ]
    payouts = [
        {
            "id": f"po_{n}",
            "object": "payout",
            "created": T0 + n * 500,
            "amount": 10,
            "automatic": n % 5 != 0,
            "currency": "eur",
        }
        for n in range(12)
    ]
    transactions = [
        {
            "id": f"txn_{n}",
            "object": "balance_transaction",
            "created": T0 + n * 7,
            "net": n,
            "amount": n,
            "fee": 0,
            "_payout": f"po_{n % 12}",
        }
        for n in range(640)
    ]
    found: dict[str, list[Object]] = {
        "/v1/customers": customers,
        "/v1/charges": charges,
        "/v1/invoices": invoices,
        "/v1/subscriptions": subscriptions,
        "/v1/prices": prices,
        "/v1/payouts": payouts,
        "/v1/balance_transactions": transactions,
        "/v1/products": [{"id": "prod_é/1", "object": "product", "created": T0, "name": "Café « noir »"}],
        "/v1/coupons": [],
    }
    for n, rows in enumerate(lines):
        found[f"/v1/invoices/in_{n}/lines"] = rows
    for n, rows in enumerate(items):
        found[f"/v1/subscription_items?subscription=sub_{n}"] = rows
    return found


class Foreign(BaseHTTPRequestHandler):
    """Answers as Stripe's documentation says, with nothing of the product's own code."""

    protocol_version = "HTTP/1.1"
    objects: dict[str, list[Object]]
    writes: list[str]

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            return self._send(401, {"error": {"type": "invalid_request_error", "message": "Invalid API Key provided"}})
        if url.path == "/v1/account":
            return self._send(
                200,
                {"id": "acct_foreign", "object": "account", "country": "JP", "default_currency": "jpy", "created": T0},
            )
        if url.path == "/v1/balance":
            return self._send(
                200, {"object": "balance", "available": [{"amount": 1, "currency": "jpy"}], "livemode": True}
            )
        if url.path.startswith("/v1/prices/"):
            return self._send(
                200,
                {"id": url.path.rsplit("/", 1)[1], "object": "price", "active": True, "created": T0, "unit_amount": 9},
            )
        if url.path in ("/v1/refunds", "/v1/disputes"):
            message = "The provided key 'rk_live_***ffff' does not have the required permissions for this endpoint on account 'acct_foreign'."
            return self._send(403, {"error": {"type": "invalid_request_error", "message": message}})
        if url.path == "/v1/topups":
            return self._send(
                404,
                {"error": {"type": "invalid_request_error", "code": "resource_missing", "message": "No such thing."}},
            )
        if url.path.startswith(("/v1/issuing", "/v1/treasury")):
            return self._send(
                400,
                {
                    "error": {
                        "type": "invalid_request_error",
                        "message": "Your account is not set up to use this product.",
                    }
                },
            )
        path = url.path
        if path == "/v1/subscription_items":
            path += f"?subscription={query.get('subscription')}"
        rows = self.objects.get(path)
        if rows is None:
            return self._send(
                404, {"error": {"type": "invalid_request_error", "message": f"Unrecognized request URL (GET: {path})."}}
            )
        return self._list(path, rows, query)

    def _list(self, path: str, rows: list[Object], query: dict[str, str]) -> None:
        nested = "created" not in (rows[0] if rows else {})
        if path == "/v1/subscriptions" and query.get("status") != "all":
            rows = [row for row in rows if row["status"] != "canceled"]
        if path == "/v1/prices":
            rows = [row for row in rows if row["active"] == (query.get("active", "true") == "true")]
        if "payout" in query:
            rows = [row for row in rows if row["_payout"] == query["payout"]]
        if not nested:
            rows = sorted(rows, key=lambda row: (row["created"], row["id"]), reverse=True)
        for name, keep in {
            "created[gte]": lambda c, v: c >= v,
            "created[gt]": lambda c, v: c > v,
            "created[lt]": lambda c, v: c < v,
            "created[lte]": lambda c, v: c <= v,
        }.items():
            if name in query:
                rows = [row for row in rows if keep(row["created"], int(query[name]))]
        first = 0
        if "starting_after" in query:
            places = [n for n, row in enumerate(rows) if row["id"] == query["starting_after"]]
            if not places:
                return self._send(
                    400,
                    {
                        "error": {
                            "type": "invalid_request_error",
                            "code": "resource_missing",
                            "param": "starting_after",
                            "message": "No such object",
                        }
                    },
                )
            first = places[0] + 1
        limit = int(query.get("limit", 10))
        page = rows[first : first + limit]
        self._send(200, {"object": "list", "data": page, "has_more": first + limit < len(rows), "url": path})

    def do_POST(self) -> None:
        self.writes.append(self.path)
        self._send(405, {})

    do_DELETE = do_POST

    def _send(self, status: int, body: Object) -> None:
        text = json.dumps(body, indent=2, ensure_ascii=True).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def foreign() -> Iterator[tuple[str, dict[str, list[Object]], list[str]]]:
    objects, writes = company(), []
    handler = type("Handler", (Foreign,), {"objects": objects, "writes": writes})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", objects, writes
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def loaded(
    foreign: tuple[str, dict[str, list[Object]], list[str]],
    tmp_path_factory: pytest.TempPathFactory,
    furnish: Callable[[Path], Path],
) -> Iterator[tuple[app.App, Connection, Any]]:
    home = furnish(tmp_path_factory.mktemp("foreign"))
    parts = app.build(settings.load({"TAKINGS_STRIPE_API_BASE": foreign[0], "TAKINGS_HEADROOM": "0"}, home=home))
    credentials = Credentials(way="key", secret=KEY)
    pending = parts.connections.pend(None, credentials, parts.connections.probe(credentials))
    connection = parts.connections.confirm(None, pending, "Foreign", None)
    summary = parts.sync.run_once(connection.id)
    yield parts, connection, summary
    parts.close()


def truth(objects: dict[str, list[Object]]) -> dict[str, list[Object]]:
    found = {
        path.removeprefix("/v1/"): rows
        for path, rows in objects.items()
        if "/" not in path.removeprefix("/v1/") and "?" not in path
    }
    found["invoice_line_items"] = [row for path, rows in objects.items() if path.endswith("/lines") for row in rows]
    found["subscription_items"] = [row for path, rows in objects.items() if "?subscription=" in path for row in rows]
    inline = [
        {"id": f"price_inline_{n}", "object": "price", "active": True, "created": T0, "unit_amount": 9}
        for n in range(4)
    ]
    found["prices"] = found["prices"] + inline
    return found


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def test_every_object_is_there_once_with_its_content(
    loaded: tuple[app.App, Connection, Any], foreign: tuple[str, dict[str, list[Object]], list[str]]
) -> None:
    parts, connection, summary = loaded
    assert summary.state == "complete", [
        (s.list, s.state, s.reason) for s in summary.lists.values() if s.state == "partial"
    ]
    for table, rows in truth(foreign[1]).items():
        stored = parts.warehouse.query(
            f'SELECT t.id, v.payload FROM stripe."{table}" t JOIN raw.versions v ON v.resource = $1 AND v.id = t.id AND v.hash = t._hash',
            [table],
        ).rows
        assert len(stored) == len(rows), table
        assert {row[0]: digest(json.loads(row[1])) for row in stored} == {row["id"]: digest(row) for row in rows}, table
    assert parts.warehouse.count(Scope(connection.account_id, True), ["charges"]) == {"charges": 2105}


def test_what_may_not_be_read_is_named_and_what_is_not_there_is_told_apart(
    loaded: tuple[app.App, Connection, Any],
) -> None:
    _, _, summary = loaded
    states = {path: progress.state for path, progress in summary.lists.items()}
    assert states["/v1/refunds"] == states["/v1/disputes"] == "forbidden"
    assert states["/v1/issuing/cards"] == states["/v1/topups"] == "unavailable"
    assert states["/v1/coupons"] == states["/v1/charges"] == states["/v1/invoices/{invoice}/lines"] == "complete"
    assert all(progress.reason for progress in summary.lists.values() if progress.state in ("forbidden", "unavailable"))


def test_automatic_payouts_are_bridged_to_their_transactions_and_manual_ones_are_not(
    loaded: tuple[app.App, Connection, Any], foreign: tuple[str, dict[str, list[Object]], list[str]]
) -> None:
    parts, _, _ = loaded
    rows = parts.warehouse.query("SELECT payout, balance_transaction FROM stripe.payout_balance_transactions").rows
    automatic = {payout["id"] for payout in foreign[1]["/v1/payouts"] if payout["automatic"]}
    expected = {
        (row["_payout"], row["id"]) for row in foreign[1]["/v1/balance_transactions"] if row["_payout"] in automatic
    }
    assert set(rows) == expected and len(rows) == len(expected)


def test_wrong_kinds_of_values_cost_only_their_own_column(loaded: tuple[app.App, Connection, Any]) -> None:
    parts, _, _ = loaded
    rows = parts.warehouse.query(
        "SELECT id, amount, currency, status FROM stripe.charges WHERE id IN ('ch_5', 'ch_6', 'ch_7') ORDER BY id"
    ).rows
    assert rows == [
        ("ch_5", 5, None, None),
        ("ch_6", None, "jpy", None),
        ("ch_7", 7, "jpy", "a_status_from_the_future"),
    ]


def test_a_second_run_changes_nothing_and_adds_no_version(loaded: tuple[app.App, Connection, Any]) -> None:
    parts, connection, _ = loaded
    before = parts.warehouse.query("SELECT count(*) FROM raw.versions WHERE resource <> 'balance'").rows
    assert parts.sync.run_once(connection.id).state == "complete"
    assert parts.warehouse.query("SELECT count(*) FROM raw.versions WHERE resource <> 'balance'").rows == before


def test_nothing_was_ever_written_to_stripe(foreign: tuple[str, dict[str, list[Object]], list[str]]) -> None:
    assert foreign[2] == []
