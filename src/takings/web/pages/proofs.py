"""Verifications of a connection: what was compared with Stripe, how it came out, and each thing that differed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from litestar import Response, get
from litestar.params import FromPath

from takings.money import Money
from takings.proof import Part, Verification
from takings.sync import FindingBook
from takings.web.context import FromApp, FromReader, Reader, show
from takings.web.pages.connections_drift import FindingRow, finding_row
from takings.web.pages.connections_health import proofs_of
from takings.web.pages.connections_parts import ADMIN, HOME, connections_of, duration

_SHOWN: Final = 30
_FINDINGS: Final = 200
_TONES: Final = {
    "waiting": "busy",
    "running": "busy",
    "proven": "good",
    "differs": "bad",
    "incomplete": "warn",
    "unchecked": "quiet",
}
_WORST: Final = ("differs", "incomplete", "unchecked", "proven")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofRow:
    """One verification, in the reader's words.

    Attributes:
        asked: What was to be verified.
        reason: Why it is not finished; None: it is, or it runs.
    """

    id: str
    state: str
    state_text: str
    tone: str
    asked: str
    started_at: datetime
    started: str
    took: str
    rows: int
    requests: int
    differences: int
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRow:
    """One check of one table, currency or list.

    Attributes:
        rows: How many rows were compared, of how many.
        stripe, ours: Figures; empty where none were compared.
        reason: Why it is not proven and does not differ.
    """

    check: str
    check_text: str
    subject: str
    href: str | None
    state: str
    state_text: str
    tone: str
    rows: str
    stripe: str
    ours: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofsPage:
    """The verifications of one connection.

    Attributes:
        going: One waits or runs.
        latest: The newest that came to its end; None: none did yet.
        can_verify: Another may be asked for.
        quiet: Lists of the latest of which nothing is said.
    """

    connection_id: str
    connection_name: str
    can_verify: bool
    going: bool
    proofs: tuple[ProofRow, ...]
    latest: ProofRow | None
    parts: tuple[PartRow, ...]
    quiet: tuple[PartRow, ...]
    findings: tuple[FindingRow, ...]


@get(f"{HOME}/{{connection_id:str}}/proofs", opt=ADMIN, sync_to_thread=True)
def proofs(app: FromApp, reader: FromReader, connection_id: FromPath[str]) -> Response[Any]:
    """Show them."""
    connection = connections_of(app).get(connection_id)
    found = proofs_of(app).latest(connection_id, _SHOWN)
    going = any(one.state in ("waiting", "running") for one in found)
    latest = next((one for one in found if one.state not in ("waiting", "running")), None)
    parts = () if latest is None else _parts(latest.parts, reader)
    differing = () if latest is None else FindingBook(app.store).of(connection_id, run_id=latest.id, limit=_FINDINGS)
    page = ProofsPage(
        connection_id=connection.id,
        connection_name=connection.name,
        can_verify=connection.state == "active" and not going,
        going=going,
        proofs=tuple(_row(one, reader) for one in found),
        latest=None if latest is None else _row(latest, reader),
        parts=tuple(part for part in parts if part.state != "unchecked"),
        quiet=tuple(part for part in parts if part.state == "unchecked"),
        findings=tuple(finding_row(app, one, connection, reader) for one in differing),
    )
    return show(reader, "proofs", page)


def _row(one: Verification, reader: Reader) -> ProofRow:
    words = reader.words
    if one.state == "proven":
        state_text = words("health.proof_proven_whole" if one.asked.whole else "health.proof_proven")
    elif one.state == "differs":
        state_text = words("health.proof_differs", n=one.differences)
    else:
        state_text = words(f"health.proof_{one.state}")
    asked = words(f"health.extent_{one.asked.extent}")
    if one.asked.lists:
        asked = f"{asked}: {', '.join(one.asked.lists[:3])}{'…' if len(one.asked.lists) > 3 else ''}"
    if one.asked.scheduled:
        asked = words("health.extent_scheduled", extent=asked)
    return ProofRow(
        id=one.id,
        state=one.state,
        state_text=state_text,
        tone=_TONES[one.state],
        asked=asked,
        started_at=one.started_at,
        started=words.moment(one.started_at),
        took=duration(max(one.ended_at or reader.now, one.started_at) - one.started_at, words),
        rows=one.rows,
        requests=one.requests,
        differences=one.differences,
        reason=words.reason(one.reason_code, one.reason) if one.reason else None,
    )


def _parts(found: Sequence[Part], reader: Reader) -> tuple[PartRow, ...]:
    ordered = sorted(found, key=lambda one: (_WORST.index(one.state), one.check, one.table, one.subject))
    return tuple(_part(one, reader) for one in ordered)


def _part(one: Part, reader: Reader) -> PartRow:
    words = reader.words

    def figure(value: int | None) -> str:
        if value is None:
            return ""
        if len(one.subject) == 3 and one.subject.isalpha():
            return words.money(Money(value, one.subject.lower()))
        return words.number(value)

    rows = words.number(one.rows) if one.rows or one.check in ("rows", "integrity") else ""
    if one.of is not None and one.of != one.rows:
        rows = words("health.proof_of", rows=one.rows, of=one.of)
    key = f"health.check_{one.check}"
    return PartRow(
        check=one.check,
        check_text=words(key) if words.has(key) else one.check,
        subject=one.table or one.list or one.subject.upper(),
        href=f"/tables/{one.table}" if one.table else None,
        state=one.state,
        state_text=words(f"health.part_{one.state}"),
        tone=_TONES[one.state],
        rows=rows,
        stripe=figure(one.stripe),
        ours=figure(one.ours),
        reason=words.reason(one.reason_code, one.reason) if one.reason else None,
    )


routes = [proofs]
