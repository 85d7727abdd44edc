"""Which troubles stand, and what becomes of alerts: decided by values alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from takings.alerts import rules
from takings.alerts.model import (
    KINDS,
    SERIOUS,
    BudgetFacts,
    ConnectionFacts,
    DriftFacts,
    Facts,
    GapFacts,
    Key,
    Kind,
    ListFacts,
    ProofFacts,
    Trouble,
)
from takings.alerts.rules import Begin, End, Fade, Forget, Keep, Standing, steps, troubles
from takings.connections import State

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
SHOP = ConnectionFacts(id="c1", name="Shop", state="active")
FINE = Facts(now=NOW, connections=(SHOP,), worker_seen_at=NOW)


def in_state(state: State) -> ConnectionFacts:
    return replace(SHOP, state=state, reason="The key was revoked.", reason_code="stripe.key_refused")


def listed(
    state: str = "complete", age: timedelta | None = MINUTE, table: str = "charges", **more: object
) -> ListFacts:
    as_of = None if age is None else NOW - age
    values = {"was_read": as_of is not None, "complete_as_of": as_of, **more}
    return ListFacts(connection="c1", path=f"/v1/{table}", table=table, state=state, **values)  # type: ignore[arg-type]


def keys(facts: Facts, *open_keys: Key) -> set[Key]:
    return {one.key for one in troubles(facts, DAY, open_keys) if not one.resting}


def only(facts: Facts, *open_keys: Key) -> Trouble:
    (found,) = troubles(facts, DAY, open_keys)
    return found


def test_where_all_is_well_nothing_stands() -> None:
    assert troubles(replace(FINE, lists=(listed(), listed("unavailable", None, "quotes"))), DAY) == ()


@pytest.mark.parametrize("state", ["reauth", "failed"])
def test_refused_credentials_are_one_trouble_with_its_reason(state: State) -> None:
    facts = replace(FINE, connections=(in_state(state),), lists=(listed(age=3 * DAY), listed("partial", None, "plans")))
    found = only(facts)
    assert found.key == Key("refused", "c1")
    assert found.fields["reason"] == "The key was revoked."
    assert found.fields["state"] == state


@pytest.mark.parametrize("state", ["paused", "reauth", "failed", "disconnecting"])
def test_what_is_open_rests_while_its_connection_does_not_work(state: State) -> None:
    facts = replace(FINE, connections=(in_state(state),))
    kept = [one for one in troubles(facts, DAY, [Key("stale", "c1"), Key("verify", "c1")]) if one.resting]
    assert {one.key for one in kept} == {Key("stale", "c1"), Key("verify", "c1")}
    assert troubles(replace(facts, connections=()), DAY, [Key("stale", "c1")]) == ()


def test_a_permission_counts_as_lost_only_where_the_list_was_read_before() -> None:
    key = Key("permission", "c1", "/v1/charges")
    assert keys(replace(FINE, lists=(listed("forbidden", None, was_read=False),))) == set()
    assert keys(replace(FINE, lists=(listed("forbidden", None, was_read=True),))) == {key}
    lost = replace(FINE, lists=(listed("forbidden", 9 * DAY, since=NOW - MINUTE),))
    assert keys(lost) == {key}, "and it is not stale as well"
    assert only(lost).since == NOW - MINUTE


@pytest.mark.parametrize("state", ["waiting", "running"])
def test_a_list_that_is_being_tried_again_neither_begins_nor_ends_a_trouble(state: str) -> None:
    facts = replace(FINE, lists=(listed(state),))
    lost, partial = Key("permission", "c1", "/v1/charges"), Key("incomplete", "c1")
    assert keys(facts) == set()
    assert keys(facts, lost) == {lost}
    assert keys(facts, partial) == {partial}
    assert keys(replace(FINE, lists=(listed("complete"),)), lost, partial) == set()


def test_all_stale_tables_of_a_connection_are_one_trouble() -> None:
    found = only(
        replace(
            FINE,
            lists=(
                listed(age=DAY + MINUTE),
                listed(age=2 * DAY, table="refunds"),
                listed("running", 3 * DAY, "plans"),
                listed(age=DAY, table="payouts"),
                listed(age=None, table="quotes", state="running"),
            ),
        )
    )
    assert found.key == Key("stale", "c1")
    assert (found.fields["tables"], found.fields["n"]) == (["charges", "plans", "refunds"], 3)
    assert found.fields["oldest"] == (NOW - 3 * DAY).isoformat()


def test_a_table_without_rows_may_be_a_month_older() -> None:
    assert keys(replace(FINE, lists=(listed(age=31 * DAY, empty=True),))) == set()
    assert keys(replace(FINE, lists=(listed(age=31 * DAY + MINUTE, empty=True),))) == {Key("stale", "c1")}


def test_many_tables_are_counted_and_some_are_named() -> None:
    found = only(replace(FINE, lists=tuple(listed(age=2 * DAY, table=f"t{n:02}") for n in range(60))))
    assert found.fields["n"] == 60
    assert len(found.fields["tables"]) == 20  # type: ignore[arg-type]


def test_a_verification_that_differs_stands_until_one_is_proven() -> None:
    proof = ProofFacts(connection="c1", state="differs", differences=3, ended_at=NOW - DAY)
    found = only(replace(FINE, proofs=(proof,)))
    assert (found.key, found.fields["n"], found.since) == (Key("verify", "c1"), 3, NOW - DAY)
    assert keys(replace(FINE, proofs=(replace(proof, state="proven"),)), found.key) == set()


@pytest.mark.parametrize(("days", "begins", "goes_on"), [(1, False, False), (2, False, True), (3, True, True)])
def test_drift_begins_at_three_days_of_seven_and_ends_below_two(days: int, begins: bool, goes_on: bool) -> None:
    facts = replace(
        FINE, drifts=(DriftFacts(connection="c1", table="charges", days=days, rows=8, last_at=NOW - MINUTE),)
    )
    key = Key("drift", "c1", "charges")
    assert keys(facts) == ({key} if begins else set())
    assert keys(facts, key) == ({key} if goes_on else set())


def test_a_gap_in_the_events_stands_until_it_is_healed() -> None:
    facts = replace(FINE, gaps=(GapFacts(connection="c1", start=NOW - 40 * DAY, end=NOW - 30 * DAY),))
    assert keys(facts) == {Key("gap", "c1")}


@pytest.mark.parametrize(
    ("used", "limit", "begins", "goes_on"),
    [
        (79, 100, False, False),
        (80, 100, False, True),
        (90, 100, True, True),
        (500, 100, True, True),
        (5, 0, False, False),
    ],
)
def test_the_budget_is_near_its_end_from_nine_tenths_and_until_below_eight(
    used: int, limit: int, begins: bool, goes_on: bool
) -> None:
    facts, key = replace(FINE, budgets={"c1": BudgetFacts(used=used, limit=limit)}), Key("budget", "c1")
    assert keys(facts) == ({key} if begins else set())
    assert keys(facts, key) == ({key} if goes_on else set())


@pytest.mark.parametrize(
    ("seen", "synced", "gone"),
    [
        (10, None, False),
        (61, None, True),
        (61, 5, True),
        (7200, 60, False),  # somebody synchronises by a schedule now
        (7200, 7200, True),
        (None, 60, False),
        (None, None, True),
    ],
)
def test_no_worker_is_a_trouble_unless_a_schedule_works_in_its_place(
    seen: int | None, synced: int | None, gone: bool
) -> None:
    facts = replace(
        FINE,
        worker_seen_at=None if seen is None else NOW - timedelta(seconds=seen),
        synced_at=None if synced is None else NOW - timedelta(seconds=synced),
    )
    assert keys(facts) == ({Key("worker")} if gone else set())
    assert keys(replace(facts, connections=())) == set(), "nobody has anything to do"


def test_one_connection_in_trouble_says_nothing_of_another() -> None:
    other = ConnectionFacts(id="c2", name="Bar", state="active")
    facts = replace(
        FINE, connections=(in_state("reauth"), other), lists=(replace(listed(age=2 * DAY), connection="c2"),)
    )
    assert keys(facts) == {Key("refused", "c1"), Key("stale", "c2")}


# -- what becomes of alerts


def standing(
    kind: Kind, *, opened: timedelta, told: bool, stood: timedelta = MINUTE, gone: timedelta | None = None
) -> Standing:
    return Standing(
        id="a1",
        key=Key(kind, "c1"),
        fields={"name": "Shop"},
        opened_at=NOW - opened,
        stood_at=NOW - stood,
        told_at=NOW - MINUTE if told else None,
        gone_at=None if gone is None else NOW - gone,
    )


def seen(kind: Kind, **fields: str) -> Trouble:
    return Trouble(Key(kind, "c1"), {"name": "Shop", **fields})


def test_a_trouble_is_told_at_once_or_after_its_patience() -> None:
    assert steps([], [seen("refused")], NOW) == (Begin(seen("refused"), NOW, tell=True),)
    assert steps([], [seen("stale")], NOW) == (Begin(seen("stale"), NOW, tell=False),)
    (early,) = steps([standing("stale", opened=29 * MINUTE, told=False)], [seen("stale")], NOW)
    (late,) = steps([standing("stale", opened=30 * MINUTE, told=False)], [seen("stale")], NOW)
    assert isinstance(early, Keep) and not early.tell
    assert isinstance(late, Keep) and late.tell


def test_nobody_hears_of_what_heals_itself_in_time() -> None:
    alert = standing("worker", opened=4 * MINUTE, told=False)
    assert steps([alert], [], NOW) == (Forget(alert),)


def test_time_in_which_nobody_looked_does_not_count() -> None:
    overnight = standing("worker", opened=timedelta(hours=9), told=False, stood=timedelta(hours=8))
    (step,) = steps([overnight], [seen("worker")], NOW)
    assert isinstance(step, Keep)
    assert (step.opened_at, step.tell) == (NOW, False)


def test_what_stands_unchanged_is_left_alone_and_what_changes_is_noted_without_telling() -> None:
    alert = standing("stale", opened=DAY, told=True)
    assert steps([alert], [seen("stale")], NOW) == ()
    assert steps([alert], [seen("stale", oldest="x")], NOW) == (
        Keep(alert, alert.opened_at, tell=False, fields={"name": "Shop", "oldest": "x"}),
    )


def test_an_end_is_told_once_it_has_lasted() -> None:
    alert = standing("refused", opened=DAY, told=True)
    assert steps([alert], [], NOW) == (End(alert, NOW),)
    worker = standing("worker", opened=DAY, told=True)
    assert steps([worker], [], NOW) == (Fade(worker),)
    assert steps([replace(worker, gone_at=NOW - MINUTE)], [], NOW) == ()
    fading = replace(worker, gone_at=NOW - 5 * MINUTE)
    assert steps([fading], [], NOW) == (End(fading, NOW - 5 * MINUTE),)
    (back,) = steps([fading], [seen("worker")], NOW)
    assert isinstance(back, Keep) and not back.tell, "it never went: nothing is told"


def test_what_rests_is_neither_told_nor_ended() -> None:
    resting = Trouble(Key("stale", "c1"), {}, resting=True)
    told, untold = standing("stale", opened=DAY, told=True), standing("stale", opened=DAY, told=False)
    assert steps([told], [resting], NOW) == ()
    assert steps([untold], [resting], NOW) == (Forget(untold),)


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.booleans()), max_size=40))
def test_of_one_trouble_a_beginning_and_an_end_are_told_in_turn(seen_at: list[tuple[Kind, bool]]) -> None:
    """Whatever comes and goes, minute by minute: no beginning twice, no end without one."""
    kept: dict[Key, Standing] = {}
    told: dict[Key, list[str]] = {}
    now = NOW
    for kind, stands in seen_at:
        now += 2 * MINUTE
        found = [seen(kind)] if stands else []
        for step in steps(list(kept.values()), found, now):
            if isinstance(step, Begin):
                key = step.trouble.key
                kept[key] = Standing(
                    id="a", key=key, fields=step.trouble.fields, opened_at=step.opened_at, stood_at=now,
                    told_at=now if step.tell else None, gone_at=None,
                )  # fmt: skip
                told.setdefault(key, []).extend(["opened"] if step.tell else [])
            elif isinstance(step, Keep):
                told_at = now if step.tell else step.alert.told_at
                kept[step.alert.key] = replace(
                    step.alert, opened_at=step.opened_at, stood_at=now, told_at=told_at, gone_at=None
                )
                told.setdefault(step.alert.key, []).extend(["opened"] if step.tell else [])
            elif isinstance(step, Fade):
                kept[step.alert.key] = replace(step.alert, gone_at=now)
            else:
                del kept[step.alert.key]
                told.setdefault(step.alert.key, []).extend(["closed"] if isinstance(step, End) else [])
    for said in told.values():
        assert said == ["opened", "closed"] * (len(said) // 2) + ["opened"] * (len(said) % 2)


def test_retries_grow_and_end_after_about_three_days() -> None:
    waits = [rules.retry_after(tries) for tries in range(1, 18)]
    known = [wait for wait in waits if wait is not None]
    assert known == sorted(known) and len(known) == 17
    assert 3 * DAY <= sum(known, timedelta(0)) <= 3 * DAY + timedelta(hours=3)
    assert rules.retry_after(18) is None


def test_every_kind_is_ranked_and_the_serious_come_first() -> None:
    assert set(KINDS[: len(SERIOUS)]) == SERIOUS
