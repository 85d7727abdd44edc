"""Every sentence a person reads, in English and French side by side, and the formats of numbers, money and time.

The sentences stand in the ``*.toml`` files of this folder, one file an area of the product::

    [connections.add]
    en = "Add a Data Source"
    fr = "Ajouter une source de données"

A key with ``one`` and ``other`` for each language is chosen by the field ``n``::

    [connections.rows]
    en = {one = "{n} row", other = "{n} rows"}
    fr = {one = "{n} ligne", other = "{n} lignes"}
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_skeleton, format_time, format_timedelta, get_datetime_format
from babel.numbers import (
    format_compact_currency,
    format_compact_decimal,
    format_currency,
    format_decimal,
    format_percent,
)

from takings.clock import require_aware
from takings.errors import TakingsError
from takings.money import Money, exponent

LOCALES: Final = ("en", "fr")
Sentence = str | Mapping[str, str]

_NO_THIN_SPACE = {0x202F: 0x00A0}
_FRENCH_SPACE = re.compile(r" (?=[:;!?»])|(?<=«) ")


@cache
def sentences() -> dict[str, dict[str, Sentence]]:
    """Return every key with its sentence in each language.

    Raises:
        ValueError: Two files define one key.
    """
    found: dict[str, dict[str, Sentence]] = {}

    def walk(prefix: str, node: Mapping[str, object], file: str) -> None:
        if any(locale in node for locale in LOCALES):
            if prefix in found:
                raise ValueError(f"{file} defines {prefix}, which another file has already.")
            found[prefix] = {locale: _typeset(node[locale], locale) for locale in LOCALES if locale in node}
            return
        for name, below in node.items():
            if isinstance(below, Mapping):
                walk(f"{prefix}.{name}" if prefix else name, below, file)

    for path in sorted(Path(__file__).parent.glob("*.toml")):
        walk("", tomllib.loads(path.read_text("utf-8")), path.name)
    return found


def _typeset(sentence: Any, locale: str) -> Sentence:
    """Make the spaces that French has before : ; ! ? and inside « » no-break ones, so that no file need hold them."""
    if isinstance(sentence, Mapping):
        return {form: str(_typeset(text, locale)) for form, text in sentence.items()}
    return _FRENCH_SPACE.sub("\u00a0", str(sentence)) if locale == "fr" else str(sentence)


class Words:
    """The product's voice in one language and time zone.

    Args:
        locale: ``en`` or ``fr``.
        zone: IANA name of the zone that moments are shown in.

    Raises:
        ValueError: Another locale.
    """

    def __init__(self, locale: str = "en", zone: str = "UTC") -> None:
        if locale not in LOCALES:
            raise ValueError(f"{locale!r} is not one of {', '.join(LOCALES)}.")
        self.locale = locale
        self.zone = ZoneInfo(zone)
        self._babel = Locale.parse({"en": "en_US", "fr": "fr_FR"}[locale])

    def __call__(self, key: str, /, **fields: object) -> str:
        """Return a sentence.

        Args:
            key: Dotted key; a missing one raises ``KeyError``, so that no page shows a raw key.
            **fields: Values for its ``{placeholders}``; integers are grouped as the language does. ``n`` chooses
                between the singular and the plural form.
        """
        sentence = sentences()[key][self.locale]
        if not isinstance(sentence, str):
            sentence = sentence["one" if self._is_one(fields.get("n")) else "other"]
        if not fields:
            return sentence
        shown = {k: self.number(v) if isinstance(v, int) and not isinstance(v, bool) else v for k, v in fields.items()}
        return sentence.format(**shown)

    def _is_one(self, n: object) -> bool:
        if not isinstance(n, int | float):
            return False
        return -1 <= n <= 1 if self.locale == "fr" and n != -1 else n == 1

    def has(self, key: str) -> bool:
        """Tell whether a sentence exists."""
        return key in sentences()

    def error(self, error: TakingsError) -> str:
        """Return an error's sentence in this language (in English where no translation exists)."""
        return self.reason(error.code, error.sentence, **error.fields)

    def reason(self, code: str | None, sentence: str, **fields: object) -> str:
        """Return the translation of a stored reason: ``error.<code>``, or the English sentence where there is none."""
        key = f"error.{code}"
        if self.locale == "en" or code is None or key not in sentences():
            return sentence
        try:
            return self(key, **fields)
        except KeyError:  # a field that an older version did not store
            return sentence

    def number(self, value: int | float | Decimal) -> str:
        """Group a number as the language does."""
        return format_decimal(value, locale=self._babel).translate(_NO_THIN_SPACE)

    def percent(self, ratio: float | Decimal | None, digits: int = 1) -> str:
        """Print a ratio (0 to 1) as a percentage; ``None`` is "n/a"."""
        if ratio is None:
            return "n/a" if self.locale == "en" else "s. o."
        pattern = "#,##0." + "0" * digits + "%" if self.locale == "en" else "#,##0." + "0" * digits + "\u00a0%"
        return format_percent(ratio, pattern if digits else None, locale=self._babel).translate(_NO_THIN_SPACE)

    def money(self, amount: Money) -> str:
        """Print an amount with its currency, with the decimals that Stripe gives it."""
        digits = exponent(amount.currency)
        decimals = "." + "0" * digits if digits else ""
        pattern = f"¤#,##0{decimals}" if self.locale == "en" else f"#,##0{decimals}\u00a0¤"
        text = format_currency(
            amount.major, amount.currency.upper(), pattern, locale=self._babel, currency_digits=False
        )
        return text.translate(_NO_THIN_SPACE)

    def amount(self, amount: Money) -> str:
        """Print an amount without its currency, with the decimals that Stripe gives it: for columns that name theirs."""
        digits = exponent(amount.currency)
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return format_decimal(amount.major, pattern, locale=self._babel).translate(_NO_THIN_SPACE)

    def short(self, value: float, currency: str | None = None) -> str:
        """Print a number, or an amount in major units, as short as an axis needs it: ``€1.2K``."""
        if currency is None:
            text = format_compact_decimal(value, locale=self._babel, fraction_digits=1)
        else:
            text = format_compact_currency(value, currency.upper(), locale=self._babel, fraction_digits=1)
        return text.translate(_NO_THIN_SPACE)

    def day(self, day: date) -> str:
        """Print a calendar day, short."""
        return format_date(day, "medium", locale=self._babel).translate(_NO_THIN_SPACE)

    def month(self, month: date) -> str:
        """Print a calendar month, short: ``Oct 2026``."""
        return format_skeleton("yMMM", month, locale=self._babel).translate(_NO_THIN_SPACE)

    def moment(self, moment: datetime) -> str:
        """Print a moment in the reader's zone, to the minute."""
        local = require_aware(moment).astimezone(self.zone)
        joined = str(get_datetime_format("medium", locale=self._babel)).replace("'", "")
        shown = joined.format(format_time(local, "short", locale=self._babel), self.day(local.date()))
        return shown.translate(_NO_THIN_SPACE)

    def ago(self, moment: datetime, now: datetime) -> str:
        """Print how long ago a moment was, or in how long it will be."""
        return format_timedelta(moment - now, add_direction=True, locale=self._babel).translate(_NO_THIN_SPACE)
