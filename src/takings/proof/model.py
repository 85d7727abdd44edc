"""The values that speak of a verification: what was asked, what was checked, and how it came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal

State = Literal["waiting", "running", "proven", "differs", "incomplete"]
PartState = Literal["proven", "differs", "incomplete", "unchecked"]
Check = Literal["rows", "integrity", "balance", "payouts", "freshness"]
Extent = Literal["full", "recent", "sampled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be verified.

    Attributes:
        extent: ``full``: every row; ``recent``: the youngest stretch of each list, all checks that cost nothing, and some
            stretches chosen by dice; ``sampled``: a few stretches, within the budget.
        lists: Path templates of lists; empty: all.
        start: Only what was made from this moment on; None: no bound.
        end: Only what was made before this moment; None: no bound.
        scheduled: True where nobody asked for it.
    """

    extent: Extent = "recent"
    lists: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None
    scheduled: bool = False

    @property
    def whole(self) -> bool:
        """True where everything there is was asked for."""
        return self.extent == "full" and not self.lists and self.start is None and self.end is None

    def as_json(self) -> dict[str, Any]:
        """Return it for the store."""
        return {
            "extent": self.extent,
            "lists": list(self.lists),
            "start": None if self.start is None else self.start.isoformat(),
            "end": None if self.end is None else self.end.isoformat(),
            "scheduled": self.scheduled,
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Asked:
        """Read what the store has."""
        start, end = found.get("start"), found.get("end")
        return cls(
            extent=found.get("extent", "recent"),
            lists=tuple(found.get("lists", ())),
            start=None if start is None else datetime.fromisoformat(start),
            end=None if end is None else datetime.fromisoformat(end),
            scheduled=bool(found.get("scheduled")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One check of one table, currency or list.

    Attributes:
        check: ``rows``: ids and content of rows against Stripe's list; ``integrity``: each row against the payload it came
            from, without requests; ``balance``: the sum of all balance transactions against Stripe's balance;
            ``payouts``: each payout against what it paid out; ``freshness``: how old the newest proven moment is.
        state: ``unchecked`` where it could not be checked at all, so that nothing is said of it.
        table: Table concerned, empty for none.
        list: Path template of the list, empty for none.
        subject: Currency, where one is meant.
        reason: Why it is not proven and does not differ, in a sentence.
        rows: Rows compared.
        of: Rows that the table has, where not all were compared; None: all of them were.
        requests: Requests it took.
        differences: Rows or figures that differ.
        awaited: Rows in an open state here that Stripe has moved on without an event: the next look brings them.
        stripe: Stripe's figure: minor units, or rows.
        ours: Our figure.
        as_of: Everything Stripe held at this moment was here; of a balance: when the newest transaction in our sum was
            made, so that the same sum can be worked out again later.
    """

    check: Check
    state: PartState
    table: str = ""
    list: str = ""
    subject: str = ""
    reason: str | None = None
    reason_code: str | None = None
    rows: int = 0
    of: int | None = None
    requests: int = 0
    differences: int = 0
    awaited: int = 0
    stripe: int | None = None
    ours: int | None = None
    as_of: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it for the store and for programs."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        found["as_of"] = None if self.as_of is None else self.as_of.isoformat()
        return found

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Part:
        """Read what the store has; what is not known is left out."""
        known = {field.name: found[field.name] for field in fields(cls) if field.name in found}
        if known.get("as_of") is not None:
            known["as_of"] = datetime.fromisoformat(known["as_of"])
        return cls(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """One verification from the moment it was asked for.

    Attributes:
        state: ``waiting`` for the worker, ``running``, ``proven``: everything checked ties; ``differs``; ``incomplete``:
            something that should have been checked could not be, and nothing checked differs.
        asked: What was to be verified.
        reason: Why it is incomplete, a sentence.
        requests: Requests it took; so far, while it runs.
        rows: Rows compared with Stripe.
        differences: Rows and figures that differ; their ids are in the findings with ``run_id`` equal to ``id``.
        parts: How each check came out.
    """

    id: str
    connection_id: str
    state: State
    asked: Asked
    reason: str | None
    reason_code: str | None
    started_at: datetime
    ended_at: datetime | None
    requests: int
    rows: int
    differences: int
    parts: Sequence[Part] = ()

    @property
    def unchecked(self) -> list[Part]:
        """Lists of which nothing is said, with why."""
        return [part for part in self.parts if part.state == "unchecked"]


def verdict(parts: Sequence[Part]) -> State:
    """Return what several checks come to; what could not be checked at all takes no part, but is named."""
    states = {part.state for part in parts}
    if "differs" in states:
        return "differs"
    return "proven" if "proven" in states and "incomplete" not in states else "incomplete"
