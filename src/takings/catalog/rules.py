"""What a field is, decided from its name, annotation and docstring: times, amounts, currencies; and the plural of a word."""

from __future__ import annotations

import re

# Stripe's SDK writes times and amounts as plain integers. These rules tell them apart; a test holds the first one
# against every `unix-time` of Stripe's OpenAPI document.
_TIME_NAME = re.compile(
    r"^(created|updated|date|timestamp|expires|eta|as_of|deadline|start|end|billing_cycle_anchor)$"
    r"|_(at|on|by|date|time|timestamp|deadline|until|start|end|from|before|after)$"
)
_TIME_DOC = re.compile(
    r"\b(unix|epoch|timestamp)\b|^(the |an? )?(approximate )?(date|time|moment) (at|on|by|when|that|which|after|before|until)\b",
    re.IGNORECASE,
)
_NO_TIME_NAME = re.compile(r"^(divide_by|version)$|_(duration|days|hours|minutes|seconds|count)$")
# `Time in seconds until …`, `Number of days …`, `day of the month`: lengths and calendar numbers, not moments.
_NO_TIME_DOC = re.compile(r"^(the )?(number of|time in|duration|how (many|long))|day of the month", re.IGNORECASE)

_AMOUNT_NAME = re.compile(r"(^|_)amounts?(_|$)|^(sub)?total$|_fees?$|^(starting_|ending_)?balance$")
_AMOUNT_DOC = re.compile(
    r"\bcents\b|smallest currency unit|\bminor unit|local equivalent|smallest (possible )?unit of"
    r"|\b(unit amount|representing the amount|amount coming from|below this amount)\b"
    r"|\bchange made to funds\b",
    re.IGNORECASE,
)
_NO_AMOUNT_DOC = re.compile(r"\bpercent(age)?\b.*\b(points?|between 0)\b|number of (units|items)", re.IGNORECASE)

_CURRENCY_DOC = re.compile(
    r"^(the )?(three-letter )?\[?iso (4217 )?(currency )?code|three-letter \[?iso", re.IGNORECASE
)
_ID_NAME = re.compile(r"^id$")
_ID_DOC = re.compile(
    r"^(the |a )?(unique )?(id|identifier)s? (of|for)\b|^unique identifier\b|^the id\b|^(the )?stripe id\b",
    re.IGNORECASE,
)
_RFC3339 = re.compile(r"\brfc ?3339\b|\biso ?8601\b", re.IGNORECASE)

_IRREGULAR = {"balance": "balance", "tax_settings": "tax_settings", "balance_settings": "balance_settings"}


def is_time(name: str, doc: str) -> bool:
    """Tell whether an integer counts Unix seconds.

    Args:
        name: The field's own name, without what encloses it.
        doc: Stripe's description of it; may be empty.
    """
    if name == "billing_cycle_anchor":  # its description speaks of days of the month too
        return True
    if _NO_TIME_NAME.search(name) or _NO_TIME_DOC.search(doc):
        return False
    return bool(_TIME_NAME.search(name) or _TIME_DOC.search(doc))


def is_time_text(name: str, doc: str) -> bool:
    """Tell whether a string holds a moment (RFC 3339): the rule for v2 objects, whose times are texts."""
    if re.search(r"\b(date of birth|YYYY-MM-DD|IANA)\b", doc):
        return False
    return bool(re.search(r"^(created|updated)$|_at$", name) or _RFC3339.search(doc))


def is_amount(name: str, doc: str) -> bool:
    """Tell whether an integer counts minor units of a currency.

    Args:
        name: The field's own name.
        doc: Stripe's description of it; may be empty.
    """
    if is_time(name, doc) or _NO_AMOUNT_DOC.search(doc):
        return False
    return bool(_AMOUNT_NAME.search(name) or _AMOUNT_DOC.search(doc))


def is_currency(name: str, doc: str) -> bool:
    """Tell whether a string is a three-letter currency code."""
    if name == "id":
        return False
    return name == "currency" or name.endswith("_currency") or bool(_CURRENCY_DOC.search(doc))


def is_id(name: str, doc: str) -> bool:
    """Tell whether a string is a Stripe id that Stripe does not offer to expand."""
    return bool(_ID_NAME.search(name) or _ID_DOC.search(doc))


def plural(word: str) -> str:
    """Return the plural of a snake-case English noun: ``balance_transaction`` gives ``balance_transactions``."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if re.search(r"[^aeiou]y$", word):
        return f"{word[:-1]}ies"
    return f"{word}es" if re.search(r"(s|x|z|ch|sh)$", word) else f"{word}s"


def table_name(object_name: str) -> str:
    """Return the table of an object by the plural rule: ``checkout.session`` gives ``checkout_sessions``."""
    return plural(object_name.replace(".", "_"))
