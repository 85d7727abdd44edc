"""Webhook signatures, checked against the official SDK's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from takings.clock import to_unix
from takings.errors import Invalid
from takings.stripe.signatures import check

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECRET = "whsec_first"
OLD = "whsec_second"


def header(payload: bytes, secret: str, at: datetime = NOW) -> str:
    stamp = to_unix(at)
    signature = stripe.WebhookSignature._compute_signature(f"{stamp}.{payload.decode()}", secret)
    return f"t={stamp},v1={signature}"


@given(st.text().map(str.encode))
def test_what_the_sdk_signs_is_accepted(payload: bytes) -> None:
    check(payload, header(payload, SECRET), [SECRET], NOW)


def test_either_secret_and_either_signature_will_do_while_one_rolls() -> None:
    payload = b"{}"
    first, second = header(payload, SECRET), header(payload, OLD)
    both = first + "," + second.partition(",")[2]
    check(payload, first, [OLD, SECRET], NOW)
    check(payload, both, [OLD], NOW)
    check(payload, both + ",v0=00,v2=é", [SECRET], NOW)


@pytest.mark.parametrize("late", [timedelta(seconds=301), -timedelta(seconds=301)])
def test_an_old_or_future_signature_is_refused(late: timedelta) -> None:
    with pytest.raises(Invalid):
        check(b"{}", header(b"{}", SECRET, NOW - late), [SECRET], NOW)
    check(b"{}", header(b"{}", SECRET, NOW - late), [SECRET], NOW, tolerance=timedelta(seconds=400))


@pytest.mark.parametrize(
    "bad",
    ["", "t=", "v1=", "t=1793534400", "v1=00", "t=x,v1=00", "t=1793534400,v1=", "t=-1,v1=0", "t=١,v1=é", "nonsense"],
)
def test_no_header_that_is_none_gets_through(bad: str) -> None:
    with pytest.raises(Invalid):
        check(b"{}", bad, [SECRET], NOW)


def test_a_changed_payload_another_secret_or_none_is_refused() -> None:
    good = header(b"{}", SECRET)
    for payload, secrets in ((b"{} ", [SECRET]), (b"{}", [OLD]), (b"{}", [])):
        with pytest.raises(Invalid):
            check(payload, good, secrets, NOW)
