"""What a person typed into the key field: which kind of Stripe key it is, and whether it can be used."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from takings.errors import Invalid

_KEY = re.compile(r"(?P<kind>sk|rk|pk)_(?P<mode>live|test)_[A-Za-z0-9_]{1,250}")
_ACCOUNT = re.compile(r"acct_[A-Za-z0-9]{1,60}")
# What comes along when a key is copied from a mail, a chat or a password manager.
_WRAPPING = " \t\r\n\u00a0\u200b\u200c\u200d\u2060\ufeff\"'`“”‘’«»<>"


@dataclass(frozen=True, slots=True)
class Key:
    """A key of usable form.

    Attributes:
        text: The key itself, without what was copied along with it.
        kind: ``restricted`` (what is asked for) or ``secret`` (works, but may do far more than read).
        livemode: True for real money, false for a sandbox.
    """

    text: str = field(repr=False)
    kind: Literal["restricted", "secret"]
    livemode: bool


def read_key(typed: str) -> Key:
    """Recognise a Stripe key by its form, without asking Stripe.

    Args:
        typed: What the person entered; spaces, quotes and invisible characters around it are dropped.

    Returns:
        The key.

    Raises:
        Invalid: Nothing was entered, it is another kind of Stripe secret (publishable key, webhook secret, key of an
            organization), or no Stripe key at all. What was typed is never part of the error.
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
    if text.startswith(("sk_org_", "rk_org_")):
        raise Invalid(
            "connections.key_organization",
            "This key belongs to an organization of several accounts: create a restricted key in the one account that you want to connect.",
        )
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
    match = _KEY.match(secret)
    return None if match is None else match["mode"] == "live"


def read_account(typed: str | None) -> str | None:
    """Check the id of a connected account that a platform's key shall read.

    Returns:
        The id, or None where nothing was entered.

    Raises:
        Invalid: It does not have the form of an account id.
    """
    text = (typed or "").strip(_WRAPPING)
    if not text:
        return None
    if _ACCOUNT.fullmatch(text) is None:
        raise Invalid(
            "connections.account_form",
            "This is not the id of a Stripe account: it begins with acct_; leave the field empty to read the key’s own account.",
        )
    return text
