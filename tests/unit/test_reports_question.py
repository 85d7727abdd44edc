"""What of a report stands in its address."""

from dataclasses import replace
from datetime import UTC, date, datetime
from urllib.parse import parse_qsl

from hypothesis import given
from hypothesis import strategies as st

from takings.connections.model import Connection
from takings.reports.question import Scope, State, parse, scopes
from takings.reports.ranges import COMPARES, GRAINS, PRESETS, Days

states = st.builds(
    State,
    preset=st.sampled_from([p for p in PRESETS if p != "custom"]),
    grain=st.sampled_from([None, *GRAINS]),
    compare=st.sampled_from(COMPARES),
    currency=st.sampled_from([None, "eur", "jpy", "kwd"]),
    source=st.sampled_from([None, "live", "a1b2", "acct_1:test"]),
    zone=st.sampled_from([None, "Europe/Paris", "Asia/Kolkata"]),
)
days = st.tuples(st.dates(date(1990, 1, 1), date(2200, 12, 31)), st.dates(date(1990, 1, 1), date(2200, 12, 31)))


@given(states, st.none() | days)
def test_an_address_says_exactly_the_state(state, custom):
    if custom:
        state = replace(state, preset="custom", first=min(custom), last=max(custom))
    query = state.query()
    read, problems = parse(dict(parse_qsl(query.removeprefix("?"))))
    assert read == state
    assert problems == ()
    assert read.query() == query


def test_the_default_has_no_address():
    assert State().query() == ""
    assert parse({}) == (State(), ())


def test_bad_input_is_named_and_left_out():
    state, problems = parse(
        {
            "range": "fortnight",
            "grain": "hour",
            "compare": "me",
            "currency": "euro",
            "zone": "Mars/Base",
            "source": "a b",
        }
    )
    assert state == State()
    assert sorted(p.fields["name"] for p in problems) == ["compare", "currency", "grain", "range", "source", "zone"]
    assert all("was left out" in str(p) for p in problems)


def test_days_that_are_none():
    state, problems = parse({"from": "2026-02-30", "to": "2026-13-01"})
    assert state.preset == "30d"
    assert [p.code for p in problems] == ["reports.day", "reports.day"]
    state, problems = parse({"from": "20261101"})
    assert [p.code for p in problems] == ["reports.day"]


def test_days_in_the_wrong_order_are_exchanged_with_a_word():
    state, problems = parse({"from": "2026-11-30", "to": "2026-11-01"})
    assert (state.preset, state.first, state.last) == ("custom", date(2026, 11, 1), date(2026, 11, 30))
    assert [p.code for p in problems] == ["reports.days_order"]


def test_one_day_is_a_range():
    state, problems = parse({"from": "2026-11-30"})
    assert state.days(date(2026, 12, 1), None) == Days(date(2026, 11, 30), date(2026, 11, 30))
    assert problems == ()


def test_a_custom_range_without_days_says_so():
    state, problems = parse({"range": "custom"})
    assert state.preset == "30d"
    assert [p.code for p in problems] == ["reports.days_missing"]


def test_a_named_range_wins_over_days_left_in_the_form():
    state, _ = parse({"range": "7d", "from": "2026-01-01", "to": "2026-02-01"})
    assert state == State(preset="7d")


def test_choosing_a_named_range_drops_the_days():
    state = State(preset="custom", first=date(2026, 1, 1), last=date(2026, 1, 31), currency="jpy")
    assert state.but(preset="7d") == State(preset="7d", currency="jpy")
    assert state.but(currency="eur").query() == "?range=custom&from=2026-01-01&to=2026-01-31&currency=eur"


def _connection(id_: str, name: str, account: str, *, livemode: bool = True, source: str = "stripe") -> Connection:
    return Connection(
        id=id_,
        name=name,
        source=source,  # type: ignore[arg-type]
        way="key",
        account_id=account,
        account_name=name,
        livemode=livemode,
        country="FR",
        currency="eur",
        state="active",
        reason=None,
        reason_code=None,
        start_at=None,
        permissions={},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        last_sync_at=None,
        sync_wanted_at=None,
        next_sync_at=None,
    )


def test_live_test_and_sample_are_never_together():
    found = scopes(
        [
            _connection("t1", "Sandbox", "acct_1", livemode=False),
            _connection("s1", "Demo", "acct_9", livemode=True, source="sample"),
            _connection("l2", "France", "acct_2"),
            _connection("l1", "Belgium", "acct_1"),
        ]
    )
    assert found == (
        Scope("live", None, True, ("acct_1", "acct_2")),
        Scope("l1", "Belgium", True, ("acct_1",)),
        Scope("l2", "France", True, ("acct_2",)),
        Scope("t1", "Sandbox", False, ("acct_1",)),
        Scope("s1", "Demo", True, ("acct_9",)),
    )


def test_one_connection_is_the_only_choice():
    assert [s.key for s in scopes([_connection("l1", "France", "acct_1")], [("acct_1", True)])] == ["l1"]


def test_data_kept_after_a_disconnection_can_still_be_looked_at():
    found = scopes([], [("acct_1", True), ("acct_2", False)])
    assert [s.key for s in found] == ["acct_1", "acct_2:test"]
    assert [s.livemode for s in found] == [True, False]
