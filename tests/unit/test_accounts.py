"""Who may do what, what passwords are accepted, and how long an account is locked."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from takings.accounts import MATRIX, ROLES, Action, Passwords, Person, Role, SetupToken, require
from takings.accounts.passwords import require_good
from takings.accounts.people import FREE_TRIES, lock_length, require_email
from takings.errors import Invalid, NotAllowed

EVERYBODY = {Action.VIEW_REPORTS, Action.EXPORT}


def person(role: Role, *, disabled: bool = False) -> Person:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Person(
        id="p",
        email="p@example.com",
        name="P",
        role=role,
        locale=None,
        theme="auto",
        created_at=now,
        disabled_at=now if disabled else None,
    )


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("admin", set(Action)),
        ("standard", {*EVERYBODY, Action.SEE_TABLES, Action.SEE_ALERTS}),
        ("read_only", EVERYBODY),
    ],
)
def test_each_role_may_do_exactly_this(role: Role, may: set[Action]) -> None:
    for action in Action:
        if action in may:
            assert require(person(role), action).role == role
        else:
            with pytest.raises(NotAllowed):
                require(person(role), action)


def test_every_role_has_its_rights() -> None:
    assert set(MATRIX) == set(ROLES)


@pytest.mark.parametrize("action", list(Action))
def test_nobody_and_the_disabled_may_do_nothing(action: Action) -> None:
    for who in (None, person("admin", disabled=True)):
        with pytest.raises(NotAllowed):
            require(who, action)


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("eleven char", "accounts.password_short"),
        ("x" * 201, "accounts.password_long"),
        ("abababababababab", "accounts.password_simple"),
        ("Ada.Lovelace@Example.com", "accounts.password_is_email"),
        ("ada.lovelace", "accounts.password_is_email"),
    ],
)
def test_a_bad_password_is_refused_for_its_reason(password: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        require_good(password, "ada.lovelace@example.com")
    assert refused.value.code == code


def test_a_password_of_twelve_characters_is_accepted() -> None:
    assert require_good("twelve chars", "ada@example.com") == "twelve chars"


def test_an_account_locks_at_the_fifth_wrong_password_and_ever_longer() -> None:
    lengths = [lock_length(n) for n in range(FREE_TRIES + 20)]
    assert lengths[:FREE_TRIES] == [None] * FREE_TRIES
    assert lengths[FREE_TRIES : FREE_TRIES + 3] == [timedelta(minutes=n) for n in (1, 2, 4)]
    assert lengths[-1] == timedelta(hours=1)


@pytest.mark.parametrize("text", ["ada", "ada@", "@example.com", "ada@example", "a b@example.com", "<x>@example.com"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        require_email(text)


def test_an_address_is_kept_in_lower_case() -> None:
    assert require_email("  Ada@Example.COM ") == "ada@example.com"


def test_a_hash_is_argon2id_and_opens_for_its_password_alone() -> None:
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    stored = passwords.make("correct horse")
    assert stored.startswith("$argon2id$")
    assert passwords.check(stored, "correct horse")
    assert not passwords.check(stored, "correct horsf")
    assert not passwords.check(None, "nobody has this password")
    assert not passwords.check("not a hash", "correct horse")


def test_default_hashes_cost_64_mib() -> None:
    assert "$m=65536,t=3,p=4$" in Passwords().make("correct horse")


def test_a_dated_hash_is_noticed() -> None:
    old = Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)).make("correct horse")
    assert Passwords().is_dated(old)


def test_the_set_up_token_is_for_this_user_alone_and_works_until_it_is_forgotten(tmp_path: Path) -> None:
    token = SetupToken(tmp_path / "home")
    assert not token.matches("")
    value = token.issue()
    file = tmp_path / "home" / "setup-token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert SetupToken(tmp_path / "home").issue() == value
    assert token.matches(f" {value}\n")
    assert not token.matches(value[:-1])
    token.forget()
    assert not token.matches(value)
