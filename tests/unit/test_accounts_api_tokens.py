"""Tokens of the API against a real store and a clock that is turned: their last day, their number, and who guesses them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from takings.accounts import MATRIX, ROLES, ApiTokens, Passwords, People, Person, Role
from takings.accounts.api_tokens import MOST, PREFIX
from takings.errors import Invalid, NotAllowed, Unavailable
from takings.log import redact
from takings.settings import load
from takings.store import Store
from takings.web.api.door import TRIES, Door


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.time = datetime(2026, 10, 24, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(load({}, home=tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def people(store: Store, clock: Clock) -> People:
    return People(store, clock, Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)))


@pytest.fixture
def ada(people: People) -> Person:
    return people.setup(
        company_name="Bakery",
        locale="en",
        time_zone="Europe/Paris",
        currency="eur",
        email="ada@example.com",
        name="Ada",
        password="a long enough one",
    )


@pytest.fixture
def tokens(store: Store, clock: Clock) -> ApiTokens:
    return ApiTokens(store, clock)


@pytest.mark.parametrize("mine", ROLES)
@pytest.mark.parametrize("wanted", ROLES)
def test_a_token_may_what_its_role_may_and_at_most_what_its_person_may(
    mine: Role, wanted: Role, ada: Person, people: People, tokens: ApiTokens
) -> None:
    person = people.accept(people.invite(ada, "grace@example.com", mine), "Grace", "a long enough one")
    if not MATRIX[wanted] <= MATRIX[mine]:
        with pytest.raises(Invalid) as refused:
            tokens.make(person, "Sheet", wanted)
        assert refused.value.code == "accounts.token_role" and tokens.list(person) == ()
        return
    caller = tokens.who(tokens.make(person, "Sheet", wanted))
    assert caller is not None and (caller.id, caller.role) == (person.id, wanted)
    assert all(caller.may(action) == (action in MATRIX[wanted]) for action in MATRIX["admin"])


def test_the_last_day_is_the_whole_day_in_the_companys_zone(ada: Person, tokens: ApiTokens, clock: Clock) -> None:
    token = tokens.make(ada, "Short", "admin", date(2026, 10, 25), "Europe/Paris")  # clocks go back: it has 25 hours
    clock.time = datetime(2026, 10, 25, 22, 59, 59, tzinfo=UTC)
    assert tokens.who(token) is not None
    clock.time += timedelta(seconds=1)
    assert tokens.who(token) is None
    assert tokens.list(ada)[0].expires_at == clock.time
    for day in (date(2026, 10, 25), date.max):
        with pytest.raises(Invalid):
            tokens.make(ada, "Over", "admin", day, "Europe/Paris")


def test_what_is_listed_opens_nothing_and_tells_when_it_was_used(ada: Person, tokens: ApiTokens, clock: Clock) -> None:
    token = tokens.make(ada, "Sheet", "read_only")
    assert token.startswith(PREFIX) and tokens.list(ada)[0].used_at is None
    tokens.who(token)
    first = clock.time
    clock.time += timedelta(minutes=4)
    tokens.who(token)
    assert tokens.list(ada)[0].used_at == first
    clock.time += timedelta(minutes=2)
    tokens.who(token)
    (listed,) = tokens.list(ada)
    assert listed.used_at == clock.time and token not in repr(listed)
    assert tokens.who(listed.id) is None and tokens.who(PREFIX + listed.id) is None and tokens.who("") is None
    assert redact(f"asked with {token}, twice") == "asked with [secret], twice"


def test_an_administrator_sees_and_revokes_everybodys_tokens_and_nobody_else_does(
    ada: Person, people: People, tokens: ApiTokens
) -> None:
    ben = people.accept(people.invite(ada, "ben@example.com", "standard"), "Ben", "correct horse battery")
    of_ben = tokens.make(ben, "Warehouse", "read_only")
    tokens.make(ada, "Reports", "standard")
    assert {(one.name, one.owner) for one in tokens.every(ada)} == {("Warehouse", "Ben"), ("Reports", ada.name)}
    mine, his = (next(one.id for one in tokens.every(ada) if one.owner == name) for name in (ada.name, "Ben"))
    with pytest.raises(NotAllowed):
        tokens.every(ben)
    with pytest.raises(NotAllowed):
        tokens.revoke_any(ben, mine)
    assert not tokens.revoke(ada, his)  # her own only
    assert tokens.revoke_any(ada, his) and not tokens.revoke_any(ada, his)
    assert tokens.who(of_ben) is None and [one.id for one in tokens.every(ada)] == [mine]


def test_nobody_has_more_tokens_than_can_be_looked_through(ada: Person, tokens: ApiTokens) -> None:
    for number in range(MOST):
        tokens.make(ada, f"Token {number}", "read_only")
    with pytest.raises(Invalid) as refused:
        tokens.make(ada, "One more", "read_only")
    assert refused.value.code == "accounts.token_many"
    assert tokens.revoke(ada, tokens.list(ada)[0].id) and not tokens.revoke(ada, "none")
    assert tokens.make(ada, "One more", "read_only")


def test_a_closed_door_opens_after_a_minute_and_closes_for_one_address_alone(
    ada: Person, tokens: ApiTokens, clock: Clock
) -> None:
    door, good = Door(tokens, clock), f"Bearer {tokens.make(ada, 'Sheet', 'admin')}"
    for _ in range(TRIES):
        with pytest.raises(NotAllowed):
            door.admit("Bearer takings_guess", "10.0.0.1")
        clock.time += timedelta(seconds=1)
    for header in ("Bearer takings_guess", good):
        with pytest.raises(Unavailable):
            door.admit(header, "10.0.0.1")
    assert door.admit(good, "10.0.0.2").id == ada.id
    assert door.admit(good, "10.0.0.1").id == ada.id, "it was right a moment ago"
    tokens.revoke(ada, tokens.list(ada)[0].id)
    with pytest.raises(NotAllowed):
        door.admit(good, "10.0.0.1")
    clock.time += timedelta(seconds=61)
    with pytest.raises(NotAllowed):
        door.admit("Bearer takings_guess", "10.0.0.1")
