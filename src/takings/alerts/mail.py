"""Mail: one message handed to a mail server, and what the server said, word for word but for secrets."""

from __future__ import annotations

import base64
import smtplib
import socket
import ssl
import time
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from takings.alerts.model import Answer, MailSettings
from takings.alerts.telling import Message
from takings.log import redact

TIMEOUT_S: Final = 15.0
"""Longest wait for each answer of the mail server, in seconds."""

_WHOLE_S: Final = 120.0
_ANSWER_CHARS: Final = 400


def send(
    settings: MailSettings, message: Message, message_id: str, now: datetime, timeout_s: float = TIMEOUT_S
) -> Answer:
    """Hand a message to the mail server, to every recipient it takes.

    Args:
        settings: How.
        message: What.
        message_id: Names the message, without brackets or domain; the same when it is sent again.
        now: For its date.
        timeout_s: Longest wait for each answer, in seconds.

    Returns:
        What the server said. It is no success where it took the message for some recipients only or for none.
    """
    try:
        with _opened(settings, timeout_s) as server:
            answer = _hand_over(server, settings, _written(settings, message, message_id, now))
    except (smtplib.SMTPException, OSError, ValueError) as error:
        answer = Answer(False, _said(error))
    return Answer(answer.ok, _clean(answer.text, settings))


def _opened(settings: MailSettings, timeout_s: float) -> smtplib.SMTP:
    """Connect, encrypt and sign in."""
    context = ssl.create_default_context()
    name = _own_name()
    server: smtplib.SMTP
    if settings.encryption == "tls":
        server = smtplib.SMTP_SSL(settings.host, settings.port, name, timeout=timeout_s, context=context)
    else:
        server = smtplib.SMTP(settings.host, settings.port, name, timeout=timeout_s)
    try:
        server.ehlo_or_helo_if_needed()
        if settings.encryption == "starttls":
            code, said = server.starttls(context=context)
            if code != 220:
                raise smtplib.SMTPResponseException(code, said)
            server.ehlo()
        if settings.user:
            server.login(settings.user, settings.password)
    except BaseException:
        server.close()
        raise
    return server


def _hand_over(server: smtplib.SMTP, settings: MailSettings, written: bytes) -> Answer:
    code, said = server.mail(settings.sender, [f"SIZE={len(written)}"] if server.has_extn("size") else [])
    if code != 250:
        raise smtplib.SMTPSenderRefused(code, said, settings.sender)
    refused: list[str] = []
    give_up = time.monotonic() + _WHOLE_S
    for recipient in settings.recipients:
        if time.monotonic() > give_up:
            raise TimeoutError
        code, said = server.rcpt(recipient)
        if code not in (250, 251):
            refused.append(f"{recipient}: {code} {_text(said)}")
    if len(refused) == len(settings.recipients):
        server.rset()
        return Answer(False, "; ".join(refused))
    code, said = server.data(written)
    return Answer(code == 250 and not refused, "; ".join([f"{code} {_text(said)}", *refused]))


def _written(settings: MailSettings, message: Message, message_id: str, now: datetime) -> bytes:
    """Write the message. The library refuses headers with line ends; addresses were checked when they were entered."""
    mail = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    mail["From"] = settings.sender
    mail["To"] = ", ".join(settings.recipients)
    mail["Subject"] = message.subject
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{message_id}@{settings.sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    return mail.as_bytes()


def _own_name() -> str:
    """Return what this machine calls itself to the server, without asking the network."""
    name = socket.gethostname()
    return name if "." in name and name.isascii() else "[127.0.0.1]"


def _said(error: Exception) -> str:
    """Say why a message was not taken: the server's code and words, or what went wrong on the way."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_text(error.smtp_error)}"
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return f"alerts.unanswered.unsupported: {error}"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        late = "timed out" in str(error)
        return "alerts.unanswered.late" if late else "alerts.unanswered.closed"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"alerts.unanswered.untrusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"alerts.unanswered.unencrypted: {error.reason or type(error).__name__}"
    if isinstance(error, socket.gaierror):
        return "alerts.unanswered.no_machine"
    if isinstance(error, TimeoutError):
        return "alerts.unanswered.late"
    if isinstance(error, ConnectionRefusedError):
        return "alerts.unanswered.no_listener"
    if isinstance(error, OSError) and error.strerror:
        return f"alerts.unanswered.broken: {error.strerror}"
    return f"alerts.unanswered.broken: {str(error) or type(error).__name__}"


def _text(said: bytes | str) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said


def _clean(text: str, settings: MailSettings) -> str:
    """Return a server's answer in one line, without the password in any form it was sent in."""
    for secret in (
        settings.password,
        base64.b64encode(settings.password.encode()).decode(),
        base64.b64encode(f"\0{settings.user}\0{settings.password}".encode()).decode(),
    ):
        if settings.password and secret:
            text = text.replace(secret, "[secret]")
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in redact(text)).split())
    return line[:_ANSWER_CHARS]
