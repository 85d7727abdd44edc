"""Stripe's answers as bytes: JSON bodies and the error bodies of the API."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

encode = msgspec.json.encode


class Answer(NamedTuple):
    """What Stripe says to one GET: an HTTP status and a JSON body."""

    status: int
    body: bytes


class Fault(Exception):
    """An error answer on its way out.

    Args:
        status: The HTTP status.
        message: Stripe's sentence.
        code: Stripe's error code, such as ``resource_missing``.
        param: The parameter it is about.
        type: Stripe's error type.
    """

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None,
        type: str = "invalid_request_error",
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.status = status
        error: dict[str, Any] = {}
        if code is not None:
            error["code"] = code
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
        error["message"] = message
        if param is not None:
            error["param"] = param
        error["type"] = type
        self.error = error

    def answer(self) -> Answer:
        """Return the error as an answer."""
        return Answer(self.status, encode({"error": self.error}))


def missing(object: str, id: str, param: str = "id") -> Fault:
    """Return the 404 for an id that names nothing (400 when a list parameter names it)."""
    words = object.replace(".", " ").replace("_", " ")
    name = _NAMES.get(object, words)
    status = 404 if param == "id" else 400
    return Fault(status, f"No such {name}: '{id}'", code="resource_missing", param=param)


def unknown_url(path: str) -> Fault:
    """Return the 404 for a path the API does not have."""
    return Fault(
        404,
        f"Unrecognized request URL (GET: {path}). Please see https://stripe.com/docs or we can help at https://support.stripe.com/.",
    )


def unknown_parameter(name: str) -> Fault:
    """Return the 400 for a query parameter the endpoint does not have."""
    return Fault(400, f"Received unknown parameter: {name}", code="parameter_unknown", param=name)


_NAMES = {
    "payment_intent": "payment_intent",
    "setup_intent": "setupintent",
    "payment_method": "PaymentMethod",
    "checkout.session": "checkout.session",
    "invoiceitem": "invoiceitem",
    "tax_rate": "Tax Rate",
    "fee_refund": "application fee refund",
    "line_item": "line item",
}
