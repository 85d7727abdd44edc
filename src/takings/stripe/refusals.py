"""What Stripe's errors mean for the person who has to act. Functions of values; no key and no customer ever in them."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from takings.errors import NotFound, Refused, TakingsError, Unavailable, Unexpected

_SAFE = re.compile(r"[A-Za-z0-9_.\[\]{}-]{1,120}")
# “Having the 'rak_charge_read' permission would allow this request to continue.”
_NAMED = re.compile(r"'((?:rak|scope)_[a-z0-9_]+|[a-z0-9_]+_read(?:_only)?)'|\b(rak_[a-z0-9_]+)\b")
_QUOTED = re.compile(
    r"""["'“‘]([A-Za-z0-9_ .:]{3,60})["'”’]\s+permission|permissions?:?\s+["'“‘]([A-Za-z0-9_ .:]{3,60})["'”’]"""
)
_KEY_FORM = re.compile(r"(?:sk|rk|pk|acct)_")
_ON_ACCOUNT = re.compile(r"\baccount '?(acct_[A-Za-z0-9]{1,60})\b")
# A 403 that is about the account and not about the key: a product that is not switched on.
_NOT_OFFERED = re.compile(
    r"\baccount (?:is not|isn't|does not have|doesn't have|must|needs)\b|\bnot (?:set up|enabled|activated|available)\b",
    re.IGNORECASE,
)
_NO_ACCESS = re.compile(r"does not have access to (?:the )?account", re.IGNORECASE)
_OUR_FAULT: Final = frozenset(
    (
        "parameter_unknown",
        "parameter_missing",
        "parameters_exclusive",
        "parameter_invalid_empty",
        "parameter_invalid_integer",
        "parameter_invalid_string_blank",
        "parameter_invalid_string_empty",
        "url_invalid",
        "api_version_invalid",
    )
)


class StripeError(msgspec.Struct, frozen=True):
    """The ``error`` object of an answer; every field may be missing. ``message`` may name customers: never show it."""

    type: str | None = None
    code: str | None = None
    param: str | None = None
    message: str | None = None


class _Body(msgspec.Struct):
    error: StripeError


def read_error(body: bytes) -> StripeError:
    """Read the error out of a body; an empty one where there is none or it is not JSON."""
    try:
        return msgspec.json.decode(body, type=_Body).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return StripeError()


def not_enabled(**fields: str | int | None) -> Refused:
    """Return the error of a list (``endpoint``) that belongs to a product which the account has not switched on."""
    return Refused(
        "stripe.not_enabled",
        f"Stripe does not offer {fields['endpoint']} to this account: it belongs to a product that is not switched on. "
        "Nothing needs to be done unless you use that product.",
        **fields,
    )


def permission_of(message: str) -> str | None:
    """Return the permission that a 403's message names, such as ``rak_charge_read``."""
    for pattern in (_NAMED, _QUOTED):
        for groups in pattern.findall(message):
            name: str = next(filter(None, groups))
            if not _KEY_FORM.match(name):
                return name
    return None


def account_of(message: str) -> str | None:
    """Return the account that a 403's message names: how a key that may not read its account learns whose it is."""
    found = _ON_ACCOUNT.search(message)
    return found[1] if found else None


def refusal(
    status: int, error: StripeError, *, endpoint: str, request_id: str | None, account: str | None = None
) -> TakingsError:
    """Turn a final error answer into this program's own error.

    Args:
        status: HTTP status, 300 or more.
        error: What the body said.
        endpoint: Path template that was asked for.
        request_id: Stripe's name for the request.
        account: The account that was named with ``Stripe-Account``.

    Returns:
        ``Refused`` where somebody has to act in Stripe or the account lacks the product, ``NotFound`` where one object
        is gone, ``Unavailable`` where time helps, ``Unexpected`` for the rest.
    """
    fields: dict[str, str | int | None] = {
        "endpoint": endpoint,
        "status": status,
        "stripe_code": _safe(error.code),
        "stripe_type": _safe(error.type),
        "param": _safe(error.param),
        "request_id": _safe(request_id),
    }
    message = error.message or ""
    code = error.code or ""
    if code == "account_invalid" or (status in (401, 403) and _NO_ACCESS.search(message)):
        shown = _safe(account) or ""
        return Refused(
            "stripe.account_access",
            f"This key has no access to the account {shown}: its owner has withdrawn it, or the account is another one. "
            "Connect it again.",
            account=shown,
            **fields,
        )
    if status == 401:
        if code.endswith("api_key_expired") or "expired" in message.lower():
            return Refused(
                "stripe.key_expired",
                "This key has expired: make a new one in Stripe, then re-authenticate.",
                **fields,
            )
        return Refused(
            "stripe.key_refused",
            "Stripe does not accept this key: it is mistyped, was deleted or rolled. Make a new one in Stripe, "
            "then re-authenticate.",
            **fields,
        )
    if status == 403 and permission_of(message) is None and _NOT_OFFERED.search(message):
        return not_enabled(**fields)
    if status == 403:
        permission = permission_of(message) or "Read"
        return Refused(
            "stripe.permission_missing",
            f"The key may not read {endpoint}: edit it in Stripe, give it the permission “{permission}”, then sync again.",
            permission=permission,
            account=account_of(message),
            **fields,
        )
    if status == 429:
        return Unavailable(
            "stripe.rate_limited",
            "Stripe is limiting the account’s requests and did not let this one through; it is tried again later.",
            **fields,
        )
    if status >= 500 or status in (408, 409, 425):
        return Unavailable(
            "stripe.down", "Stripe does not answer as it should at present; it is tried again later.", **fields
        )
    if code == "resource_missing" and error.param in ("starting_after", "ending_before"):
        return Refused(
            "stripe.cursor_lost",
            "The object that marked the place in this list is gone from Stripe: the list is read again from its start.",
            **fields,
        )
    if code == "resource_missing":
        return NotFound("stripe.missing", "Stripe has no such object (any more).", **fields)
    if status in (400, 404) and not (error.param or code in _OUR_FAULT or code.startswith("parameter_")):
        return not_enabled(**fields)
    return Unexpected(
        "stripe.status",
        f"Stripe answered a request for {endpoint} with status {status}, which this program did not expect: "
        f"please report it with the request id ({fields['request_id'] or '–'}).",
        **{**fields, "request_id": fields["request_id"] or "–"},
    )


def malformed(endpoint: str, request_id: str | None) -> Unexpected:
    """Return the error for answers that cannot be read, time after time."""
    return Unexpected(
        "stripe.malformed",
        f"Stripe answered a request for {endpoint} with something that cannot be read: please report it with the "
        f"request id ({_safe(request_id) or '–'}).",
        endpoint=endpoint,
        request_id=_safe(request_id) or "–",
    )


def unreachable(host: str, endpoint: str, kind: str) -> Unavailable:
    """Return the error for a network that does not carry requests to Stripe."""
    return Unavailable(
        "stripe.network",
        f"{host} cannot be reached: check this machine’s network connection and proxy; it is tried again.",
        host=host,
        endpoint=endpoint,
        kind=kind,
    )


def _safe(text: str | None) -> str | None:
    """Let only plain words through: codes, parameter names, ids of requests and accounts."""
    return text if text and _SAFE.fullmatch(text) else None
