"""People: the first administrator, signing in with a lockout, invitations, roles, and never without an administrator."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from takings.accounts.audit import Audit
from takings.accounts.company import require_currency, require_locale, require_zone
from takings.accounts.model import MATRIX, ROLES, THEMES, Action, Invitation, Person, Role, Theme, require
from takings.accounts.passwords import Passwords, require_good
from takings.accounts.tokens import hashed, new_id, new_token
from takings.clock import Clock
from takings.errors import Invalid, NotAllowed, NotFound
from takings.store import Store
from takings.store import schema as s

INVITATION_LASTS: Final = timedelta(days=7)

FREE_TRIES: Final = 5
"""Wrong passwords in a row before an account is locked for a while."""

_LOCK_FIRST = timedelta(minutes=1)
_LOCK_MOST = timedelta(hours=1)
_EMAIL = re.compile(r"[^@\s<>\"]{1,64}@[^@\s<>\"]+\.[^@\s<>\".]{2,}")


def person_of(row: Any) -> Person:
    """Make a person of a row of the table of people."""
    return Person(
        id=row.id,
        email=row.email,
        name=row.name,
        role=row.role,
        locale=row.locale,
        theme=row.theme,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )


def lock_length(failed: int) -> timedelta | None:
    """Return for how long an account is locked after so many wrong passwords in a row; None: not at all.

    The fifth locks for one minute; each further one for twice as long, an hour at most.
    """
    if failed < FREE_TRIES:
        return None
    doublings = min(failed - FREE_TRIES, 10)
    return min(_LOCK_FIRST * (1 << doublings), _LOCK_MOST)


class People:
    """Everybody with an account, and how they come and go.

    Args:
        store: The product's own database.
        clock: Tells the time for locks and invitations.
        passwords: Makes and checks hashes.

    Methods that take ``by`` are for administrators and raise :class:`NotAllowed` for anybody else. Methods that check a
    password are slow on purpose: call them in a thread.
    """

    def __init__(self, store: Store, clock: Clock, passwords: Passwords | None = None) -> None:
        self._store = store
        self._clock = clock
        self._passwords = passwords or Passwords()
        self._audit = Audit(store, clock)
        self._set_up = False

    # -- the first set-up

    def is_set_up(self) -> bool:
        """Tell whether the company and its first administrator exist. Once true it stays true."""
        if not self._set_up:
            with self._store.read() as connection:
                self._set_up = connection.execute(sa.select(s.company.c.id)).first() is not None
        return self._set_up

    def setup(
        self,
        *,
        company_name: str,
        locale: str,
        time_zone: str,
        currency: str,
        email: str,
        name: str,
        password: str,
    ) -> Person:
        """Set up the company and its first administrator, once.

        Raises:
            Invalid: A value cannot be used.
            NotAllowed: It is set up already.
        """
        address, shown = require_email(email), require_name(name)
        company_shown = require_name(company_name or name)
        values = {
            "id": "company",
            "name": company_shown,
            "locale": require_locale(locale),
            "time_zone": require_zone(time_zone),
            "currency": require_currency(currency),
            "created_at": self._clock.now(),
        }
        password_hash = self._passwords.make(require_good(password, address))
        try:
            with self._store.write() as connection:
                connection.execute(sa.insert(s.company).values(values))
                person = self._add(connection, address, shown, password_hash, "admin", None)
                self._audit.record_in(connection, person, "company.set_up", company_shown)
        except sa.exc.IntegrityError as error:
            raise NotAllowed(
                "accounts.set_up_already", "This installation is set up already: sign in instead."
            ) from error
        self._set_up = True
        return person

    # -- signing in

    def authenticate(self, email: str, password: str) -> Person:
        """Return the person with this address and password. Takes equally long whether or not there is such a person.

        Raises:
            Invalid: Wrong address or password (which of them is never told), or the person is disabled.
            NotAllowed: Too many wrong passwords: the account is locked for a while.
        """
        address, now = email.strip().lower()[:320], self._clock.now()
        with self._store.read() as connection:
            row = connection.execute(sa.select(s.people).where(s.people.c.email == address)).first()
        if row is not None and row.locked_until is not None and row.locked_until > now:
            raise _locked(row.locked_until, now)
        if not self._passwords.check(row.password_hash if row else None, password) or row is None:
            if row is not None:
                self._note_failure(row.id, address, now)
            raise _wrong()
        if row.disabled_at is not None:
            raise _wrong()
        changes: dict[str, Any] = {"failed_logins": 0, "locked_until": None}
        if self._passwords.is_dated(row.password_hash):
            changes["password_hash"] = self._passwords.make(password)
        person = person_of(row)
        with self._store.write() as connection:
            connection.execute(sa.update(s.people).where(s.people.c.id == row.id).values(changes))
            self._audit.record_in(connection, person, "person.signed_in", address)
        return person

    def _note_failure(self, person_id: str, address: str, now: datetime) -> None:
        p = s.people.c
        with self._store.write() as connection:
            connection.execute(sa.update(s.people).where(p.id == person_id).values(failed_logins=p.failed_logins + 1))
            failed = connection.execute(sa.select(p.failed_logins).where(p.id == person_id)).scalar_one()
            length = lock_length(failed)
            if length is None:
                return
            connection.execute(sa.update(s.people).where(p.id == person_id).values(locked_until=now + length))
            self._audit.record_in(connection, None, "person.locked", address, failed=failed)

    # -- one's own account

    def set_preferences(self, person: Person, *, locale: str | None = None, theme: str | None = None) -> None:
        """Change a person's language, theme, or both; None leaves as it is.

        Raises:
            Invalid: Not one of those offered.
        """
        changes: dict[str, str] = {}
        if locale is not None:
            changes["locale"] = require_locale(locale)
        if theme is not None:
            changes["theme"] = require_theme(theme)
        if changes:
            with self._store.write() as connection:
                connection.execute(sa.update(s.people).where(s.people.c.id == person.id).values(changes))

    def rename(self, person: Person, name: str) -> None:
        """Change a person's own name.

        Raises:
            Invalid: It is empty or too long.
        """
        with self._store.write() as connection:
            connection.execute(sa.update(s.people).where(s.people.c.id == person.id).values(name=require_name(name)))

    def change_password(self, person: Person, present: str, new: str) -> None:
        """Change a person's own password. The caller closes their other sessions and rotates this one.

        Raises:
            Invalid: The present password is wrong, or the new one breaks the rules.
            NotAllowed: Too many wrong passwords: the account is locked for a while.
        """
        try:
            self.authenticate(person.email, present)
        except Invalid as error:
            raise Invalid("accounts.present_password_wrong", "The present password is not right.") from error
        password_hash = self._passwords.make(require_good(new, person.email))
        with self._store.write() as connection:
            connection.execute(
                sa.update(s.people).where(s.people.c.id == person.id).values(password_hash=password_hash)
            )
            self._audit.record_in(connection, person, "person.password_changed", person.email)

    # -- other people: for administrators

    def invitations(self, by: Person) -> list[Invitation]:
        """Return the invitations that still open something, newest first.

        Raises:
            NotAllowed: Not an administrator.
        """
        require(by, Action.MANAGE_PEOPLE)
        i = s.invitations.c
        with self._store.read() as connection:
            rows = connection.execute(sa.select(s.invitations).where(*self._open()).order_by(i.created_at.desc()))
            return [_invitation_of(row) for row in rows]

    def list(self, by: Person) -> list[Person]:
        """Return everybody, by name, the disabled last.

        Raises:
            NotAllowed: Not an administrator.
        """
        require(by, Action.MANAGE_PEOPLE)
        p = s.people.c
        query = sa.select(s.people).order_by(p.disabled_at.is_not(None), sa.func.lower(p.name), p.id)
        with self._store.read() as connection:
            return [person_of(row) for row in connection.execute(query)]

    def known_as(self, email: str) -> Person:
        """Return the person with this address, for whoever has the data folder.

        Raises:
            NotFound: There is none, or the person is disabled.
        """
        p = s.people.c
        query = sa.select(s.people).where(p.email == email.strip().lower()[:320], p.disabled_at.is_(None))
        with self._store.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFound(
                "accounts.no_person_of",
                "Nobody signs in with this address: give that of a person under Admin > People.",
            )
        return person_of(row)

    def invite(self, by: Person, email: str, role: str) -> str:
        """Invite somebody and return the token of the link: it is shown once and cannot be had again.

        An older invitation of the same address is revoked.

        Raises:
            NotAllowed: Not an administrator.
            Invalid: The address or the role cannot be used, or there is such a person already.
        """
        require(by, Action.MANAGE_PEOPLE)
        address, wanted, token, now = require_email(email), require_role(role), new_token(), self._clock.now()
        i = s.invitations.c
        with self._store.write() as connection:
            if connection.execute(sa.select(s.people.c.id).where(s.people.c.email == address)).first():
                raise _taken(address)
            connection.execute(sa.update(s.invitations).where(i.email == address, *self._open()).values(revoked_at=now))
            connection.execute(
                sa.insert(s.invitations).values(
                    token_hash=hashed(token),
                    id=new_id(),
                    email=address,
                    role=wanted,
                    invited_by=by.id,
                    created_at=now,
                    expires_at=now + INVITATION_LASTS,
                )
            )
            self._audit.record_in(connection, by, "person.invited", address, role=wanted)
        return token

    def revoke_invitation(self, by: Person, invitation_id: str) -> None:
        """Make an invitation's link worthless.

        Raises:
            NotAllowed: Not an administrator.
            NotFound: There is no such open invitation.
        """
        require(by, Action.MANAGE_PEOPLE)
        i = s.invitations.c
        with self._store.write() as connection:
            row = connection.execute(sa.select(s.invitations).where(i.id == invitation_id, *self._open())).first()
            if row is None:
                raise _no_invitation()
            connection.execute(
                sa.update(s.invitations).where(i.id == invitation_id).values(revoked_at=self._clock.now())
            )
            self._audit.record_in(connection, by, "person.invitation_revoked", row.email)

    def invitation(self, token: str) -> Invitation:
        """Return the open invitation of a link.

        Raises:
            NotFound: It never was, was used, was revoked, or expired.
        """
        with self._store.read() as connection:
            row = connection.execute(
                sa.select(s.invitations).where(s.invitations.c.token_hash == hashed(token), *self._open())
            ).first()
        if row is None:
            raise _no_invitation()
        return _invitation_of(row)

    def accept(self, token: str, name: str, password: str, *, locale: str | None = None) -> Person:
        """Make the account that an invitation offers. The link opens nothing afterwards.

        Raises:
            NotFound: The invitation never was, was used, was revoked, or expired.
            Invalid: The name or the password cannot be used.
        """
        offered, shown = self.invitation(token), require_name(name)
        language = require_locale(locale) if locale is not None else None
        password_hash = self._passwords.make(require_good(password, offered.email))
        i = s.invitations.c
        try:
            with self._store.write() as connection:
                taken = connection.execute(
                    sa.update(s.invitations)
                    .where(i.token_hash == hashed(token), *self._open())
                    .values(accepted_at=self._clock.now())
                )
                if taken.rowcount != 1:
                    raise _no_invitation()
                person = self._add(connection, offered.email, shown, password_hash, offered.role, language)
                self._audit.record_in(connection, person, "person.joined", offered.email, role=offered.role)
        except sa.exc.IntegrityError as error:
            raise _taken(offered.email) from error
        return person

    def change_role(self, by: Person, person_id: str, role: str) -> None:
        """Give somebody another role and sign them out everywhere, so that no session or token outlives its rights.

        Raises:
            NotAllowed: Not an administrator.
            NotFound: There is no such person.
            Invalid: No such role, or they are the last administrator.
        """
        require(by, Action.MANAGE_PEOPLE)
        wanted = require_role(role)
        with self._store.write() as connection:
            person = self._locked_row(connection, person_id)
            if person.role == wanted:
                return
            if person.role == "admin":
                self._require_another_admin(connection, person_id)
            connection.execute(sa.update(s.people).where(s.people.c.id == person_id).values(role=wanted))
            connection.execute(sa.delete(s.sessions).where(s.sessions.c.person_id == person_id))
            beyond = [one for one in ROLES if not MATRIX[one] <= MATRIX[wanted]]
            t = s.api_tokens.c
            connection.execute(sa.delete(s.api_tokens).where(t.person_id == person_id, t.role.in_(beyond)))
            self._audit.record_in(connection, by, "person.role_changed", person.email, before=person.role, after=wanted)

    def disable(self, by: Person, person_id: str) -> None:
        """Bar somebody from signing in, at once and everywhere. What they made stays.

        Raises:
            NotAllowed: Not an administrator.
            NotFound: There is no such person.
            Invalid: They are the last administrator.
        """
        require(by, Action.MANAGE_PEOPLE)
        with self._store.write() as connection:
            person = self._locked_row(connection, person_id)
            if person.disabled_at is not None:
                return
            if person.role == "admin":
                self._require_another_admin(connection, person_id)
            connection.execute(
                sa.update(s.people).where(s.people.c.id == person_id).values(disabled_at=self._clock.now())
            )
            connection.execute(sa.delete(s.sessions).where(s.sessions.c.person_id == person_id))
            connection.execute(sa.delete(s.api_tokens).where(s.api_tokens.c.person_id == person_id))
            self._audit.record_in(connection, by, "person.disabled", person.email)

    def enable(self, by: Person, person_id: str) -> None:
        """Let somebody who was disabled sign in again; a lock for wrong passwords is lifted too.

        Raises:
            NotAllowed: Not an administrator.
            NotFound: There is no such person.
        """
        require(by, Action.MANAGE_PEOPLE)
        with self._store.write() as connection:
            person = self._locked_row(connection, person_id)
            connection.execute(
                sa.update(s.people)
                .where(s.people.c.id == person_id)
                .values(disabled_at=None, failed_logins=0, locked_until=None)
            )
            self._audit.record_in(connection, by, "person.enabled", person.email)

    # -- within

    def _open(self) -> tuple[sa.ColumnElement[bool], ...]:
        i = s.invitations.c
        return (i.accepted_at.is_(None), i.revoked_at.is_(None), i.expires_at > self._clock.now())

    def _add(
        self, connection: sa.Connection, email: str, name: str, password_hash: str, role: Role, locale: str | None
    ) -> Person:
        person = Person(
            id=new_id(),
            email=email,
            name=name,
            role=role,
            locale=locale,
            theme="auto",
            created_at=self._clock.now(),
        )
        connection.execute(
            sa.insert(s.people).values(
                id=person.id,
                email=email,
                name=name,
                role=role,
                locale=locale,
                theme=person.theme,
                created_at=person.created_at,
                password_hash=password_hash,
            )
        )
        return person

    @staticmethod
    def _locked_row(connection: sa.Connection, person_id: str) -> Any:
        row = connection.execute(sa.select(s.people).where(s.people.c.id == person_id).with_for_update()).first()
        if row is None:
            raise NotFound("accounts.no_person", "There is no such person.")
        return row

    @staticmethod
    def _require_another_admin(connection: sa.Connection, person_id: str) -> None:
        p = s.people.c
        admins = connection.execute(sa.select(p.id).where(p.role == "admin", p.disabled_at.is_(None)).with_for_update())
        if all(row.id == person_id for row in admins):
            raise Invalid(
                "accounts.last_admin",
                "This is the last administrator: make somebody else one first.",
            )


def require_email(email: str) -> str:
    """Return an e-mail address in lower case if it has the form of one.

    Raises:
        Invalid: It has not.
    """
    address = email.strip().lower()
    if len(address) > 320 or not _EMAIL.fullmatch(address):
        raise Invalid("accounts.email_form", "This is not an e-mail address: it should read like name@example.com.")
    return address


def require_name(name: str) -> str:
    """Return a name without outer spaces.

    Raises:
        Invalid: It is empty or longer than 200 characters.
    """
    shown = " ".join(name.split())
    if not shown or len(shown) > 200:
        raise Invalid("accounts.name_needed", "Give a name of 1 to 200 characters.")
    return shown


def require_role(role: str) -> Role:
    """Return a role if it is one.

    Raises:
        Invalid: No such role.
    """
    for known in ROLES:
        if role == known:
            return known
    raise Invalid("accounts.role_unknown", "Choose one of the roles offered.")


def require_theme(theme: str) -> Theme:
    """Return a theme if it is one.

    Raises:
        Invalid: No such theme.
    """
    for known in THEMES:
        if theme == known:
            return known
    raise Invalid("accounts.theme_unknown", "Choose one of the themes offered.")


def _invitation_of(row: Any) -> Invitation:
    return Invitation(id=row.id, email=row.email, role=row.role, created_at=row.created_at, expires_at=row.expires_at)


def _wrong() -> Invalid:
    return Invalid("accounts.sign_in_wrong", "The e-mail address or the password is not right.")


def _locked(until: datetime, now: datetime) -> NotAllowed:
    minutes = max(1, -int(-(until - now).total_seconds() // 60))
    return NotAllowed(
        "accounts.locked",
        f"Too many wrong passwords: this account is locked. Try again in {minutes} min.",
        n=minutes,
    )


def _taken(email: str) -> Invalid:
    return Invalid("accounts.email_taken", "There is an account with this e-mail address already.", email=email)


def _no_invitation() -> NotFound:
    return NotFound(
        "accounts.no_invitation",
        "This invitation is not valid: it was used, revoked, or is too old. Ask an administrator for a new one.",
    )
