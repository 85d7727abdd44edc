"""What Stripe's errors become: the right kind, the right sentence in both languages, and never a key or a customer."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest

from takings.errors import NotFound, Refused, TakingsError, Unavailable, Unexpected
from takings.stripe.refusals import StripeError, malformed, permission_of, read_error, refusal, unreachable
from takings.words import Words, sentences

SOURCE = Path(__file__).parents[2] / "src" / "takings"


def error(status: int, **said: str) -> TakingsError:
    return refusal(status, StripeError(**said), endpoint="/v1/charges", request_id="req_1", account="acct_1")


CASES = [
    (401, {}, Refused, "stripe.key_refused"),
    (401, {"message": "Invalid API Key provided: rk_live_********1234"}, Refused, "stripe.key_refused"),
    (401, {"code": "api_key_expired"}, Refused, "stripe.key_expired"),
    (401, {"code": "platform_api_key_expired"}, Refused, "stripe.key_expired"),
    (401, {"message": "Expired API Key provided: rk_live_****"}, Refused, "stripe.key_expired"),
    (403, {"message": "no"}, Refused, "stripe.permission_missing"),
    (403, {"code": "account_invalid"}, Refused, "stripe.account_access"),
    (
        403,
        {"message": "The provided key 'sk_live_***' does not have access to account 'acct_9' (or that account …"},
        Refused,
        "stripe.account_access",
    ),
    (400, {"type": "invalid_request_error", "message": "Your account is not set up to use Issuing."}, Refused, "stripe.not_enabled"),
    (403, {"message": "Your account is not set up to use Climate Orders."}, Refused, "stripe.not_enabled"),
    (403, {"message": "Your account does not have access to Sigma."}, Refused, "stripe.not_enabled"),
    (404, {"message": "Unrecognized request URL (GET: /v1/x)."}, Refused, "stripe.not_enabled"),
    (404, {}, Refused, "stripe.not_enabled"),
    (404, {"code": "resource_missing", "param": "id"}, NotFound, "stripe.missing"),
    (400, {"code": "resource_missing", "param": "subscription"}, NotFound, "stripe.missing"),
    (400, {"code": "resource_missing", "param": "starting_after"}, Refused, "stripe.cursor_lost"),
    (400, {"code": "parameter_unknown", "param": "foo"}, Unexpected, "stripe.status"),
    (400, {"code": "parameter_missing"}, Unexpected, "stripe.status"),
    (400, {"param": "limit"}, Unexpected, "stripe.status"),
    (302, {}, Unexpected, "stripe.status"),
    (402, {}, Unexpected, "stripe.status"),
    (409, {}, Unavailable, "stripe.down"),
    (429, {"code": "lock_timeout"}, Unavailable, "stripe.rate_limited"),
    (500, {}, Unavailable, "stripe.down"),
    (503, {}, Unavailable, "stripe.down"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "said", "kind", "code"), CASES)
def test_each_answer_becomes_the_right_error(
    status: int, said: dict[str, str], kind: type[TakingsError], code: str
) -> None:
    found = error(status, **said)
    assert (type(found), found.code) == (kind, code)
    assert found.fields["request_id"] == "req_1"
    assert found.fields["status"] == status


@pytest.mark.parametrize(
    "made", [*(error(status, **said) for status, said, _, _ in CASES), malformed("/v1/x", None), unreachable("h", "/v1/x", "connect")]
)  # fmt: skip
def test_both_languages_have_the_sentence_and_the_english_is_the_same(made: TakingsError) -> None:
    assert Words("en")(f"error.{made.code}", **made.fields) == made.sentence
    assert Words("fr").error(made) != made.sentence


def test_no_message_of_stripe_s_and_no_key_gets_into_an_error() -> None:
    secret = "The key 'rk_live_51AbCdEfGhIjKl' of jane@example.com lacks 'rak_charge_read'."
    for status in (400, 401, 402, 403, 404, 429, 500):
        made = error(status, message=secret, param="email jane@example.com", code="rk_live_51AbCd EfGh")
        shown = f"{made} {made.fields} {Words('fr').error(made)}"
        assert "51AbCd" not in shown
        assert "jane" not in shown


@pytest.mark.parametrize(
    ("message", "permission"),
    [
        (
            "The provided key 'rk_test_*********a1b2' does not have the required permissions for this endpoint on account "
            "'acct_1AbC'. Having the 'rak_charge_read' permission would allow this request to continue.",
            "rak_charge_read",
        ),
        ("Having the 'charge_read' permission would allow it.", "charge_read"),
        ("Missing rak_balance_transaction_read here", "rak_balance_transaction_read"),
        ('This needs the "Charges Read" permission.', "Charges Read"),
        ("Nothing is said.", None),
        ("The key 'rk_live_abc_read' may not.", None),
    ],
)
def test_the_missing_permission_is_read_from_the_message(message: str, permission: str | None) -> None:
    assert permission_of(message) == permission
    assert error(403, message=message).fields["permission"] == (permission or "Read")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":"x"}', b'{"error":{"type":1}}', b"\xff"])
def test_a_body_that_is_no_error_says_nothing(body: bytes) -> None:
    assert read_error(body) == StripeError()


def raised(part: str) -> dict[str, set[str]]:
    """Return the codes of every error that a part makes, with the names of their fields as far as they are written out."""
    kinds = {"Misconfigured", "Invalid", "NotFound", "NotAllowed", "Refused", "Unavailable", "Unexpected"}
    found: dict[str, set[str]] = {}
    for path in (SOURCE / part).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds:
                assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}"
                named = {word.arg or "*" for word in node.keywords}
                found.setdefault(str(node.args[0].value), set()).update(named)
    return found


@pytest.mark.parametrize("part", ["stripe", "store"])
def test_every_error_has_both_sentences_and_the_fields_they_need(part: str) -> None:
    for code, fields in raised(part).items():
        for sentence in (sentences()[f"error.{code}"][locale] for locale in ("en", "fr")):
            wanted = {name for _, name, _, _ in string.Formatter().parse(str(sentence)) if name}
            assert wanted <= fields or "*" in fields, code
