"""``takings sync``: load what is new from Stripe now, and end."""

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
    from takings.connections import Connection, ListProgress, Progress
    from takings.errors import TakingsError
    from takings.sync import RunRecord

#: Pauses, in seconds, between attempts while something is away for now.
PAUSES_S = (5.0, 15.0, 30.0, 60.0, 120.0)
INCOMPLETE = 1
INTERRUPTED = 130

_LOOK_EVERY_S = 0.4
_SAY_EVERY_S = 15.0


@dataclass(frozen=True, slots=True)
class Result:
    """How the synchronisation of one connection came out.

    Attributes:
        state: ``complete``, ``partial`` or ``stopped``.
        error: What stood in the way, None where nothing did.
        progress: How each list stands.
        runs: What was done; a look at events that found nothing leaves no run.
        as_of: Everything that Stripe told was here at this moment; None: it never was.
    """

    connection: Connection
    state: str
    error: TakingsError | None
    progress: Progress
    runs: Sequence[RunRecord] = ()
    as_of: datetime | None = None

    @property
    def exit_code(self) -> int:
        """0 when every permitted list is complete, 130 when interrupted, the error's own code, else 1."""
        if self.state == "complete":
            return 0
        if self.error is None:
            return INTERRUPTED if self.state == "stopped" else INCOMPLETE
        return self.error.exit_code if self.state == "stopped" else INCOMPLETE


@click.command(short_help="Load what is new from Stripe now.")
@click.argument("name", required=False)
@click.option(
    "--once", is_flag=True, help="Try once; without it, what is unavailable for now is tried again for some minutes."
)
@json_option
@home_option
def sync(name: str | None, once: bool, as_json: bool, home: Path | None) -> int:
    """Load what is new from Stripe now, for every connection or for NAME alone.

    Ends with 0 only when every list that the key may read is complete. Lists that the key may not read are named.
    Interrupted work goes on where it was at the next start.
    """
    from takings.cli.common import opened, settings_for
    from takings.cli.output import print_json
    from takings.cli.processes import stop_event

    with opened(settings_for(home=home)) as app:
        stop = stop_event()
        results = []
        for connection in chosen(app, name):
            with shown(app, connection):
                results.append(carry_out(app, connection, stop, () if once else PAUSES_S))
            if not as_json:
                report(results[-1])
            if stop.is_set():
                break
    if as_json:
        print_json([described(result) for result in results])
    elif stop.is_set():
        click.echo("Stopped; the next start goes on from here.", err=True)
    return max((result.exit_code for result in results), default=0)


def chosen(app: App, name: str | None) -> list[Connection]:
    """Return the connections a command is about: the one named with what is connected to it, or all that run.

    Raises:
        NotFound: None bears that name, or there is none at all.
    """
    from takings.answers.asking import find_connection
    from takings.errors import NotFound

    if name is not None:
        named = find_connection(app, name)
        return [named, *(c for c in app.connections.all() if c.platform_id == named.id and _runs(c))]
    found = [c for c in app.connections.all() if _runs(c)]
    if not found:
        raise NotFound("sync.nothing", "No connection is there to be read: add one with `takings connect`.")
    return found


def _runs(connection: Connection) -> bool:
    """Tell whether a connection is to be read: a connected account that has withdrawn waits for its platform."""
    stopped = ("paused", "disconnecting") if connection.platform_id is None else ("paused", "disconnecting", "reauth")
    return connection.state not in stopped


def carry_out(app: App, connection: Connection, stop: threading.Event, pauses_s: tuple[float, ...]) -> Result:
    """Synchronise one connection, again after pauses while something is away for now.

    When another process is at it already, wait for that one's result: two at once would only share the rate.
    """
    from takings.connections import progress
    from takings.errors import TakingsError, Unavailable

    began = app.clock.now()
    left = list(pauses_s)
    while True:
        error: TakingsError | None
        try:
            summary = app.sync.run_once(connection.id, stop=stop)
            state, error = str(summary.state), summary.reason
        except TakingsError as caught:
            state, error = "stopped", caught
        at = progress(app.store, connection.id, app.clock.now())
        if error is not None and error.code == "sync.busy" and not stop.is_set():
            ended = _ended_since(at, began)
            if ended is not None:
                return _result(app, connection, ended, None, at, began)
            stop.wait(1.0)
            continue
        if state == "complete" or stop.is_set() or not isinstance(error, Unavailable) or not left:
            return _result(app, connection, state, error, at, began)
        pause_s = left.pop(0)
        click.echo(f"{connection.name}: {error.sentence} Trying again in {pause_s:.0f} s.", err=True)
        stop.wait(pause_s)


def _result(
    app: App, connection: Connection, state: str, error: TakingsError | None, at: Progress, began: datetime
) -> Result:
    """Return how it came out, with what was done since it began. A first load that went on counts from its beginning."""
    from zoneinfo import ZoneInfo

    done = [run for run in app.health.runs(connection.id, limit=20) if (run.ended_at or began) >= began]
    tables = app.health.tables(connection.id)
    health = app.health.health(app.connections.get(connection.id), tables, app.clock.now(), ZoneInfo("UTC"))
    return Result(connection, state, error, at, done, health.as_of)


def _ended_since(at: Progress, began: datetime) -> str | None:
    """Return how the run of another process ended, None while it goes on."""
    run = at.run
    return run.state if run is not None and run.ended_at is not None and run.ended_at >= began else None


@contextmanager
def shown(app: App, connection: Connection) -> Iterator[None]:
    """Show on stderr how far a connection is for as long as the block lasts: bars at a terminal, else now and then a line."""
    from takings.connections import progress
    from takings.errors import TakingsError

    done = threading.Event()

    def watch(draw: Callable[[Progress], None], every_s: float) -> None:
        while not done.wait(every_s):
            try:
                draw(progress(app.store, connection.id, app.clock.now()))
            except TakingsError:
                continue  # the store is busy: the next look will tell

    with drawing(connection.name) as (draw, every_s):
        thread = threading.Thread(target=watch, args=(draw, every_s), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


@contextmanager
def drawing(name: str) -> Iterator[tuple[Callable[[Progress], None], float]]:
    """Give what draws the state of things on stderr, and how often to call it, in seconds."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if not console.is_terminal:

        def say(at: Progress) -> None:
            if at.run is not None and at.is_running:
                rate = f", {at.run.rate:,.0f} rows/s" if at.run.rate else ""
                click.echo(f"{name}: {at.share:.0%}, {at.run.rows:,} rows{rate}", err=True)

        yield say, _SAY_EVERY_S
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        whole = bars.add_task(f"[bold]{name}", total=100, rate="")
        tasks: dict[str, TaskID] = {}

        def draw(at: Progress) -> None:
            rows = f"{at.run.rows:,} rows" if at.run is not None else ""
            bars.update(whole, completed=round(at.share * 100), rate=rows)
            for one in at.lists:
                if one.path not in tasks and one.state == "running" and one.rows:
                    tasks[one.path] = bars.add_task(one.table, total=None, rate="")
                if one.path in tasks:
                    _draw_list(bars, tasks[one.path], one)

        yield draw, _LOOK_EVERY_S


def _draw_list(bars: Any, task: Any, one: ListProgress) -> None:
    complete = one.state != "running" or one.share >= 1.0
    bars.update(
        task,
        completed=one.rows,
        total=one.rows if complete else one.estimate,
        rate=f"{one.rate:,.0f}/s" if one.rate and not complete else "",
        visible=not complete,
    )


def report(result: Result) -> None:
    """Print how a connection came out: one line, then the lists that are not complete, with the reason."""
    at = result.progress
    counts = ", ".join(f"{number} {state}" for state, number in sorted(at.counts.items()))
    click.echo(f"{result.connection.name}: {result.state}. {_work(result)} Lists: {counts or 'none yet'}.")
    for one in at.lists:
        if one.state in ("forbidden", "partial") or (one.state == "unavailable" and one.reason_code is None):
            click.echo(f"  {one.state:<10} {one.path}{': ' + one.reason if one.reason else ''}")
    if result.error is not None and result.state != "complete":
        click.echo(f"{click.style('Error:', fg='red', bold=True)} {result.error.sentence}", err=True)


def _work(result: Result) -> str:
    """Say in a sentence or two what was done, and up to when the data is in step."""
    from takings.cli.output import moment

    done = result.runs
    requests = sum(run.requests for run in done)
    if any(run.kind == "backfill" for run in done):
        return f"{sum(run.rows_seen for run in done):,} rows read in {requests:,} requests."
    new, changed, deleted = (
        sum(run.rows_new for run in done),
        sum(run.rows_changed for run in done),
        sum(run.rows_deleted for run in done),
    )
    events, found = sum(run.events for run in done), sum(run.findings for run in done)
    told = f"{events:,} new {'event' if events == 1 else 'events'}"
    if new or changed or deleted:
        said = f"{new:,} new, {changed:,} changed, {deleted:,} deleted rows; {told}; {requests:,} {'request' if requests == 1 else 'requests'}."
    else:
        said = f"Nothing new; {told}."
    if found:
        said += f" {found:,} rows differed from Stripe's and were put right: `takings status` shows where."
    return f"{said} Up to date as of {moment(result.as_of.replace(microsecond=0))}." if result.as_of else said


def described(result: Result) -> dict[str, Any]:
    """Return a result for programs."""
    done = result.runs
    return {
        "connection": result.connection.name,
        "id": result.connection.id,
        "account": result.connection.account_id,
        "state": result.state,
        "complete": result.state == "complete",
        "error": None if result.error is None else {"code": result.error.code, "sentence": result.error.sentence},
        "rows": sum(run.rows_seen for run in done),
        "rows_new": sum(run.rows_new for run in done),
        "rows_changed": sum(run.rows_changed for run in done),
        "rows_deleted": sum(run.rows_deleted for run in done),
        "events": sum(run.events for run in done),
        "findings": sum(run.findings for run in done),
        "requests": sum(run.requests for run in done),
        "started_at": min((run.started_at for run in done), default=None),
        "ended_at": max((run.ended_at for run in done if run.ended_at), default=None),
        "as_of": result.as_of,
        "lists": {
            one.path: {"table": one.table, "state": one.state, "rows": one.rows, "reason": one.reason}
            for one in result.progress.lists
        },
    }
