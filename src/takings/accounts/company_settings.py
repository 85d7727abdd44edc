"""Changing what holds for the whole company, once it is set up."""

from __future__ import annotations

import sqlalchemy as sa

from takings.accounts.audit import Audit
from takings.accounts.company import require_currency, require_locale, require_zone
from takings.accounts.model import Action, Person, require
from takings.accounts.people import require_name
from takings.store import Store
from takings.store import schema as s


class CompanySettings:
    """Changes what holds for the whole company.

    Args:
        store: The product's own database.
        audit: Notes who changed what.
    """

    def __init__(self, store: Store, audit: Audit) -> None:
        self._store, self._audit = store, audit

    def change(
        self, by: Person, *, name: str, locale: str, time_zone: str, currency: str, policy: str
    ) -> tuple[str, ...]:
        """Change the company's settings.

        Args:
            by: Who wants it.
            name: Its name.
            locale: See :class:`Company`.
            time_zone: Likewise.
            currency: Likewise.
            policy: The name of one there is; the caller knows which there are.

        Returns:
            Which of them are other than before.

        Raises:
            NotAllowed: ``by`` may not.
            Invalid: A value cannot be used.
        """
        require(by, Action.MANAGE_COMPANY)
        values = {
            "name": require_name(name),
            "locale": require_locale(locale),
            "time_zone": require_zone(time_zone),
            "currency": require_currency(currency),
            "policy": policy,
        }
        with self._store.write() as connection:
            row = connection.execute(sa.select(s.company)).one()
            changed = tuple(key for key, value in values.items() if getattr(row, key) != value)
            if changed:
                connection.execute(sa.update(s.company).values({key: values[key] for key in changed}))
                told = {key: values[key] for key in changed if key != "name"}
                self._audit.record_in(connection, by, "company.changed", values["name"], **told)
        return changed
