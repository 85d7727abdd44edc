"""What programs ask in text: periods, days, conditions, and which account is meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from takings.app import App
from takings.connections import Connection
from takings.errors import Invalid, NotFound


def period_of(text: str) -> tuple[date, date]:
    """Read a period: a year, a month, a day, or two days with ``..`` between, the second not included.

    Raises:
        Invalid: It is none of these, or ends before it begins.
    """
    wrong = Invalid(
        "answers.no_period",
        f"“{text}” is no period: write it as 2026, 2026-10, 2026-10-31 or 2026-10-01..2026-11-01.",
        text=text,
    )
    first, dots, last = text.partition("..")
    try:
        if dots:
            start, end = date.fromisoformat(first), date.fromisoformat(last)
        elif re.fullmatch(r"\d{4}", text):
            start, end = date(int(text), 1, 1), date(int(text) + 1, 1, 1)
        elif re.fullmatch(r"\d{4}-\d{2}", text):
            start = date.fromisoformat(f"{text}-01")
            end = (start.replace(day=28) + timedelta(days=4)).replace(day=1)
        else:
            start = date.fromisoformat(text)
            end = start + timedelta(days=1)
    except (ValueError, OverflowError) as error:
        raise wrong from error
    if end <= start:
        raise wrong
    return start, end


def day_of(text: str) -> date:
    """Read a day.

    Raises:
        Invalid: It is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Invalid("answers.no_date", f"“{text}” is no date: write it as 2026-03-01.", text=text) from error


def end_of(text: str) -> datetime:
    """Return the end of a day in UTC.

    Raises:
        Invalid: It is no day, or the last that a calendar has.
    """
    return datetime.combine(after(day_of(text)), time(), UTC)


def after(day: date) -> date:
    """Return the next day.

    Raises:
        Invalid: A calendar has none.
    """
    try:
        return day + timedelta(days=1)
    except OverflowError as error:
        text = day.isoformat()
        raise Invalid("answers.no_date", f"“{text}” is no date: write it as 2026-03-01.", text=text) from error


def filters_of(texts: Iterable[str]) -> dict[str, str | tuple[str | None, ...] | None]:
    """Read conditions; several on one name are met by lines with any of the values.

    Raises:
        Invalid: One has no ``=``.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, value in map(filter_of, texts):
        found[name] = (*found.get(name, ()), value)
    return {name: values if len(values) > 1 else values[0] for name, values in found.items()}


def filter_of(text: str) -> tuple[str, str]:
    """Read a condition.

    Raises:
        Invalid: It has no ``=``.
    """
    name, sign, value = text.partition("=")
    if not (sign and name and value):
        raise Invalid("answers.no_filter", f"“{text}” is no condition: write it as country=FR.", text=text)
    return name, value


def find_connection(app: App, name: str) -> Connection:
    """Return the connection that a person names: by name, id or Stripe account, in that order.

    Raises:
        NotFound: There is none, or several bear the account (live and test); the sentence lists the names there are.
    """
    every = app.connections.all()
    for matches in (
        [c for c in every if c.name == name],
        [c for c in every if c.id == name],
        [c for c in every if c.name.casefold() == name.casefold()],
        [c for c in every if c.account_id == name],
    ):
        if len(matches) == 1:
            return matches[0]
    names = ", ".join(f"“{c.name}”" for c in every) or "none yet: add one with `takings connect`"
    raise NotFound(
        "connection.unknown_name", f"No connection is called “{name}”. There are: {names}.", name=name, names=names
    )


def accounts_of(app: App, name: str | None, test: bool) -> list[Connection]:
    """Return the accounts that are meant: the one named, or all that are live (or all that are not).

    Raises:
        NotFound: None bears that name, or there is none at all.
    """
    if name is not None:
        return [find_connection(app, name)]
    found = [one for one in app.connections.all() if one.livemode is not test]
    if not found:
        raise NotFound("sync.nothing", "No connection is there to be read: add one with `takings connect`.")
    return found


def days_of(app: App, period: str | None) -> tuple[date, date]:
    """Return the first day and the day after the last; the last month that is over in UTC where none are given.

    Raises:
        Invalid: It is no period.
    """
    if period is not None:
        return period_of(period)
    end = app.clock.now().date().replace(day=1)
    return (end - timedelta(days=1)).replace(day=1), end


def the_account(app: App, name: str | None) -> Connection:
    """Return the account that is meant: the one named, or the only live one.

    Raises:
        NotFound: None bears that name.
        Invalid: There are several, and none is named.
    """
    found = accounts_of(app, name, False)
    if len(found) > 1:
        names = ", ".join(f"“{one.name}”" for one in found)
        raise Invalid("answers.which_account", f"Which account is meant? There are: {names}.", names=names)
    return found[0]


def require_zone(zone: str) -> None:
    """Check that a zone is known.

    Raises:
        Invalid: It is not.
    """
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:
        raise Invalid("answers.no_zone", f"“{zone}” is no time zone: write it as Europe/Paris.", zone=zone) from error
