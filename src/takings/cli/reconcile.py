"""``takings reconcile``: compare what is here with Stripe now, heal what differs, and say what did."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from takings.cli.common import home_option, json_option

if TYPE_CHECKING:
    from takings.app import App
    from takings.connections import Connection
    from takings.errors import TakingsError
    from takings.sync import Finding, RunRecord

#: Days that are compared where nobody says how many; lists that take no range of time are read whole with them.
DAYS = 35
INCOMPLETE = 1
INTERRUPTED = 130

_LOOK_EVERY_S = 0.4
_SAY_EVERY_S = 5.0
_MOST_FINDINGS = 10_000
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Result:
    """How the comparison of one connection came out.

    Attributes:
        state: ``complete``, ``partial`` or ``stopped``.
        error: What stood in the way, None where nothing did.
        estimate: Requests it was expected to take.
        runs: What was done.
        found: What differed.
    """

    connection: Connection
    state: str
    error: TakingsError | None
    estimate: int
    runs: Sequence[RunRecord]
    found: Sequence[Finding]

    @property
    def exit_code(self) -> int:
        """0 when all was compared, 130 when interrupted, the error's own code where it kept it from being done, else 1."""
        if self.state == "complete":
            return 0
        if self.state == "stopped":
            return INTERRUPTED if self.error is None else self.error.exit_code
        return INCOMPLETE

    @property
    def requests(self) -> int:
        """Requests it took."""
        return sum(run.requests for run in self.runs)

    @property
    def rows(self) -> int:
        """Rows that were compared."""
        return sum(run.rows_seen for run in self.runs if run.kind == "reconcile")


@click.command(short_help="Compare with Stripe now and heal what differs.")
@click.argument("name", required=False)
@click.option(
    "--resource",
    "-r",
    "resources",
    metavar="TABLE",
    multiple=True,
    help="Only this table, by its name or its list's path; may be given again.",
)
@click.option(
    "--since",
    metavar="DATE",
    help="Only what was made since this day or moment, in the company's time zone (YYYY-MM-DD); default 35 days ago.",
)
@click.option("--full", is_flag=True, help="Everything, however old.")
@json_option
@home_option
def reconcile(
    name: str | None, resources: tuple[str, ...], since: str | None, full: bool, as_json: bool, home: Path | None
) -> int:
    """Compare with Stripe now and heal what differs, for every connection or for NAME alone.

    Lists that Stripe cannot cut by time are compared whole. Ends with 0 when all that was asked for was compared, even
    where differences were found: they are listed, and put right.
    """
    from takings.cli.common import opened, settings_for
    from takings.cli.output import print_json
    from takings.cli.processes import stop_event
    from takings.cli.sync import chosen
    from takings.errors import Invalid

    if full and since is not None:
        raise Invalid("cli.full_or_since", "--full and --since contradict each other: give one of them.")
    with opened(settings_for(home=home)) as app:
        lists = lists_of(app, resources) if resources else None
        begin = None if full else moment_of(app, since) if since else app.clock.now() - timedelta(days=DAYS)
        stop = stop_event()
        results = []
        for connection in chosen(app, name):
            results.append(carry_out(app, connection, lists, begin, stop))
            if not as_json:
                report(results[-1])
            if stop.is_set():
                break
    if as_json:
        print_json([described(result) for result in results])
    elif stop.is_set():
        click.echo("Stopped; what is left to compare is compared in its turn.", err=True)
    return max((result.exit_code for result in results), default=0)


def lists_of(app: App, resources: Sequence[str]) -> list[str]:
    """Return the lists that bring the tables a person names.

    Raises:
        Invalid: There is no such table; the sentence names those that are spelled alike.
    """
    from difflib import get_close_matches

    from takings.errors import Invalid

    found: list[str] = []
    for named in resources:
        lists = app.health.reread_lists(named)
        if not lists:
            known = [table for table in app.catalog.resources if app.health.reread_lists(table)]
            near = get_close_matches(named, known, 3, 0.6) or get_close_matches(f"{named}s", known, 3, 0.6)
            hint = f"Did you mean {' or '.join(near)}?" if near else "`takings tables --all` lists them."
            raise Invalid("cli.no_table", f"There is no table “{named}” that can be compared. {hint}", table=named)
        found += [path for path in lists if path not in found]
    return found


def moment_of(app: App, text: str) -> datetime:
    """Return the moment that a person means: a day begins at midnight in the company's time zone.

    Raises:
        Invalid: It is no date, or lies ahead.
    """
    from zoneinfo import ZoneInfo

    from takings.accounts import company
    from takings.errors import Invalid

    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Invalid("cli.no_date", f"“{text}” is no date: write it as 2026-03-01.", text=text) from None
    if moment.tzinfo is None:
        firm = company(app.store)
        moment = moment.replace(tzinfo=ZoneInfo(firm.time_zone if firm else "UTC"))
    if moment > app.clock.now():
        raise Invalid("cli.date_ahead", f"“{text}” lies in the future: nothing was made since then.", text=text)
    return moment


def carry_out(
    app: App, connection: Connection, lists: Sequence[str] | None, since: datetime | None, stop: threading.Event
) -> Result:
    """Compare one connection; while another process is at it, wait for that one."""
    from takings.errors import TakingsError, Unavailable

    estimate = 0
    began = app.clock.now()
    error: TakingsError | None = None
    state = "stopped"
    try:
        estimate = app.sync.cost(connection.id, lists, since)
        click.echo(f"{connection.name}: {cost_said(app, connection, estimate, lists)}", err=True)
        with watched(app, connection, began, estimate):
            waiting = False
            while not stop.is_set():
                try:
                    # Once everything is noted as wanted it need not be asked for again: only what is left is compared.
                    noted = any((one.wanted_at or began) > began for one in app.sync.stretches.of(connection.id))
                    summary = (
                        app.sync.run_once(connection.id, stop=stop)
                        if noted
                        else app.sync.reconcile(connection.id, lists=lists, since=since, stop=stop)
                    )
                except Unavailable as caught:
                    if caught.code != "sync.busy":
                        raise
                    if not waiting:
                        click.echo(f"{connection.name}: {caught.sentence}", err=True)
                    waiting = True
                    stop.wait(1.0)
                    continue
                state, error = str(summary.state), summary.reason
                if not noted or state != "complete" or not app.sync.follows.anything_wanted(connection.id):
                    break
    except TakingsError as caught:
        error = caught
    found = [
        one
        for one in app.sync.findings.of(connection.id, since=began, limit=_MOST_FINDINGS)
        if one.origin == "reconcile" or one.kind == "gap"
    ]
    return Result(connection, state, error, estimate, app.health.runs(connection.id, since=began), found)


def cost_said(app: App, connection: Connection, requests: int, lists: Sequence[str] | None) -> str:
    """Say what a comparison costs before it begins."""
    from takings.catalog.model import ListEndpoint

    endpoints: list[ListEndpoint] = [app.catalog.endpoint(path) for path in lists or ()]
    whole = app.settings.rate_live if connection.livemode else app.settings.rate_sandbox
    rate = min(whole, app.settings.rate_endpoint * len(endpoints)) if endpoints else whole
    seconds = max(1, round(requests / max(0.1, rate * (1 - app.settings.headroom))))
    return (
        f"about {requests:,} {'request' if requests == 1 else 'requests'}, "
        f"about {seconds:,} {'second' if seconds == 1 else 'seconds'}."
    )


@contextmanager
def watched(app: App, connection: Connection, began: datetime, estimate: int) -> Iterator[None]:
    """Show on stderr how far a comparison is for as long as the block lasts."""
    from takings.errors import TakingsError

    done = threading.Event()

    def watch() -> None:
        with drawing(connection.name, estimate) as (draw, every_s):
            while not done.wait(every_s):
                try:
                    draw(app.health.runs(connection.id, since=began))
                except TakingsError:
                    continue  # the store is busy: the next look will tell

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def drawing(name: str, estimate: int) -> Iterator[tuple[Any, float]]:
    """Give what draws runs on stderr, and how often to call it, in seconds: a bar at a terminal, else now and then a line."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    def said(runs: Sequence[RunRecord]) -> str:
        requests, rows, found = (
            sum(getattr(run, key) for run in runs) for key in ("requests", "rows_seen", "findings")
        )
        return f"{requests:,} of about {estimate:,} requests, {rows:,} rows compared, {found:,} differed"

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda runs: click.echo(f"{name}: {said(runs)}", err=True) if runs else None, _SAY_EVERY_S
        return
    with Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[said]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as bars:
        task = bars.add_task(f"[bold]{name}", total=max(1, estimate), said="")
        yield (
            lambda runs: bars.update(task, completed=sum(run.requests for run in runs), said=said(runs)),
            _LOOK_EVERY_S,
        )


def report(result: Result) -> None:
    """Print how a connection came out: one line, then each table in which something differed."""
    from takings.cli.output import print_table

    name, lines = result.connection.name, by_table(result.found)
    differed = sum(line["count"] for line in lines if line["kind"] != "gap")
    verdict = f"{differed:,} rows differed from Stripe's" if differed else "nothing differed from Stripe"
    if result.state == "stopped" and result.error is not None:
        verdict = "not compared"
    click.echo(
        f"{name}: {result.state}; {verdict}. {result.rows:,} rows compared in {result.requests:,} requests "
        f"(about {result.estimate:,} expected)."
    )
    if lines:
        print_table(
            ["table", "what", "rows", "put right", "since", "ids"],
            [
                (
                    line["table"],
                    _KINDS.get(line["kind"], line["kind"]),
                    line["count"],
                    line["healed"],
                    "" if line["since"] is None else f"{line['since']:%Y-%m-%d %H:%M}",
                    ", ".join(line["ids"][:3]) + (" …" if line["count"] > 3 else ""),
                )
                for line in lines
            ],
        )
    if result.error is not None and result.state != "complete":
        click.echo(f"{click.style('Error:', fg='red', bold=True)} {result.error.sentence}", err=True)


_KINDS = {
    "missing": "missing here",
    "stale": "older state here",
    "ghost": "gone at Stripe",
    "gap": "events lost for good",
}


def by_table(found: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return what differed by table and kind: how many rows, how many were put right, since when, some ids."""
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for one in found:
        line = lines.setdefault(
            (one.table, one.kind),
            {"table": one.table, "kind": one.kind, "count": 0, "healed": 0, "since": None, "ids": []},
        )
        line["count"] += one.count
        line["healed"] += one.count if one.healed_at is not None else 0
        line["since"] = min(filter(None, (line["since"], one.since)), default=None)
        line["ids"] += one.ids[: _NAMED - len(line["ids"])]
    return [lines[key] for key in sorted(lines)]


def described(result: Result) -> dict[str, Any]:
    """Return a result for programs; of each table at most ten ids."""
    return {
        "connection": result.connection.name,
        "id": result.connection.id,
        "account": result.connection.account_id,
        "state": result.state,
        "complete": result.state == "complete",
        "error": None if result.error is None else {"code": result.error.code, "sentence": result.error.sentence},
        "requests_expected": result.estimate,
        "requests": result.requests,
        "rows": result.rows,
        "differences": sum(one.count for one in result.found if one.kind != "gap"),
        "tables": by_table(result.found),
    }
