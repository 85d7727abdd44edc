"""How Stripe is talked to: paced, retried, counted, page by page, as bytes."""

from takings.stripe.client import Answer, Params, Request, Stripe, Token, template
from takings.stripe.limiter import Limiter, LocalLimiter
from takings.stripe.pages import Item, Page
from takings.stripe.retry import Retries

__all__ = [
    "Answer",
    "Item",
    "Limiter",
    "LocalLimiter",
    "Page",
    "Params",
    "Request",
    "Retries",
    "Stripe",
    "Token",
    "template",
]
