"""People and their sessions against a real SQLite store: set-up, sign-in, lockout, invitations, roles."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from takings.accounts import Audit, Passwords, People, Person, Sessions, company
from takings.accounts.people import FREE_TRIES, INVITATION_LASTS
from takings.accounts.sessions import IDLE, LASTS
from takings.errors import Invalid, NotAllowed, NotFound, TakingsError
from takings.settings import load
from takings.store import Store
from takings.store import schema as s

PASSWORD = "a long enough one"


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 1, 12, tzinfo=UTC)

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
def admin(people: People) -> Person:
    return people.setup(
        company_name="Bakery",
        locale="fr",
        time_zone="Europe/Paris",
        currency="EUR",
        email="Ada@Example.com",
        name="  Ada   Lovelace ",
        password=PASSWORD,
    )


def joined(people: People, admin: Person, email: str, role: str) -> Person:
    return people.accept(people.invite(admin, email, role), "Somebody", PASSWORD)


def raised(error: type[TakingsError], code: str) -> object:
    return pytest.raises(error, check=lambda e: e.code == code)


def test_set_up_makes_company_and_administrator_once(store: Store, people: People, admin: Person) -> None:
    firm = company(store)
    assert firm is not None
    assert (firm.name, firm.locale, firm.time_zone, firm.currency) == ("Bakery", "fr", "Europe/Paris", "eur")
    assert (admin.email, admin.name, admin.role) == ("ada@example.com", "Ada Lovelace", "admin")
    with raised(NotAllowed, "accounts.set_up_already"):
        People(store, Clock(), Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))).setup(
            company_name="Thief",
            locale="en",
            time_zone="UTC",
            currency="usd",
            email="thief@example.com",
            name="Thief",
            password=PASSWORD,
        )
    assert [person.email for person in people.list(admin)] == ["ada@example.com"]


def test_nothing_is_set_up_before(store: Store, people: People) -> None:
    assert not people.is_set_up()
    assert company(store) is None


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"time_zone": "Europe/Nowhere"}, "accounts.zone_unknown"),
        ({"time_zone": "../../etc/passwd"}, "accounts.zone_unknown"),
        ({"currency": "euro"}, "accounts.currency_unknown"),
        ({"locale": "de"}, "accounts.locale_unknown"),
        ({"email": "ada"}, "accounts.email_form"),
        ({"name": " "}, "accounts.name_needed"),
        ({"password": "short"}, "accounts.password_short"),
    ],
)
def test_a_wrong_value_sets_nothing_up(people: People, wrong: dict[str, str], code: str) -> None:
    values = {
        "company_name": "Bakery",
        "locale": "en",
        "time_zone": "UTC",
        "currency": "eur",
        "email": "ada@example.com",
        "name": "Ada",
        "password": PASSWORD,
        **wrong,
    }
    with raised(Invalid, code):
        people.setup(**values)
    assert not people.is_set_up()


def test_the_right_password_signs_in_whatever_the_case_of_the_address(people: People, admin: Person) -> None:
    assert people.authenticate(" ADA@example.com ", PASSWORD).id == admin.id


def test_a_wrong_password_and_an_unknown_address_read_the_same(people: People, admin: Person) -> None:
    said = []
    for email in ("ada@example.com", "nobody@example.com"):
        with pytest.raises(Invalid) as refused:
            people.authenticate(email, "wrong")
        said.append((refused.value.code, refused.value.sentence, refused.value.fields))
    assert said[0] == said[1]


def test_five_wrong_passwords_lock_the_account_even_for_the_right_one(
    people: People, admin: Person, clock: Clock
) -> None:
    for _ in range(FREE_TRIES):
        with raised(Invalid, "accounts.sign_in_wrong"):
            people.authenticate(admin.email, "wrong")
    with raised(NotAllowed, "accounts.locked"):
        people.authenticate(admin.email, PASSWORD)
    clock.sleep(61)
    assert people.authenticate(admin.email, PASSWORD).id == admin.id
    with raised(Invalid, "accounts.sign_in_wrong"):
        people.authenticate(admin.email, "wrong")


def test_a_dated_hash_is_made_anew_at_sign_in(store: Store, people: People, admin: Person, clock: Clock) -> None:
    dearer = People(store, clock, Passwords(PasswordHasher(time_cost=2, memory_cost=64, parallelism=1)))
    dearer.authenticate(admin.email, PASSWORD)
    with store.read() as connection:
        assert "t=2" in connection.execute(sa.select(s.people.c.password_hash)).scalar_one()
    assert dearer.authenticate(admin.email, PASSWORD).id == admin.id


def test_an_invitation_works_once(people: People, admin: Person) -> None:
    token = people.invite(admin, "Grace@example.com", "standard")
    assert people.invitation(token).email == "grace@example.com"
    grace = people.accept(token, "Grace", PASSWORD, locale="fr")
    assert (grace.role, grace.locale) == ("standard", "fr")
    with raised(NotFound, "accounts.no_invitation"):
        people.accept(token, "Thief", PASSWORD)
    assert people.invitations(admin) == []


def test_the_token_of_an_invitation_is_not_stored(store: Store, people: People, admin: Person) -> None:
    token = people.invite(admin, "grace@example.com", "standard")
    with store.read() as connection:
        row = connection.execute(sa.select(s.invitations)).one()
    assert token not in map(str, row)


def test_an_invitation_expires(people: People, admin: Person, clock: Clock) -> None:
    token = people.invite(admin, "grace@example.com", "standard")
    clock.sleep(INVITATION_LASTS.total_seconds())
    with raised(NotFound, "accounts.no_invitation"):
        people.invitation(token)


def test_an_invitation_can_be_revoked_and_a_new_one_revokes_the_old(people: People, admin: Person) -> None:
    first = people.invite(admin, "grace@example.com", "standard")
    second = people.invite(admin, "grace@example.com", "admin")
    with raised(NotFound, "accounts.no_invitation"):
        people.invitation(first)
    people.revoke_invitation(admin, people.invitation(second).id)
    with raised(NotFound, "accounts.no_invitation"):
        people.accept(second, "Grace", PASSWORD)


def test_a_refused_password_does_not_use_an_invitation_up(people: People, admin: Person) -> None:
    token = people.invite(admin, "grace@example.com", "standard")
    with raised(Invalid, "accounts.password_short"):
        people.accept(token, "Grace", "short")
    assert people.accept(token, "Grace", PASSWORD).email == "grace@example.com"


def test_who_is_here_is_not_invited_again(people: People, admin: Person) -> None:
    with raised(Invalid, "accounts.email_taken"):
        people.invite(admin, "ADA@example.com", "standard")


def test_only_administrators_manage_people(people: People, admin: Person) -> None:
    for role in ("standard", "read_only"):
        other = joined(people, admin, f"{role}@example.com", role)
        acts = (
            lambda by=other: people.list(by),
            lambda by=other: people.invitations(by),
            lambda by=other: people.invite(by, "x@example.com", "admin"),
            lambda by=other: people.change_role(by, by.id, "admin"),
            lambda by=other: people.disable(by, admin.id),
            lambda by=other: people.enable(by, by.id),
            lambda by=other: people.revoke_invitation(by, "x"),
        )
        for act in acts:
            with raised(NotAllowed, "accounts.not_allowed"):
                act()


def test_the_last_administrator_stays(people: People, admin: Person) -> None:
    joined(people, admin, "grace@example.com", "standard")
    for act in (lambda: people.disable(admin, admin.id), lambda: people.change_role(admin, admin.id, "standard")):
        with raised(Invalid, "accounts.last_admin"):
            act()


def test_a_disabled_administrator_does_not_count(people: People, admin: Person) -> None:
    grace = joined(people, admin, "grace@example.com", "admin")
    people.disable(admin, grace.id)
    with raised(Invalid, "accounts.last_admin"):
        people.change_role(admin, admin.id, "read_only")
    people.enable(admin, grace.id)
    people.change_role(admin, admin.id, "read_only")
    assert people.authenticate(admin.email, PASSWORD).role == "read_only"


def test_a_change_of_rights_ends_every_session(store: Store, people: People, admin: Person, clock: Clock) -> None:
    sessions = Sessions(store, clock)
    grace = joined(people, admin, "grace@example.com", "standard")
    for act in (lambda: people.change_role(admin, grace.id, "read_only"), lambda: people.disable(admin, grace.id)):
        token = sessions.open(grace)
        assert sessions.who(token) is not None
        act()
        assert sessions.who(token) is None


def test_the_disabled_cannot_sign_in(people: People, admin: Person) -> None:
    grace = joined(people, admin, "grace@example.com", "standard")
    people.disable(admin, grace.id)
    with raised(Invalid, "accounts.sign_in_wrong"):
        people.authenticate(grace.email, PASSWORD)


def test_the_password_changes_only_with_the_present_one(people: People, admin: Person) -> None:
    with raised(Invalid, "accounts.present_password_wrong"):
        people.change_password(admin, "not it", "another long one")
    people.change_password(admin, PASSWORD, "another long one")
    assert people.authenticate(admin.email, "another long one").id == admin.id


def test_a_session_is_stored_as_a_hash_and_found_by_its_token(store: Store, admin: Person, clock: Clock) -> None:
    sessions = Sessions(store, clock)
    token = sessions.open(admin, "Firefox" * 100)
    with store.read() as connection:
        row = connection.execute(sa.select(s.sessions)).one()
    assert token not in map(str, row)
    assert len(row.user_agent) == 300
    found = sessions.who(token)
    assert found is not None
    assert found.id == admin.id
    assert sessions.who(token[:-1] + "!") is None


def test_a_session_ends_by_age_and_by_rest(store: Store, admin: Person, clock: Clock) -> None:
    sessions = Sessions(store, clock)
    token = sessions.open(admin)
    started = clock.time
    while clock.time - started < LASTS - IDLE / 2:
        clock.time += IDLE / 2
        if clock.time - started < LASTS:
            assert sessions.who(token) is not None
    clock.time = started + LASTS
    assert sessions.who(token) is None
    rested = sessions.open(admin)
    clock.time += IDLE
    assert sessions.who(rested) is None


def test_signing_in_again_closes_the_session_it_replaces(store: Store, admin: Person, clock: Clock) -> None:
    sessions = Sessions(store, clock)
    first = sessions.open(admin)
    second = sessions.open(admin, instead_of=first)
    assert first != second
    assert sessions.who(first) is None
    assert sessions.who(second) is not None


def test_sessions_are_listed_and_revoked_by_their_owner_alone(
    store: Store, people: People, admin: Person, clock: Clock
) -> None:
    sessions = Sessions(store, clock)
    grace = joined(people, admin, "grace@example.com", "admin")
    mine, hers = sessions.open(admin, "A"), sessions.open(grace, "B")
    (listed,) = sessions.list(grace)
    assert listed.id == Sessions.name_of(hers)
    assert not sessions.revoke(admin, listed.id)
    assert sessions.who(hers) is not None
    assert sessions.revoke(grace, listed.id)
    assert sessions.who(hers) is None
    other = sessions.open(admin, "C")
    assert sessions.close_all(admin, but=mine) == 1
    assert sessions.who(other) is None
    sessions.close(mine)
    assert sessions.list(admin) == []


def test_what_was_done_is_on_record_without_secrets(store: Store, people: People, admin: Person, clock: Clock) -> None:
    token = people.invite(admin, "grace@example.com", "standard")
    clock.sleep(1)
    grace = people.accept(token, "Grace", PASSWORD)
    clock.sleep(1)
    people.disable(admin, grace.id)
    entries = Audit(store, clock).latest()
    assert [(entry.action, entry.person_name, entry.subject) for entry in entries[:2]] == [
        ("person.disabled", "Ada Lovelace", "grace@example.com"),
        ("person.joined", "Grace", "grace@example.com"),
    ]
    assert token not in str(entries)
    assert PASSWORD not in str(entries)


def test_the_trail_outlives_a_change_that_fails(store: Store, people: People, admin: Person, clock: Clock) -> None:
    before = len(Audit(store, clock).latest())
    with raised(Invalid, "accounts.last_admin"):
        people.disable(admin, admin.id)
    assert len(Audit(store, clock).latest()) == before
