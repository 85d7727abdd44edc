"""What a person types as a key is recognised by its form, and never repeated in an error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from takings.connections import key_credentials, read_accounts, read_key
from takings.connections.keys import livemode_of
from takings.errors import Invalid


@pytest.mark.parametrize(
    ("typed", "kind", "livemode"),
    [
        ("rk_live_51AbCdEf", "restricted", True),
        ("rk_test_51AbCdEf", "restricted", False),
        ("sk_live_51AbCdEf", "secret", True),
        ("sk_test_abc_def", "secret", False),
        ("  rk_live_51AbCdEf\n", "restricted", True),
        ("“rk_live_51AbCdEf”", "restricted", True),
        ("\u200brk_test_51AbCdEf\ufeff", "restricted", False),
    ],
)
def test_a_key_is_recognised(typed: str, kind: str, livemode: bool) -> None:
    key = read_key(typed)
    assert (key.kind, key.livemode) == (kind, livemode)
    assert key.text.strip("rsk_") in typed
    assert key.text not in repr(key)


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", "connections.key_missing"),
        ("  \n ", "connections.key_missing"),
        ("pk_live_51AbCdEf", "connections.key_publishable"),
        ("pk_test_51AbCdEf", "connections.key_publishable"),
        ("whsec_abcdef", "connections.key_webhook"),
        ("acct_1AbCdEf", "connections.key_form"),
        ("rk_live_", "connections.key_form"),
        ("rk_prod_abc", "connections.key_form"),
        ("rk_live_abc def", "connections.key_form"),
        ("rk_live_abcé", "connections.key_form"),
        ("rk_live_" + "a" * 400, "connections.key_form"),
    ],
)
def test_anything_else_is_refused_with_its_own_sentence(typed: str, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_key(typed)
    assert caught.value.code == code


@given(st.text(max_size=80))
def test_no_error_repeats_what_was_typed(typed: str) -> None:
    typed = "pk_live_" + typed
    try:
        read_key(typed)
    except Invalid as error:
        told = typed.strip()
        assert len(told) < 12 or told not in error.sentence
        assert not error.fields


def test_the_mode_of_a_token_is_read_from_its_form() -> None:
    assert livemode_of("sk_live_token") is True
    assert livemode_of("rk_test_token") is False
    assert livemode_of("something else") is None


@pytest.mark.parametrize(
    ("typed", "livemode"),
    [("sk_org_live_51AbC", True), (" rk_org_test_51AbC\n", False), ("sk_org_51AbCdEf", None)],
)
def test_the_key_of_an_organisation_needs_an_account(typed: str, livemode: bool | None) -> None:
    key = read_key(typed)
    assert (key.organization, key.livemode, livemode_of(key.text)) == (True, livemode, livemode)
    with pytest.raises(Invalid) as caught:
        key_credentials(key, None)
    assert caught.value.code == "connections.account_needed"
    for account in ("acct_1A", "acct_1A/acct_1B"):
        made = key_credentials(key, account)
        assert (made.context, made.account) == (True, account)
    assert key_credentials(key, "acct_1A").of_connected("acct_1C").account == "acct_1A/acct_1C"


def test_a_platform_names_its_accounts_in_a_header_of_their_own() -> None:
    key = read_key("rk_live_51AbC")
    assert key_credentials(key, None).of_connected("acct_1C").account == "acct_1C"
    assert not key_credentials(key, "acct_1A").context
    with pytest.raises(Invalid, match="acct_"):
        key_credentials(key, "acct_1A/acct_1B")


def test_the_ids_of_accounts() -> None:
    assert read_accounts(" acct_1AbC ") == ("acct_1AbC",)
    assert read_accounts("") == read_accounts(None) == read_accounts([]) == ()
    assert read_accounts("acct_1A, acct_1B\nacct_1A;acct_1P/acct_1C") == ("acct_1A", "acct_1B", "acct_1P/acct_1C")
    assert read_accounts(["acct_1A", "acct_1B"]) == ("acct_1A", "acct_1B")
    for wrong in ("1AbC", "acct_1A/", "acct_1A/x", "acct_1/acct_2/acct_3", "acct_1A acct-1B"):
        with pytest.raises(Invalid, match="acct_"):
            read_accounts(wrong)
    with pytest.raises(Invalid, match="100"):
        read_accounts([f"acct_{number}" for number in range(101)])
