"""``takings verify``: prove that what is here is what Stripe has, and name what differs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from takings.cli.common import home_option, json_option

if TYPE_CHECKING:
    from takings.app import App
    from takings.connections import Connection
    from takings.errors import TakingsError
    from takings.proof import Asked, Part, Progress, Verification
    from takings.sync import Finding

DIFFERS = 1
INTERRUPTED = 130

_SAY_EVERY_S = 5.0
_NAMED = 20
_KINDS = {
    "missing": "missing here",
    "stale": "older state here",
    "ghost": "gone at Stripe",
    "altered": "not what its payload says",
    "duplicate": "here more than once",
    "balance": "balance",
    "payout": "payout",
}
#: Why many lists are not checked at once, said once for all of them.
_WHY = {
    "stripe.not_enabled": "Stripe does not offer these to this account: they belong to products that are not switched on.",
    "stripe.permission_missing": "The key may not read these: give it the permission in Stripe's dashboard.",
}


@dataclass(frozen=True, slots=True)
class Result:
    """How the verification of one connection came out.

    Attributes:
        verification: What was checked; None where it could not even begin.
        findings: What differs.
        error: What stood in the way, None where nothing did.
    """

    connection: Connection
    verification: Verification | None
    findings: Sequence[Finding]
    error: TakingsError | None

    @property
    def state(self) -> str:
        """``proven``, ``differs`` or ``incomplete``."""
        return "incomplete" if self.verification is None else self.verification.state

    @property
    def exit_code(self) -> int:
        """0 when all that was checked ties, 1 when something differs or is incomplete, else the error's own code."""
        if self.state == "proven":
            return 0
        if self.state == "incomplete" and self.error is not None:
            return INTERRUPTED if self.error.code == "proof.stopped" else self.error.exit_code
        return DIFFERS


@click.command(short_help="Prove that what is here is what Stripe has.")
@click.argument("name", required=False)
@click.option(
    "--resource",
    "-r",
    "resources",
    metavar="TABLE",
    multiple=True,
    help="Only this table, by its name or its list's path, to its last row; may be given again.",
)
@click.option(
    "--window",
    metavar="FROM..TO",
    help="Only what was made from one day or moment to before another, in the company's time zone "
    "(YYYY-MM-DD..YYYY-MM-DD); either may be left out.",
)
@click.option("--full", is_flag=True, help="Every row, however old.")
@json_option
@home_option
def verify(
    name: str | None, resources: tuple[str, ...], window: str | None, full: bool, as_json: bool, home: Path | None
) -> int:
    """Prove that what is here is what Stripe has, for every connection or for NAME alone; nothing is changed.

    Without --full or --window the youngest rows of every list are compared, samples of older ones, and everything that
    needs no list: each row against its payload, balance, payouts. Ends with 0 only when all that was checked ties.
    """
    from takings.cli.common import opened, settings_for
    from takings.cli.output import print_json
    from takings.cli.processes import stop_event
    from takings.cli.reconcile import lists_of
    from takings.cli.sync import chosen
    from takings.proof import Asked

    with opened(settings_for(home=home)) as app:
        lists = tuple(lists_of(app, resources)) if resources else ()
        start, end = window_of(app, window)
        asked = Asked(extent="full" if full or window or lists else "recent", lists=lists, start=start, end=end)
        stop = stop_event()
        results = []
        for connection in chosen(app, name):
            results.append(carry_out(app, connection, asked, stop))
            if not as_json:
                report(results[-1])
            if stop.is_set():
                break
    if as_json:
        print_json([described(result) for result in results])
    return max((result.exit_code for result in results), default=0)


def window_of(app: App, text: str | None) -> tuple[datetime | None, datetime | None]:
    """Return the moments that a window goes from and to; None for a side that is open.

    Raises:
        Invalid: It is no window.
    """
    from takings.cli.reconcile import moment_of
    from takings.errors import Invalid

    if text is None:
        return None, None
    first, dots, last = text.partition("..")
    start = moment_of(app, first) if first.strip() else None
    end = moment_of(app, last) if last.strip() else None
    if not dots or (start is None and end is None) or (start is not None and end is not None and start >= end):
        raise Invalid("cli.no_window", f"“{text}” is no window: write it as 2026-03-01..2026-04-01.", text=text)
    return start, end


def carry_out(app: App, connection: Connection, asked: Asked, stop: threading.Event) -> Result:
    """Verify one connection, and show on stderr what it costs and how far it is."""
    from takings.errors import TakingsError

    try:
        estimate = app.proof.estimate(connection.id, asked)
        rate = app.settings.rate_live if connection.livemode else app.settings.rate_sandbox
        seconds = max(1, round(estimate / max(0.1, rate * (1 - app.settings.headroom))))
        click.echo(f"{connection.name}: about {estimate:,} requests, {seconds:,} s or more.", err=True)
        with shown(connection.name) as tell:
            proven = app.proof.verify(connection.id, asked, stop=stop, tell=tell)
        return Result(connection, proven.verification, proven.findings, proven.error)
    except TakingsError as error:
        return Result(connection, None, (), error)


@contextmanager
def shown(name: str) -> Iterator[Callable[[Progress], None]]:
    """Give what draws how far it is on stderr: a bar at a terminal, else a line every five seconds."""
    import time

    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if not console.is_terminal:
        last = time.monotonic()

        def say(at: Progress) -> None:
            nonlocal last
            if time.monotonic() - last >= _SAY_EVERY_S:
                last = time.monotonic()
                click.echo(f"{name}: {said(at)}", err=True)

        yield say
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeElapsedColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        task = bars.add_task(f"[bold]{name}", total=None, said="")
        yield lambda at: bars.update(task, completed=at.requests, total=at.estimate or None, said=said(at))


def said(at: Progress) -> str:
    """Say in a few words how far a verification is."""
    doing = {"follow": "getting in step", "integrity": "checking rows against their payloads", "figures": "adding up"}
    compared = f"{at.requests:,} of about {at.estimate:,} requests, {at.rows:,} rows compared"
    return f"{compared}; {doing[at.doing]}" if at.doing in doing else compared


def report(result: Result) -> None:
    """Print the verdict, what it rests on, what differs with its ids, and what was not checked."""
    from takings.cli.output import print_table

    at, name = result.verification, result.connection.name
    if at is None:
        click.echo(f"{name}: not verified.")
    else:
        click.echo(f"{name}: {verdict_said(result, at)}")
        for line in basis(at.parts):
            click.echo(f"  {line}")
    if result.findings:
        print_table(
            ["table", "what", "rows", "stripe", "ours", "difference", "ids"],
            [
                (
                    one.table,
                    _KINDS.get(one.kind, one.kind) + (f" {one.subject}" if one.kind == "balance" else ""),
                    one.count,
                    "" if one.stripe is None else one.stripe,
                    "" if one.ours is None else one.ours,
                    "" if one.difference is None else one.difference,
                    ", ".join(one.ids[:_NAMED]) + (" …" if len(one.ids) > _NAMED else ""),
                )
                for one in result.findings
            ],
        )
        for line in advice(result):
            click.echo(line)
    if result.error is not None and result.state != "proven":
        click.echo(f"{click.style('Error:', fg='red', bold=True)} {result.error.sentence}", err=True)


def verdict_said(result: Result, at: Verification) -> str:
    """Say in one sentence how it came out, in what time and at what cost."""
    seconds = (at.ended_at - at.started_at).total_seconds() if at.ended_at else 0.0
    cost = f"{at.rows:,} rows compared with Stripe in {at.requests:,} requests and {seconds:,.1f} s."
    if at.state == "proven":
        whole = "proven complete" if at.asked.whole else "what was checked is proven complete"
        left = sorted({part.list or part.subject for part in at.unchecked})
        return f"{whole}{f', but for {len(left):,} lists named below' if left else ''}. {cost}"
    if at.state == "differs":
        return f"{at.differences:,} {'difference' if at.differences == 1 else 'differences'}. {cost}"
    return f"not proven: {at.reason or 'it was not finished.'} {cost}"


def basis(parts: Sequence[Part]) -> list[str]:
    """Say in some lines what was checked, and what was not."""
    lines = []
    rows = [part for part in parts if part.check == "rows" and part.state not in ("unchecked", "incomplete")]
    if rows:
        whole = sum(part.of is None for part in rows)
        lines.append(
            f"{sum(p.rows for p in rows):,} rows of {len(rows):,} tables against Stripe, {whole:,} of them whole."
        )
    sound = [part for part in parts if part.check == "integrity" and part.state != "incomplete"]
    if sound:
        lines.append(f"{sum(p.rows for p in sound):,} rows of {len(sound):,} tables against their own payloads.")
    for part in parts:
        if part.check == "balance" and part.stripe is not None:
            lines.append(
                f"Balance {part.subject.upper()}: {part.stripe:,} at Stripe, {part.ours:,} here (minor units), "
                f"from {part.rows:,} transactions."
            )
        if part.check == "payouts" and part.stripe is not None:
            lines.append(f"{part.ours:,} of {part.stripe:,} payouts are what their {part.rows:,} transactions come to.")
        if part.check == "freshness" and part.as_of is not None:
            lines.append(f"Everything that Stripe held at {part.as_of:%Y-%m-%d %H:%M:%S} UTC is here.")
    awaited = sum(part.awaited for part in parts)
    if awaited:
        lines.append(f"{awaited:,} open rows have moved on at Stripe without an event: the next look brings them.")
    refused: dict[str, list[str]] = {}
    reasons: dict[str, str] = {}
    for part in parts:
        if part.state in ("unchecked", "incomplete"):
            code = part.reason_code or part.reason or part.state
            refused.setdefault(code, []).append(part.list or part.table or part.check)
            reasons.setdefault(code, _WHY.get(code) or part.reason or "")
    for code, lists in refused.items():
        lines.append(f"Not checked: {', '.join(lists)}. {reasons[code]}".rstrip())
    return lines


def advice(result: Result) -> list[str]:
    """Say how what differs is put right."""
    name = result.connection.name
    quoted = f"'{name}'" if " " in name else name
    bridge = "payout_balance_transactions"  # no list of its own brings it: it is made anew like what was altered here
    altered = sorted(
        {one.table for one in result.findings if one.kind in ("altered", "duplicate") or one.table == bridge}
    )
    lost = sorted(
        {one.table for one in result.findings if one.kind in ("missing", "stale", "ghost") and one.table not in altered}
    )
    lines = [f"To make this table anew from what Stripe sent: takings rebuild --table {table}" for table in altered]
    return lines + [f"To put it right: takings reconcile {quoted} --resource {table} --full" for table in lost]


def described(result: Result) -> dict[str, Any]:
    """Return a result for programs, with every id that differs."""
    at = result.verification
    return {
        "connection": result.connection.name,
        "id": result.connection.id,
        "account": result.connection.account_id,
        "state": result.state,
        "proven": result.state == "proven",
        "error": None if result.error is None else {"code": result.error.code, "sentence": result.error.sentence},
        "verification": None if at is None else at.id,
        "asked": None if at is None else at.asked.as_json(),
        "started_at": None if at is None else at.started_at,
        "ended_at": None if at is None else at.ended_at,
        "requests": 0 if at is None else at.requests,
        "rows": 0 if at is None else at.rows,
        "differences": 0 if at is None else at.differences,
        "parts": [] if at is None else [part.as_json() for part in at.parts],
        "findings": [
            {
                "kind": one.kind,
                "table": one.table,
                "list": one.list,
                "ids": list(one.ids),
                "count": one.count,
                "subject": one.subject,
                "stripe": one.stripe,
                "ours": one.ours,
                "difference": one.difference,
                "silent": one.silent,
            }
            for one in result.findings
        ],
    }
