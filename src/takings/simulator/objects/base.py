"""What all builders share: reading columns and ids for many rows at once, and people with names and addresses."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, NamedTuple

import numpy as np

from takings.simulator.company import Company
from takings.simulator.dice import I64
from takings.simulator.market import COMPANIES, COUNTRIES, DOMAINS

Object = dict[str, Any]

#: Rows of a list that Stripe embeds in an object before it cuts it.
EMBEDDED = 10


class Rows:
    """Some rows of one table, read column by column.

    Args:
        company: Whose table.
        table: Its name.
        rows: Which rows, none negative.
    """

    def __init__(self, company: Company, table: str, rows: I64) -> None:
        self.company = company
        self.table = company.tables[table]
        self.rows = rows

    def __call__(self, column: str) -> list[Any]:
        """Return a column as plain values."""
        values: list[Any] = self.table.columns[column][self.rows].tolist()
        return values

    def array(self, column: str) -> I64:
        """Return a column as whole numbers to compute with."""
        return self.table.columns[column][self.rows].astype(np.int64)

    def ids(self) -> list[str]:
        """Return the rows' own ids."""
        return self.table.codec.encode(self.rows)

    def created(self) -> list[int]:
        """Return when each was made."""
        moments: list[int] = self.table.created[self.rows].tolist()
        return moments

    def refs(self, column: str, table: str) -> list[str | None]:
        """Return the ids that a column of references points to; None where it points to nothing."""
        return self.company.tables[table].codec.encode_or_none(self.table.columns[column][self.rows])

    def via(self, column: str, table: str, further: str) -> I64:
        """Return a column of the table that a column of references points to; -1 where it points to nothing."""
        rows = self.array(column)
        other = self.company.tables[table]
        if not other.size:
            return np.full(len(rows), -1, np.int64)
        values = other.columns[further][np.maximum(rows, 0)].astype(np.int64)
        return np.where(rows >= 0, values, -1)

    def bits(self, topic: str) -> list[int]:
        """Return 64 random bits for each row."""
        numbers: list[int] = self.company.dice.bits(topic, self.rows).tolist()
        return numbers


def refs(company: Company, table: str, rows: I64) -> list[str | None]:
    """Return the ids of rows of a table, None where a row is negative."""
    return company.tables[table].codec.encode_or_none(rows)


def listed(data: list[Object], total: int, url: str) -> Object:
    """Return an embedded list, of which ``data`` holds the first rows."""
    return {"object": "list", "data": data, "has_more": total > len(data), "total_count": total, "url": url}


def partner_account(company: Company) -> str:
    """Return the id of the partner roaster's account that shared orders are paid on to."""
    return "acct_1" + company.tables["transfers"].codec.one(company.dice.seed + 77)[4:19]


def optional(value: int) -> int | None:
    """Return None for 0, which in columns means "never"."""
    return value or None


class Person(NamedTuple):
    """Somebody with a name, an address and a mailbox."""

    name: str
    email: str
    phone: str
    business: str | None
    locale: str
    address: Object


def _plain(text: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z]", "", ascii_only.lower())


_MAIL_FIRST = [[_plain(name) or "hello" for name in country.first] for country in COUNTRIES]
_MAIL_LAST = [[_plain(name) or "box" for name in country.last] for country in COUNTRIES]


def people(company: Company, keys: I64, countries: list[int], business: list[int] | None = None) -> list[Person]:
    """Return who stands behind each key (a customer's row, or a negative number for a guest)."""
    found: list[Person] = []
    flags = business if business is not None else [0] * len(countries)
    for bits, at, firm in zip(company.dice.bits("person", keys).tolist(), countries, flags, strict=True):
        country = COUNTRIES[at]
        first_at, last_at = bits % len(country.first), (bits >> 8) % len(country.last)
        first, last = country.first[first_at], country.last[last_at]
        city, postal_code, state = country.cities[(bits >> 16) % len(country.cities)]
        number = (bits >> 24) % 180 + 1
        found.append(
            Person(
                f"{first} {last}",
                f"{_MAIL_FIRST[at][first_at]}.{_MAIL_LAST[at][last_at]}{(bits >> 32) % 10_000}@{DOMAINS[(bits >> 46) & 3]}",
                f"{country.phone}{(bits >> 34) % 900_000_000 + 100_000_000}",
                f"{COMPANIES[(bits >> 40) % len(COMPANIES)]} {last}" if firm else None,
                country.locale,
                {
                    "city": city,
                    "country": country.code,
                    "line1": f"{number} {country.streets[(bits >> 50) % len(country.streets)]}",
                    "line2": "Bât. B" if bits >> 60 == 3 else None,
                    "postal_code": postal_code,
                    "state": state,
                },
            )
        )
    return found


def payers(company: Company, customers: I64, methods: I64, currencies: I64) -> list[Person]:
    """Return who pays: the customer, or where there is none (-1) a guest known by the payment method alone."""
    table = company.tables["customers"]
    home = np.array(
        [next((i for i, c in enumerate(company.countries) if c.currency == code), 0) for code in company.currencies]
    )
    at = np.maximum(customers, 0)
    known = customers >= 0
    countries = np.where(known, table["country"][at], home[currencies])
    business = np.where(known, table["business"][at], 0)
    return people(company, np.where(known, customers, -2 - methods), countries.tolist(), business.tolist())


class Card(NamedTuple):
    """A card as it is printed."""

    brand: str
    last4: str
    exp_month: int
    exp_year: int
    funding: str
    fingerprint: str
    network: str


_BRANDS = ("visa", "visa", "visa", "mastercard", "mastercard", "amex")
_FUNDING = ("credit", "debit", "debit", "prepaid")


def token(bits: int) -> str:
    """Return ten letters and digits made of random bits."""
    return f"{bits & 0xFFFFFFFFFF:010x}"


def cards(company: Company, methods: I64) -> list[Card]:
    """Return the card (or the account number's end) of each payment method."""
    year = 1970 + company.end // 31_556_952
    found = []
    for bits in company.dice.bits("card", methods).tolist():
        brand = _BRANDS[bits % 6]
        found.append(
            Card(
                brand,
                f"{(bits >> 8) % 10_000:04d}",
                (bits >> 24) % 12 + 1,
                year + (bits >> 32) % 5,
                _FUNDING[(bits >> 40) & 3],
                f"{bits:016x}",
                brand,
            )
        )
    return found
