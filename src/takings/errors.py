"""The one tree of errors, sorted by what the reader can do about them.

::

    TakingsError
    ├── Misconfigured     change a setting or an argument, then try again
    ├── Invalid           what a person typed cannot be used: say it differently
    ├── NotFound          there is no such thing (or none that this person may know of)
    ├── NotAllowed        this person's role does not permit it
    ├── Refused           Stripe says no: act in Stripe
    ├── Unavailable       wait: it is retried, nothing is lost
    └── Unexpected        kept with its circumstances: tell us

Foreign errors are mapped once, at the seam where they enter, with ``raise … from``. An error never carries a key,
a token or a customer's data.
"""

from __future__ import annotations

from typing import ClassVar


class TakingsError(Exception):
    """Say in one sentence what is wrong and what to do.

    Args:
        code: Stable name of the situation, such as ``stripe.key_refused``. The web looks the sentence up by it in
            the reader's language.
        sentence: The English sentence, complete, with what to do.
        **fields: What identifies the case (request id, resource, connection…): also the values that translated
            sentences are filled with. Never secrets, never customer data.
    """

    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, code: str, sentence: str, **fields: str | int | None) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.fields = fields

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.code, self.sentence, self.fields))


def _rebuild(kind: type[TakingsError], code: str, sentence: str, fields: dict[str, str | int | None]) -> TakingsError:
    return kind(code, sentence, **fields)


class Misconfigured(TakingsError):
    """A setting or an argument is wrong: change it."""

    http_status = 500
    exit_code = 2


class Invalid(TakingsError):
    """What a person entered cannot be used."""

    http_status = 422
    exit_code = 2


class NotFound(TakingsError):
    """There is no such thing, or none that this person may know of."""

    http_status = 404
    exit_code = 3


class NotAllowed(TakingsError):
    """This person may not do this."""

    http_status = 403
    exit_code = 4


class Refused(TakingsError):
    """Stripe refuses: a key, a permission or an account has to be changed at Stripe."""

    http_status = 409
    exit_code = 5


class Unavailable(TakingsError):
    """Something is away for now (Stripe, network, disk, a lock): wait, it is retried."""

    http_status = 503
    exit_code = 6


class Unexpected(TakingsError):
    """Something happened that this program does not know: keep the circumstances and tell us."""

    http_status = 500
    exit_code = 7
