"""The client against a server that misbehaves on cue: every failure, in the very order that matters."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from takings.errors import Misconfigured, NotFound, Refused, TakingsError, Unavailable, Unexpected
from takings.stripe import Request, Retries, Stripe, template

PAGE = {
    "object": "list",
    "url": "/v1/charges",
    "has_more": False,
    "data": [{"id": "ch_1", "object": "charge", "created": 1}],
}
KEY = "rk_test_51AbCdEfGhIjKlMn"


@dataclass(frozen=True)
class Reply:
    """What the server answers: a body, or a connection that breaks."""

    status: int = 200
    body: bytes = json.dumps(PAGE, indent=2).encode()
    headers: Mapping[str, str] = field(default_factory=dict)
    zipped: bool = True
    cut_at: int | None = None  # bytes of the body that are sent before the connection ends
    silent: bool = False  # the connection ends without an answer


@dataclass(frozen=True)
class Seen:
    """What the server was asked."""

    path: str
    headers: Mapping[str, str]


class Scripted(ThreadingHTTPServer):
    """Answers by a script, one reply a request; the last one is repeated."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: list[Reply] = [Reply()]
        self.seen: list[Seen] = []
        self.mutex = threading.Lock()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next(self) -> Reply:
        with self.mutex:
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # connections break here on purpose


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Scripted

    def do_GET(self) -> None:
        with self.server.mutex:
            self.server.seen.append(Seen(self.path, dict(self.headers.items())))
        reply = self.server.next()
        if reply.silent:
            self.close_connection = True
            return
        body = gzip.compress(reply.body) if reply.zipped else reply.body
        self.send_response(reply.status)
        self.send_header("Content-Length", str(len(body)))
        if reply.zipped:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Request-Id", f"req_{len(self.server.seen)}")
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body if reply.cut_at is None else body[: reply.cut_at])
        if reply.cut_at is not None:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


class Hurried:
    """A clock on which waiting takes no time."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Noting:
    """A limiter that lets everybody go and notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, str | None]] = []

    def take(self, endpoint: str) -> None:
        self.heard.append(("take", endpoint, None))

    def slowed(self, endpoint: str, reason: str | None) -> None:
        self.heard.append(("slowed", endpoint, reason))

    def succeeded(self, endpoint: str) -> None:
        self.heard.append(("succeeded", endpoint, None))


@dataclass
class Bench:
    """A client with everything around it."""

    server: Scripted
    clock: Hurried
    limiter: Noting
    requests: list[Request]
    make: Callable[..., Stripe]


@pytest.fixture
def bench(server: Scripted) -> Iterator[Bench]:
    clock, limiter, requests, made = Hurried(), Noting(), [], []  # type: ignore[var-annotated]

    def make(**more: Any) -> Stripe:
        arguments: dict[str, Any] = {
            "api_base": server.base,
            "api_version": "2026-10-28.endive",
            "token": lambda: KEY,
            "limiter": limiter,
            "clock": clock,
            "on_request": requests.append,
            **more,
        }
        made.append(Stripe(**arguments))
        return made[-1]

    yield Bench(server, clock, limiter, requests, make)
    for each in made:
        each.close()


def error_body(**said: str) -> bytes:
    return json.dumps({"error": said}).encode()


def test_a_page_is_asked_for_as_stripe_wants_it(bench: Bench) -> None:
    page = bench.make(account="acct_1").page(
        "/v1/charges", [("limit", 100), ("created[gte]", 5), ("expand[]", "data.x y")]
    )
    assert [item.id for item in page.items] == ["ch_1"]
    assert page.items[0].raw == b'{"id":"ch_1","object":"charge","created":1}'
    assert (page.request_id, page.attempts, page.has_more) == ("req_1", 1, False)
    (seen,) = bench.server.seen
    assert seen.path == "/v1/charges?limit=100&created%5Bgte%5D=5&expand%5B%5D=data.x+y"
    sent = {name.lower(): value for name, value in seen.headers.items()}
    assert sent["authorization"] == f"Bearer {KEY}"
    assert sent["stripe-version"] == "2026-10-28.endive"
    assert sent["stripe-account"] == "acct_1"
    assert sent["accept-encoding"] == "gzip"
    assert sent["user-agent"].startswith("Takings")
    assert bench.limiter.heard == [("take", "/v1/charges", None), ("succeeded", "/v1/charges", None)]
    assert [(r.endpoint, r.status, r.attempt, r.request_id) for r in bench.requests] == [
        ("/v1/charges", 200, 1, "req_1")
    ]


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(500, error_body(type="api_error")),
        Reply(503, b"<html>", zipped=False),
        Reply(409, error_body(code="idempotency")),
        Reply(429, error_body(code="lock_timeout")),
        Reply(429, headers={"Stripe-Rate-Limited-Reason": "endpoint-rate"}),
        Reply(400, headers={"Stripe-Should-Retry": "true"}),
        Reply(silent=True),
        Reply(cut_at=20),
        Reply(cut_at=0, zipped=False),
        Reply(body=b'{"object":"list","data":[{"id":'),
        Reply(body=b"{}"),
        Reply(body=b"\x1f\x8b nonsense", zipped=False, headers={"Content-Encoding": "gzip"}),
        Reply(headers={"Content-Encoding": "zstd"}, zipped=False),
    ],
    ids=lambda reply: f"{reply.status}-{len(reply.body)}-{reply.silent}-{reply.cut_at}",
)
def test_what_passes_is_asked_again_until_it_is_right(bench: Bench, trouble: Reply) -> None:
    bench.server.script = [trouble, trouble, Reply()]
    page = bench.make().page("/v1/charges")
    assert ([item.id for item in page.items], page.attempts) == (["ch_1"], 3)
    assert len(bench.server.seen) == len(bench.requests) == 3
    assert [kind for kind, _, _ in bench.limiter.heard].count("take") == 3
    assert len(bench.limiter.heard) == 6
    assert len(bench.clock.slept) == 2


@pytest.mark.parametrize("reason", ["global-rate", "endpoint-rate", "global-concurrency", "endpoint-concurrency", None])
def test_the_limiter_hears_why_a_429_came(bench: Bench, reason: str | None) -> None:
    headers = {"Stripe-Rate-Limited-Reason": reason} if reason else {}
    bench.server.script = [Reply(429, error_body(code="rate_limit"), headers), Reply()]
    bench.make().page("/v1/charges")
    assert bench.limiter.heard[1] == ("slowed", "/v1/charges", reason)


@pytest.mark.parametrize(
    ("trouble", "kind", "code", "tries"),
    [
        (Reply(500), Unavailable, "stripe.down", 9),
        (Reply(500, headers={"Stripe-Should-Retry": "false"}), Unavailable, "stripe.down", 1),
        (Reply(429, headers={"Stripe-Rate-Limited-Reason": "global-rate"}), Unavailable, "stripe.rate_limited", 9),
        (Reply(silent=True), Unavailable, "stripe.network", 9),
        (Reply(cut_at=20), Unavailable, "stripe.network", 9),
        (Reply(body=b"{}"), Unexpected, "stripe.malformed", 4),
        (
            Reply(body=b"not gzip", zipped=False, headers={"Content-Encoding": "gzip"}),
            Unexpected,
            "stripe.malformed",
            4,
        ),
        (
            Reply(401, error_body(message="Invalid API Key provided: rk_test_51AbC***")),
            Refused,
            "stripe.key_refused",
            1,
        ),
        (Reply(403, error_body(message="Having the 'rak_x_read' permission")), Refused, "stripe.permission_missing", 1),
        (Reply(404, error_body(code="resource_missing", param="id")), NotFound, "stripe.missing", 1),
        (Reply(400, error_body(message="Your account is not set up")), Refused, "stripe.not_enabled", 1),
        (Reply(302, b"", {"Location": "http://127.0.0.1:1/"}), Unexpected, "stripe.status", 1),
    ],
)
def test_what_does_not_pass_ends_with_one_clear_error(
    bench: Bench, trouble: Reply, kind: type[TakingsError], code: str, tries: int
) -> None:
    bench.server.script = [trouble]
    with pytest.raises(kind) as told:
        bench.make().page("/v1/charges")
    assert told.value.code == code
    assert len(bench.server.seen) == tries
    assert bench.clock.monotonic() < Retries().total_s
    assert "51AbC" not in f"{told.value}{told.value.fields}"


def test_nobody_there_is_a_matter_of_the_network(bench: Bench) -> None:
    with pytest.raises(Unavailable) as told:
        bench.make(api_base="http://127.0.0.1:9", retries=Retries(tries=2)).get("/v1/account")
    assert (told.value.code, told.value.fields["kind"]) == ("stripe.network", "connect")
    assert [request.status for request in bench.requests] == [None, None]


def test_a_connection_that_was_closed_while_idle_is_opened_again(bench: Bench) -> None:
    client = bench.make()
    bench.server.script = [Reply(headers={"Connection": "close"}), Reply(), Reply(silent=True), Reply()]
    for _ in range(3):
        client.page("/v1/charges")
    assert len(bench.server.seen) == 4


def test_a_rotated_key_is_taken_up_before_the_next_request(bench: Bench) -> None:
    keys = iter(["rk_test_first1", "rk_test_second2"])
    bench.server.script = [Reply(500), Reply()]
    bench.make(token=lambda: next(keys)).page("/v1/charges")
    assert [seen.headers["Authorization"] for seen in bench.server.seen] == [
        "Bearer rk_test_first1",
        "Bearer rk_test_second2",
    ]


@pytest.mark.parametrize("key", ["", " ", "rk_test\nX: y", "rk_tést", "rk_test_\x00"])
def test_a_key_that_cannot_be_one_is_refused_without_asking(bench: Bench, key: str) -> None:
    with pytest.raises(Refused) as told:
        bench.make(token=lambda: key).get("/v1/account")
    assert told.value.code == "stripe.key_refused"
    assert bench.server.seen == []
    assert bench.limiter.heard == []


def test_a_pasted_key_loses_the_space_around_it(bench: Bench) -> None:
    bench.make(token=lambda: f" {KEY}\n").page("/v1/charges")
    assert bench.server.seen[0].headers["Authorization"] == f"Bearer {KEY}"


def test_a_v2_list_goes_on_by_its_url_but_never_to_another_host(bench: Bench) -> None:
    client = bench.make()
    bench.server.script = [Reply(body=b'{"data":[],"next_page_url":null}')]
    client.page("/v2/core/events?page=abc&limit=2")
    client.page(f"{bench.server.base}/v2/core/events?page=abc")
    assert [seen.path for seen in bench.server.seen] == ["/v2/core/events?page=abc&limit=2", "/v2/core/events?page=abc"]
    assert {endpoint for _, endpoint, _ in bench.limiter.heard} == {"/v2/core/events"}
    for url in ("http://evil.example/v2/core/events", f"{bench.server.base}0/v2/x", "//evil.example/v2"):
        with pytest.raises(Unexpected):
            client.page(url)
    assert len(bench.server.seen) == 2


@pytest.mark.parametrize(
    "base", ["http://api.stripe.com", "http://127.0.0.1.evil.example", "ftp://127.0.0.1", "api.stripe.com"]
)
def test_a_key_never_goes_out_in_the_clear(bench: Bench, base: str) -> None:
    with pytest.raises(Misconfigured):
        bench.make(api_base=base)


@pytest.fixture
def own_authority(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost that nobody knows, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def test_a_certificate_nobody_knows_is_not_trusted_until_its_authority_is(
    bench: Bench, own_authority: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*own_authority)
    bench.server.socket = context.wrap_socket(bench.server.socket, server_side=True)
    base = f"https://localhost:{bench.server.server_address[1]}"
    with pytest.raises(Misconfigured) as told:
        bench.make(api_base=base).page("/v1/charges")
    assert (told.value.code, told.value.fields["host"]) == ("stripe.certificate", "localhost")
    assert bench.server.seen == []
    monkeypatch.setenv("SSL_CERT_FILE", str(own_authority[0]))
    assert bench.make(api_base=base).page("/v1/charges").items


def test_a_proxy_in_the_environment_gets_no_plain_requests(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    bench.make().page("/v1/charges")
    assert len(bench.server.seen) == 1


def test_what_asks_the_limiter_in_vain_sends_nothing(bench: Bench) -> None:
    class Closed(Noting):
        def take(self, endpoint: str) -> None:
            raise Unavailable("store.locked", "…")

    with pytest.raises(Unavailable):
        bench.make(limiter=Closed()).page("/v1/charges")
    assert bench.server.seen == []


def test_24_threads_share_one_client(bench: Bench) -> None:
    client = bench.make()
    ids: list[str] = []

    def work() -> None:
        for _ in range(10):
            ids.extend(item.id for item in client.page("/v1/charges").items)

    threads = [threading.Thread(target=work) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert ids == ["ch_1"] * 240


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/v1/charges", "/v1/charges"),
        ("/v1/balance_transactions", "/v1/balance_transactions"),
        ("/v1/invoices/in_1AbC/lines", "/v1/invoices/{}/lines"),
        ("/v1/issuing/cards", "/v1/issuing/cards"),
        ("/v1/issuing/cards/ic_1", "/v1/issuing/cards/{}"),
        ("/v1/coupons/summer", "/v1/coupons/{}"),
        ("/v1/products/gold/features", "/v1/products/{}/features"),
        ("/v1/customers/cus_123/tax_ids", "/v1/customers/{}/tax_ids"),
        ("/v1/checkout/sessions/cs_test_a1/line_items", "/v1/checkout/sessions/{}/line_items"),
        ("/v1/accounts/acct_1/persons", "/v1/accounts/{}/persons"),
        ("/v2/core/events", "/v2/core/events"),
        ("/v2/core/event_destinations/ed_1", "/v2/core/event_destinations/{}"),
    ],
)
def test_requests_are_counted_under_their_kind(path: str, wanted: str) -> None:
    assert template(path) == wanted
