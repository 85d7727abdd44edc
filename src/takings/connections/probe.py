"""Finding out what credentials open: whose account, which lists, since when, and how much there is."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from takings.catalog import Catalog, ListEndpoint, Resource
from takings.clock import Clock, from_unix, to_unix
from takings.connections.estimate import PAGE_ROWS, Sampled, minutes_for, pages_for, rows_since
from takings.connections.keys import livemode_of
from takings.connections.model import Access, Credentials, Estimate, ListAccess, Probe
from takings.errors import NotFound, Refused, TakingsError, Unavailable, Unexpected
from takings.stripe import Item, Stripe

#: No object is older: Stripe began in 2010.
BEGINNING: Final = int(datetime(2010, 1, 1, tzinfo=UTC).timestamp())
#: Histories offered besides all of it, in months of 365/12 days.
MONTHS: Final = (24, 12)

_HISTORIES: Final = ("balance_transactions", "charges", "payment_intents", "invoices", "customers", "events")
_HISTORIES_ASKED: Final = 3  # as many of these are searched for their first row
_POINTS: Final = 4  # pages asked for between the first row and the last, a list
_STEPS: Final = 24  # halvings at most: 16 years to a second
_CLOSE_ENOUGH_S: Final = 86_400
_THREADS: Final = 16
_PAYOUTS: Final = "/v1/balance_transactions?payout="  # which transactions each payout paid out: one list a payout
_UNNAMED: Final = "Read"  # what the client calls a permission that Stripe did not name
_REFUSALS: Final = frozenset(
    ("stripe.key_refused", "stripe.key_expired", "stripe.account_access", "oauth.grant_refused")
)
_INVOICE_ACCOUNT: Final = re.compile(
    rb"https://(?:invoice\.stripe\.com/i|pay\.stripe\.com/invoice)/(acct_[A-Za-z0-9]+)"
)

Params = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Account:
    id: str | None
    name: str | None = None
    country: str | None = None
    currency: str | None = None
    created: int | None = None


@dataclass(slots=True)
class _Looked:
    """A list as it has been looked at so far, one parameter set of it."""

    endpoint: ListEndpoint
    params: Params
    access: Access = "allowed"
    error: TakingsError | None = None
    items: list[Item] = field(default_factory=list)
    samples: list[Sampled] = field(default_factory=list)
    counted: int | None = None  # rows, where the first page was the whole list
    first: Item | None = None  # oldest row, where it was found

    def asking(self, rows: int) -> Params:
        """Return the parameters for that many rows; a few short lists take no ``limit``."""
        known = self.endpoint.parameters
        return {**self.params, "limit": str(rows)} if not known or "limit" in known else self.params

    @property
    def dated(self) -> bool:
        """True where rows before a moment can be asked for."""
        return self.endpoint.created_filter and self.endpoint.api == "v1"

    @property
    def grows(self) -> bool:
        """True where it is longer than a page."""
        return self.access == "allowed" and self.counted is None


class Prober:
    """Asks Stripe what one set of credentials opens, in a hundred requests or so.

    Args:
        stripe: Client for these credentials.
        catalog: What lists there are.
        clock: The one clock.
        rates: Given live mode or not, the requests a second that we take of the account and of one endpoint.
    """

    def __init__(
        self, stripe: Stripe, catalog: Catalog, clock: Clock, rates: Callable[[bool], tuple[float, float]]
    ) -> None:
        self._stripe, self._catalog, self._clock, self._rates = stripe, catalog, clock, rates
        self._now = to_unix(clock.now()) + 1

    def run(
        self,
        credentials: Credentials,
        *,
        estimate: bool = True,
        anchored: bool = False,
        pool_account: str | None = None,
    ) -> Probe:
        """Find out everything.

        Args:
            credentials: Those of the client.
            estimate: False to leave out how much there is (for a re-authentication: nothing is loaded anew).
            anchored: Find the very oldest object too, by which an account is recognised that was joined when Stripe
                did not tell its id.

        Raises:
            Refused: Stripe does not take the credentials, or they open no list at all.
            Unavailable: Stripe or the network is away.
        """
        account = self._account(credentials)
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="probe") as pool:
            looked = list(pool.map(self._look, self._wanted()))
            self._require_something(looked)
            exact = anchored or account.id is None
            histories = [
                one for table in _HISTORIES for one in looked if one.endpoint.table == table and one.grows and one.dated
            ][:_HISTORIES_ASKED]
            if estimate or exact:
                list(pool.map(lambda one: self._find_first(one, account.created, exact=exact), histories))
            first = self._first_moment(looked)
            if estimate:
                list(pool.map(lambda job: self._sample(*job), self._points(looked, first)))
        account = self._completed(account, looked)
        livemode = self._livemode(credentials, looked)
        anchor = _anchor(looked, credentials)
        return Probe(
            account_id=account.id or anchor,
            account_known=account.id is not None,
            account_name=account.name or account.id or "",
            country=account.country,
            currency=account.currency,
            livemode=livemode,
            first_at=None if first is None else from_unix(first),
            lists=self._lists(looked),
            estimates=self._estimates(looked, livemode) if estimate else (),
            aliases=(anchor,) if exact else (),
            pool_account=pool_account,
            broad_key=credentials.way == "key" and credentials.secret.startswith("sk_") and not credentials.context,
        )

    def _account(self, credentials: Credentials) -> _Account:
        """Ask whose key it is; a key without that permission is told so by Stripe, often together with the account's id."""
        named = None if credentials.account is None else credentials.account.rpartition("/")[2]
        try:
            found = account_of(self._stripe.get("/v1/account").body)
        except msgspec.DecodeError:
            return _Account(id=named)
        except (Refused, NotFound, Unexpected) as error:
            if is_refusal(error):
                raise
            return _Account(id=named or _text(error.fields.get("account")))
        return replace(found, id=found.id or named)

    def _wanted(self) -> list[_Looked]:
        """Return every list that stands by itself and is read by default, once for each of its parameter sets."""
        return [
            _Looked(endpoint, {**variant, **{name: values[0] for name, values in endpoint.query_fixed.items()}})
            for endpoint in self._catalog.top_level()
            if endpoint.default and not (endpoint.needs or endpoint.window or endpoint.computed)
            for variant in endpoint.variants
        ]

    def _look(self, one: _Looked) -> _Looked:
        """Ask for one row, and for a page where there are more."""
        try:
            page = self._stripe.page(one.endpoint.path, one.asking(1))
            if page.has_more or page.next_page_url:
                page = self._stripe.page(one.endpoint.path, one.asking(PAGE_ROWS))
        except TakingsError as error:
            one.access, one.error = _access_after(error), error
            return one
        one.items = list(page.items)
        if not (page.has_more or page.next_page_url):
            one.counted = len(page.items)
            dated = [item for item in page.items if item.created is not None]
            one.first = min(dated, key=lambda item: item.created or 0, default=None)
        one.samples.append(_sampled(self._now, page.items, bool(page.has_more or page.next_page_url)))
        return one

    def _require_something(self, looked: Sequence[_Looked]) -> None:
        if any(one.access == "allowed" for one in looked):
            return
        for one in looked:
            if isinstance(one.error, Unavailable):
                raise one.error
        raise Refused(
            "connections.nothing_readable",
            "Stripe accepts this key, but it may read nothing that Takings needs: give it the Read permissions listed on this page.",
        )

    def _sample(self, one: _Looked, before: int) -> Sequence[Item]:
        """Take the page of rows created before a moment; a failure only makes the estimate coarser."""
        try:
            page = self._stripe.page(one.endpoint.path, {**one.asking(PAGE_ROWS), "created[lt]": str(before)})
        except TakingsError as error:
            if isinstance(error, Refused):
                raise
            return ()
        one.samples.append(_sampled(before, page.items, page.has_more))
        return page.items

    def _find_first(self, one: _Looked, created: int | None, *, exact: bool) -> None:
        """Search for the oldest row by halving the time in which it can lie."""
        low, high = BEGINNING, one.samples[0].created[-1] if one.samples[0].created else self._now
        guess = None if created is None else created + _CLOSE_ENOUGH_S
        for _ in range(_STEPS):
            if high - low <= (1 if exact else _CLOSE_ENOUGH_S):
                break
            middle = guess if guess is not None and low < guess < high else (low + high) // 2
            guess = None
            items = self._sample(one, middle)
            sampled = one.samples[-1]
            if sampled.before != middle:
                break
            if not items:
                low = middle
            elif sampled.has_more:
                high = min(middle, sampled.created[-1]) if sampled.created else middle
                one.first = items[-1]
            else:
                one.first = items[-1]
                break

    def _first_moment(self, looked: Iterable[_Looked]) -> int | None:
        return min((one.first.created for one in looked if one.first and one.first.created is not None), default=None)

    def _points(self, looked: Sequence[_Looked], first: int | None) -> list[tuple[_Looked, int]]:
        """Choose the moments at which pages tell how dense each long list is."""
        if first is None:
            return []
        return [
            (one, first + (self._now - first) * step // (_POINTS + 1))
            for one in looked
            if one.grows and one.dated and one.samples[0].created
            for step in range(1, _POINTS + 1)
        ]

    def _completed(self, account: _Account, looked: Sequence[_Looked]) -> _Account:
        """Fill in what the account itself did not tell from an invoice, which carries its issuer."""
        for one in looked:
            for item in one.items if one.endpoint.object == "invoice" else ():
                address = _INVOICE_ACCOUNT.search(item.raw)
                invoice = msgspec.json.decode(item.raw)
                return replace(
                    account,
                    id=account.id or (address.group(1).decode() if address else None),
                    name=account.name or _text(invoice.get("account_name")),
                    country=account.country or _text(invoice.get("account_country")),
                )
        return account

    def _livemode(self, credentials: Credentials, looked: Sequence[_Looked]) -> bool:
        """Believe the objects, then the form of the key."""
        for one in looked:
            for item in one.items[:1]:
                told = msgspec.json.decode(item.raw).get("livemode")
                if isinstance(told, bool):
                    return told
        return livemode_of(credentials.secret) or False

    def _lists(self, looked: Sequence[_Looked]) -> tuple[ListAccess, ...]:
        """Join the parameter sets of one list into one line each."""
        lines: dict[str, ListAccess] = {}
        for one in looked:
            rows, exact = _rows(one, BEGINNING)
            before = lines.get(one.endpoint.path)
            if before is not None and before.rows is not None and rows is not None:
                rows, exact = rows + before.rows, exact and before.exact
            error = one.error
            permission = error.fields.get("permission", _UNNAMED) if error is not None else _UNNAMED
            lines[one.endpoint.path] = ListAccess(
                path=one.endpoint.path,
                table=one.endpoint.table,
                access=one.access,
                permission=_text(permission) if permission != _UNNAMED else one.endpoint.permission,
                reason=None if error is None else error.sentence,
                reason_code=None if error is None else error.code,
                rows=rows,
                exact=exact,
            )
        return tuple(lines.values())

    def _estimates(self, looked: Sequence[_Looked], livemode: bool) -> tuple[Estimate, ...]:
        now = self._clock.now()
        starts = [None, *(now - timedelta(days=round(months * 365 / 12)) for months in MONTHS)]
        rates = self._rates(livemode)
        return tuple(self._estimate(looked, start, rates) for start in starts)

    def _estimate(self, looked: Sequence[_Looked], start: datetime | None, rates: tuple[float, float]) -> Estimate:
        since = BEGINNING if start is None else to_unix(start)
        objects, all_exact = 0, True
        requests: dict[str, int] = {}
        tables: dict[str, int] = {}
        for one in looked:
            if one.access != "allowed":
                continue
            rows, exact = _rows(one, since if one.dated else BEGINNING)
            rows = rows or 0
            children, follow_ups = _nested(one.items, self._catalog.resources.get(one.endpoint.table))
            objects += rows + round(rows * children)
            all_exact = all_exact and exact
            tables[one.endpoint.table] = tables.get(one.endpoint.table, 0) + rows
            requests[one.endpoint.path] = (
                requests.get(one.endpoint.path, 0) + pages_for(rows) + round(rows * follow_ups)
            )
        requests[_PAYOUTS] = tables.get("payouts", 0)
        for endpoint in self._catalog.lists:
            parents = list(endpoint.needs.values())
            if endpoint.default and len(parents) == 1 and not endpoint.computed and not self._embedded(endpoint):
                requests[endpoint.path] = tables.get(parents[0].partition(".")[0], 0)
        return Estimate(
            start_at=start,
            objects=objects,
            requests=sum(requests.values()),
            minutes=minutes_for(list(requests.values()), *rates),
            exact=all_exact,
        )

    def _embedded(self, endpoint: ListEndpoint) -> bool:
        """Tell whether a nested list comes along with its parents, so that only long ones cost a request."""
        return any(
            nested.table == endpoint.table and (nested.always or nested.expand)
            for resource in self._catalog.resources.values()
            for nested in resource.nested
        )


def account_of(body: bytes) -> _Account:
    """Read an account object; what it does not say is None.

    Raises:
        msgspec.DecodeError: It is no JSON.
    """
    told = msgspec.json.decode(body)
    if not isinstance(told, dict):
        return _Account(id=None)
    name = _at(told, "settings", "dashboard", "display_name") or _at(told, "business_profile", "name")
    created = told.get("created")
    return _Account(
        id=_text(told.get("id")),
        name=_text(name) or _text(_at(told, "company", "name")) or _text(told.get("email")),
        country=_text(told.get("country")),
        currency=_text(told.get("default_currency")),
        created=created if isinstance(created, int) else None,
    )


def is_refusal(error: TakingsError) -> bool:
    """Tell whether an error means that the credentials themselves are no good (any more)."""
    return isinstance(error, Refused) and error.code in _REFUSALS


def _access_after(error: TakingsError) -> Access:
    """Sort what Stripe answered about one list.

    Raises:
        TakingsError: The credentials themselves are refused: nothing else need be asked.
    """
    if is_refusal(error):
        raise error
    if error.code == "stripe.permission_missing":
        return "forbidden"
    if error.code == "stripe.not_enabled":
        return "unavailable"
    return "unknown"


def _sampled(before: int, items: Sequence[Item], has_more: bool) -> Sampled:
    created = sorted((item.created for item in items if item.created is not None), reverse=True)
    return Sampled(before, tuple(created), has_more)


def _rows(one: _Looked, since: int) -> tuple[int | None, bool]:
    """Return how many rows a list has since a moment, and whether that is exact; None where it cannot be told."""
    if one.access != "allowed":
        return None, True
    if one.counted is not None:
        dated = [item.created for item in one.items if item.created is not None]
        if len(dated) < one.counted:
            return one.counted, True
        return sum(1 for moment in dated if moment >= since), True
    if not one.samples[0].created:
        return len(one.items), False  # no dates to judge by: at least these
    if not one.dated or len(one.samples) == 1:
        oldest = one.first.created if one.first is not None and one.first.created is not None else None
        return rows_since(one.samples, max(since, oldest or since))[0], False
    oldest_seen = min((page.created[-1] for page in one.samples if page.created), default=since)
    empty_below = max((page.before for page in one.samples if not page.created and not page.has_more), default=0)
    return rows_since(one.samples, max(since, empty_below if empty_below < oldest_seen else since))


def _nested(items: Sequence[Item], resource: Resource | None) -> tuple[float, float]:
    """Return, for one parent, the rows in its embedded lists and the requests to complete those that are cut."""
    lists = [nested for nested in (resource.nested if resource else ()) if nested.always]
    if not lists or not items:
        return 0.0, 0.0
    children = follow_ups = 0
    for item in items:
        body = msgspec.json.decode(item.raw)
        for nested in lists:
            embedded = body.get(nested.field)
            if isinstance(embedded, dict) and isinstance(embedded.get("data"), list):
                children += len(embedded["data"])
                follow_ups += bool(embedded.get("has_more"))
    return children / len(items), follow_ups / len(items)


def _anchor(looked: Sequence[_Looked], credentials: Credentials) -> str:
    """Return an id for an account that Stripe does not name: made from its oldest object, else from the key.

    The oldest object of a list that never loses rows stays the same whichever key reads it.
    """
    for table in _HISTORIES[:4]:
        for one in looked:
            if one.endpoint.table == table and one.first is not None:
                return "unknown_" + hashlib.sha256(one.first.id.encode()).hexdigest()[:16]
    return "unknown_" + hashlib.sha256(b"takings:" + credentials.secret.encode()).hexdigest()[:16]


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
