"""Alerts and notices in the store: opened, closed and said once, whoever else works on them at the same time."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from takings.alerts.model import KINDS, SERIOUS, Alert, Answer, Bell, Fields, Key, Notice, Told, Trouble, What
from takings.alerts.rules import Begin, End, Fade, Forget, Keep, Standing, Step, retry_after, steps
from takings.clock import Clock
from takings.store import Store
from takings.store import schema as s

#: As long as one worker may take over one batch of messages before another may try them again.
LEASE: Final = timedelta(minutes=5)
#: So many things are said in one message.
BATCH: Final = 100
#: Alerts that are over are kept for so long.
KEPT: Final = timedelta(days=180)

_ANSWER_CHARS: Final = 500
_SHOWN_ON_PAGES: Final = 3


class AlertBook:
    """Reads and writes alerts and what was said of them.

    Args:
        store: The product's own database.
        clock: Tells the time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock

    # -- what stands

    def standing(self) -> list[Standing]:
        """Return alerts that are not over, told or not."""
        with self._store.read() as db:
            return _standing(db)

    def apply(self, found: Sequence[Trouble], now: datetime) -> list[tuple[What, Alert]]:
        """Bring alerts into line with the troubles that stand now, and plan what is to be said.

        Of several processes that do so at once, one does it.

        Args:
            found: Troubles that stand now.
            now: The present.

        Returns:
            What is to be told, opened or closed.

        Raises:
            Unavailable: The store is away.
        """
        if not steps(self.standing(), found, now):
            return []
        told: list[tuple[str, What]] = []
        try:
            with self._store.write() as db:
                for step in steps(_standing(db, lock=True), found, now):
                    told += self._do(db, step, now)
                told_alerts = [(what, _alert(_of(db, alert_id))) for alert_id, what in told]
        except sa.exc.IntegrityError:
            return []  # another process wrote the same alert down a moment ago, or its connection went: next time
        return told_alerts

    def forget_old(self, now: datetime) -> None:
        """Drop alerts that were over long ago."""
        with self._store.write() as db:
            db.execute(sa.delete(s.alerts).where(s.alerts.c.closed_at < now - KEPT))

    # -- for pages

    def open(self) -> list[Alert]:
        """Return the alerts that stand and were told, the gravest first, then the newest."""
        a = s.alerts.c
        with self._store.read() as db:
            rows = db.execute(_select().where(a.closed_at.is_(None), a.told_at.is_not(None))).all()
        return sorted(map(_alert, rows), key=_rank)

    def past(self, limit: int = 100) -> list[Alert]:
        """Return the alerts that are over, the newest first."""
        a = s.alerts.c
        with self._store.read() as db:
            rows = db.execute(_select().where(a.closed_at.is_not(None)).order_by(a.closed_at.desc(), a.id).limit(limit))
            return [_alert(row) for row in rows]

    def bell(self) -> Bell:
        """Return what every page shows."""
        unseen = [one for one in self.open() if one.seen_by is None]
        serious = [one for one in unseen if one.kind in SERIOUS]
        return Bell(len(unseen), tuple(serious[:_SHOWN_ON_PAGES]), max(0, len(serious) - _SHOWN_ON_PAGES))

    def counts(self) -> dict[str, int]:
        """Return how many alerts are open, by kind; kinds without any are 0."""
        a = s.alerts.c
        with self._store.read() as db:
            rows = db.execute(
                sa.select(a.kind, sa.func.count()).where(a.closed_at.is_(None), a.told_at.is_not(None)).group_by(a.kind)
            ).all()
        return {**dict.fromkeys(KINDS, 0), **{row[0]: int(row[1]) for row in rows}}

    def seen(self, alert_id: str | None, by: str) -> int:
        """Note who has seen an open alert, or all of them (None); return how many nobody had seen before."""
        a = s.alerts.c
        with self._store.write() as db:
            update = sa.update(s.alerts).where(a.told_at.is_not(None), a.closed_at.is_(None), a.seen_by.is_(None))
            if alert_id is not None:
                update = update.where(a.id == alert_id)
            return int(db.execute(update.values(seen_by=by[:200])).rowcount)

    def told(self, alert_ids: Sequence[str]) -> dict[str, tuple[Told, ...]]:
        """Return how it went to tell of alerts, by alert."""
        n = s.notices.c
        found: dict[str, list[Told]] = {}
        with self._store.read() as db:
            rows = db.execute(
                sa.select(s.notices, s.channels.c.name)
                .join(s.channels, s.channels.c.id == n.channel_id)
                .where(n.alert_id.in_(list(alert_ids)))
                .order_by(s.channels.c.name, n.what.desc())
            )
            for row in rows:
                found.setdefault(row.alert_id, []).append(
                    Told(
                        alert=row.alert_id,
                        channel=row.name,
                        what=row.what,
                        state=row.state,
                        tries=row.tries,
                        next_at=row.next_at if row.state == "waiting" else None,
                        sent_at=row.sent_at,
                        answer=row.answer,
                    )
                )
        return {key: tuple(value) for key, value in found.items()}

    # -- what is to be said

    def due(self, now: datetime) -> list[str]:
        """Return the ids of channels over which something is to be said now."""
        n = s.notices.c
        with self._store.read() as db:
            rows = db.execute(
                sa.select(n.channel_id).where(n.state == "waiting", n.next_at <= now).distinct().order_by(n.channel_id)
            )
            return [row[0] for row in rows]

    def claim(self, channel_id: str, now: datetime) -> list[Notice]:
        """Take what is to be said over one channel now: nobody else gets it for :data:`LEASE`.

        Whoever takes it is to call :meth:`answered`; a process that dies before leaves it to be said again.
        """
        n = s.notices.c
        with self._store.write() as db:
            ids = list(
                db.execute(
                    sa.select(n.id)
                    .where(n.channel_id == channel_id, n.state == "waiting", n.next_at <= now)
                    .order_by(n.next_at, n.id)
                    .limit(BATCH)
                    .with_for_update(skip_locked=True)
                ).scalars()
            )
            if not ids:
                return []
            db.execute(sa.update(s.notices).where(n.id.in_(ids)).values(next_at=now + LEASE, tries=n.tries + 1))
            tries = {
                row.id: (row.alert_id, row.what, row.tries)
                for row in db.execute(sa.select(n.id, n.alert_id, n.what, n.tries).where(n.id.in_(ids)))
            }
            alerts = {
                row.id: _alert(row)
                for row in db.execute(_select().where(s.alerts.c.id.in_({one[0] for one in tries.values()})))
            }
        taken = [Notice(id=key, what=tries[key][1], tries=tries[key][2], alert=alerts[tries[key][0]]) for key in ids]
        return sorted(taken, key=lambda one: (one.what == "closed", *_rank(one.alert)))

    def answered(self, channel_id: str, notices: Sequence[Notice], answer: Answer, now: datetime) -> None:
        """Note what became of notices that were taken: sent, tried again later, or given up."""
        n = s.notices.c
        with self._store.write() as db:
            for notice in notices:
                wait = None if answer.ok else retry_after(notice.tries)
                state = "sent" if answer.ok else "waiting" if wait else "given_up"
                db.execute(
                    sa.update(s.notices)
                    .where(n.id == notice.id, n.state == "waiting")
                    .values(
                        state=state,
                        next_at=now + wait if wait else None,
                        sent_at=now if answer.ok else None,
                        answer=answer.text[:_ANSWER_CHARS],
                    )
                )
            note_answer(db, channel_id, answer, now)

    # -- within

    def _do(self, db: sa.Connection, step: Step, now: datetime) -> list[tuple[str, What]]:
        a = s.alerts.c
        if isinstance(step, Begin):
            key = step.trouble.key
            alert_id = secrets.token_hex(8)
            db.execute(
                sa.insert(s.alerts).values(
                    id=alert_id,
                    connection_id=key.connection or None,
                    kind=key.kind,
                    subject=key.subject[:300],
                    fields=dict(step.trouble.fields),
                    open_key=_open_key(key),
                    opened_at=step.opened_at,
                    stood_at=now,
                    told_at=now if step.tell else None,
                )
            )
            return self._plan(db, alert_id, "opened", now) if step.tell else []
        here = a.id == step.alert.id
        if isinstance(step, Forget):
            db.execute(sa.delete(s.alerts).where(here))
        elif isinstance(step, Fade):
            db.execute(sa.update(s.alerts).where(here).values(gone_at=now))
        elif isinstance(step, End):
            db.execute(sa.update(s.alerts).where(here).values(gone_at=step.at, closed_at=step.at, open_key=None))
            return self._plan(db, step.alert.id, "closed", now)
        elif isinstance(step, Keep):
            values: dict[str, Any] = {"opened_at": step.opened_at, "stood_at": now, "gone_at": None}
            if step.fields is not None:
                values["fields"] = dict(step.fields)
            if step.tell:
                values["told_at"] = now
            db.execute(sa.update(s.alerts).where(here).values(values))
            return self._plan(db, step.alert.id, "opened", now) if step.tell else []
        return []

    @staticmethod
    def _plan(db: sa.Connection, alert_id: str, what: What, now: datetime) -> list[tuple[str, What]]:
        """Write down that something is to be said over every channel that speaks; of an end, where the beginning was."""
        c, n = s.channels.c, s.notices.c
        query = sa.select(c.id).where(c.disabled_at.is_(None))
        if what == "closed":
            begun = sa.select(n.channel_id).where(
                n.alert_id == alert_id, n.what == "opened", n.state.in_(("waiting", "sent"))
            )
            query = query.where(c.id.in_(begun))
        for channel_id in db.execute(query).scalars().all():
            db.execute(
                sa.insert(s.notices).values(
                    id=secrets.token_hex(8),
                    alert_id=alert_id,
                    channel_id=channel_id,
                    what=what,
                    state="waiting",
                    next_at=now,
                )
            )
        return [(alert_id, what)]


def note_answer(db: sa.Connection, channel_id: str, answer: Answer, now: datetime) -> None:
    """Keep with a channel what its server said last."""
    db.execute(
        sa.update(s.channels)
        .where(s.channels.c.id == channel_id)
        .values(used_at=now, answer=answer.text[:_ANSWER_CHARS], failed=not answer.ok)
    )


def _rank(alert: Alert) -> tuple[int, float, str, str]:
    """Order alerts: the gravest first, then the newest, then by what they are about."""
    about = f"{alert.connection_name} {alert.subject}".casefold()
    return KINDS.index(alert.kind), -alert.opened_at.timestamp(), about, alert.id


def _open_key(key: Key) -> str:
    return f"{key.kind}|{key.connection}|{key.subject}"[:400]


def _standing(db: sa.Connection, *, lock: bool = False) -> list[Standing]:
    a = s.alerts.c
    query = sa.select(s.alerts).where(a.closed_at.is_(None)).order_by(a.id)
    rows = db.execute(query.with_for_update() if lock else query).all()
    return [
        Standing(
            id=row.id,
            key=Key(row.kind, row.connection_id or "", row.subject),
            fields=row.fields,
            opened_at=row.opened_at,
            stood_at=row.stood_at,
            told_at=row.told_at,
            gone_at=row.gone_at,
        )
        for row in rows
    ]


def _select() -> sa.Select[Any]:
    return sa.select(s.alerts, s.connections.c.name.label("connection_name")).outerjoin(
        s.connections, s.connections.c.id == s.alerts.c.connection_id
    )


def _of(db: sa.Connection, alert_id: str) -> sa.Row[Any]:
    return db.execute(_select().where(s.alerts.c.id == alert_id)).one()


def _alert(row: sa.Row[Any]) -> Alert:
    fields: Fields = row.fields
    return Alert(
        id=row.id,
        kind=row.kind,
        connection=row.connection_id,
        connection_name=row.connection_name,
        subject=row.subject,
        fields=fields,
        opened_at=row.opened_at,
        told_at=row.told_at,
        closed_at=row.closed_at,
        seen_by=row.seen_by,
    )
