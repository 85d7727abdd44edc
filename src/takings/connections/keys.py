"""What a person typed into the key field: which kind of Stripe key it is, and whether it can be used."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from takings.connections.model import Credentials
from takings.errors import Invalid

_KEY = re.compile(r"(?P<kind>sk|rk|pk)_(?P<mode>live|test)_[A-Za-z0-9_]{1,250}")
# Stripe gives organisations one form of key, whatever it permits: sk_org, and does not say how the rest begins.
_ORGANIZATION = re.compile(r"[sr]k_org_(?:(?P<mode>live|test)_)?[A-Za-z0-9_]{1,250}")
_ACCOUNT = re.compile(r"acct_[A-Za-z0-9]{1,60}")
_PATH = re.compile(rf"{_ACCOUNT.pattern}(?:/{_ACCOUNT.pattern})?")
MOST_ACCOUNTS: Final = 100
# What comes along when a key is copied from a mail, a chat or a password manager.
_WRAPPING = " \t\r\n\u00a0\u200b\u200c\u200d\u2060\ufeff\"'`“”‘’«»<>"


@dataclass(frozen=True, slots=True)
class Key:
    """A key of usable form.

    Attributes:
        text: The key itself, without what was copied along with it.
        kind: ``restricted`` (what is asked for) or ``secret`` (works, but may do far more than read).
        livemode: True for real money, false for a sandbox; None: its form does not say.
        organization: It belongs to an organisation, and the accounts to read have to be named.
    """

    text: str = field(repr=False)
    kind: Literal["restricted", "secret"]
    livemode: bool | None
    organization: bool = False


def read_key(typed: str) -> Key:
    """Recognise a Stripe key by its form, without asking Stripe.

    Args:
        typed: What the person entered; spaces, quotes and invisible characters around it are dropped.

    Returns:
        The key.

    Raises:
        Invalid: Nothing was entered, it is another kind of Stripe secret (publishable key, webhook secret), or no
            Stripe key at all. What was typed is never part of the error.
    """
    text = typed.strip(_WRAPPING)
    if not text:
        raise Invalid(
            "connections.key_missing",
            "No key was entered: paste the restricted key that you created at Stripe, it begins with rk_live_ or rk_test_.",
        )
    if text.startswith("whsec_"):
        raise Invalid(
            "connections.key_webhook",
            "This is a webhook signing secret, which cannot read anything: paste a restricted key, it begins with rk_live_ or rk_test_.",
        )
    if (org := _ORGANIZATION.fullmatch(text)) is not None:
        return Key(text, "restricted", None if org["mode"] is None else org["mode"] == "live", organization=True)
    match = _KEY.fullmatch(text)
    if match is None:
        raise Invalid(
            "connections.key_form",
            "This is not a Stripe key: paste the whole restricted key from Stripe’s dashboard, it begins with rk_live_ or rk_test_.",
        )
    if match["kind"] == "pk":
        raise Invalid(
            "connections.key_publishable",
            "This is a publishable key, which cannot read your payments: create a restricted key at Stripe and paste that one, it begins with rk_live_ or rk_test_.",
        )
    return Key(text, "restricted" if match["kind"] == "rk" else "secret", match["mode"] == "live")


def livemode_of(secret: str) -> bool | None:
    """Tell from its form whether a key or token is for live mode; None where the form does not say."""
    match = _KEY.match(secret) or _ORGANIZATION.match(secret)
    return None if match is None or match["mode"] is None else match["mode"] == "live"


def read_accounts(typed: str | Iterable[str] | None) -> tuple[str, ...]:
    """Check the ids of the accounts that a platform's or an organisation's key shall read.

    Args:
        typed: Ids apart by spaces, commas or lines, or one each; an account connected to a platform of an organisation
            is named after its platform: ``acct_…/acct_…``.

    Returns:
        The ids, each once, in the order given; empty where nothing was entered.

    Raises:
        Invalid: One does not have the form of an account id, or there are more than :data:`MOST_ACCOUNTS`.
    """
    text = typed if isinstance(typed, str) else " ".join(typed or ())
    found = [word.strip(_WRAPPING) for word in re.split(r"[\s,;]+", text)]
    ids = tuple(dict.fromkeys(word for word in found if word))
    if any(_PATH.fullmatch(one) is None for one in ids):
        raise _account_form()
    if len(ids) > MOST_ACCOUNTS:
        raise Invalid(
            "connections.accounts_many",
            f"These are more than {MOST_ACCOUNTS} accounts: name the others afterwards, with the same key.",
            most=MOST_ACCOUNTS,
        )
    return ids


def key_credentials(key: Key, account: str | None) -> Credentials:
    """Return what a key opens, given which account it shall read.

    Args:
        key: From :func:`read_key`.
        account: From :func:`read_accounts`; None: the key's own.

    Raises:
        Invalid: A key of an organisation needs an account to be named, and only such a key takes one below a platform.
    """
    if key.organization and account is None:
        raise Invalid(
            "connections.account_needed",
            "This key belongs to an organisation of several accounts: name those to connect, each begins with acct_.",
        )
    if not key.organization and account is not None and "/" in account:
        raise _account_form()
    return Credentials(way="key", secret=key.text, account=account, context=key.organization)


def _account_form() -> Invalid:
    return Invalid(
        "connections.account_form",
        "This is not the id of a Stripe account: it begins with acct_; leave the field empty to read the key’s own account.",
    )
