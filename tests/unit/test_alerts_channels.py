"""What may be entered for mail and webhooks, and what is refused with a sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from takings import alerts
from takings.alerts import answered
from takings.alerts.channels import read_hook, read_mail, target
from takings.alerts.model import HookSettings
from takings.errors import Invalid
from takings.words import Words, sentences

MAIL = {"host": "smtp.example.com", "encryption": "starttls", "sender": "a@example.com", "recipients": "b@example.com"}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"recipients": ""}, "alerts.recipients_missing"),
        ({"recipients": "ada@example.com, not an address"}, "alerts.address_form"),
        ({"recipients": "ada@example.com\r\nBcc:eve@example.com"}, "alerts.address_form"),
        ({"recipients": "Ada <ada@example.com>"}, "alerts.address_form"),
        ({"sender": "ada@example.com\r\nBcc: eve@example.com"}, "alerts.address_form"),
        ({"sender": "ada"}, "alerts.address_form"),
        ({"host": ""}, "alerts.host_form"),
        ({"host": "mail.example.com/x"}, "alerts.host_form"),
        ({"host": "mail\r\nQUIT"}, "alerts.host_form"),
        ({"port": "0"}, "alerts.port_form"),
        ({"port": "99999"}, "alerts.port_form"),
        ({"encryption": "ssl"}, "alerts.encryption_unknown"),
        ({"user": "ada"}, "alerts.password_missing"),
        ({"user": "ada", "password": "a\r\nb"}, "alerts.password_form"),
        ({"user": "ada", "password": "x", "encryption": "none"}, "alerts.password_in_clear"),
    ],
)
def test_what_cannot_be_used_for_mail_is_refused(wrong: dict[str, str], code: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_mail({**MAIL, **wrong})
    assert refused.value.code == code


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://example.com/hook",
        "http://169.254.169.254/latest/meta-data",
        "ftp://example.com",
        "https://user:password@example.com/",
        "https://example.com\\@evil.example/",
        "https://exa mple.com/",
        "https://example.com/#part",
        "https://example.com:99999/",
        "https:///path",
        "http://127.0.0.1.example.com/",
        "http://[::1/",
    ],
)
def test_a_webhook_goes_by_https_or_to_this_machine(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_hook({"url": url}, None, new_secret=True)
    assert refused.value.code == "alerts.url_form"


def test_ports_follow_the_encryption() -> None:
    found = {kind: read_mail({**MAIL, "encryption": kind}).port for kind in ("starttls", "tls", "none")}
    assert found == {"starttls": 587, "tls": 465, "none": 25}
    assert read_mail({**MAIL, "port": "2525"}).port == 2525


def test_recipients_are_taken_once_each_however_they_are_separated() -> None:
    mail = read_mail({**MAIL, "recipients": " a@example.com;b@example.com,\n a@example.com c@example.com"})
    assert mail.recipients == ("a@example.com", "b@example.com", "c@example.com")


def test_of_a_webhooks_address_only_the_host_is_shown() -> None:
    assert target(HookSettings(url="https://hooks.example.com:8443/T0/B1/x?token=y", secret="s")) == (
        "https://hooks.example.com:8443/…"
    )
    assert target(HookSettings(url="https://hooks.example.com/", secret="s")) == "https://hooks.example.com/"


def test_why_there_was_no_answer_is_said_in_both_languages() -> None:
    folder = Path(alerts.__file__).parent
    keys = {
        key for path in folder.glob("*.py") for key in re.findall(r"alerts\.unanswered\.\w+", path.read_text("utf-8"))
    }
    assert len(keys) > 8
    assert keys <= set(sentences())
    assert answered("alerts.unanswered.late", Words("fr")) == "Le serveur n’a pas répondu à temps."
    assert answered("alerts.unanswered.broken: EOF", Words("en")) == "The connection broke. (EOF)"
    assert answered("250 OK: queued", Words("fr")) == "250 OK: queued"


def test_every_kind_has_its_sentences() -> None:
    said = {f"alerts.{what}.{kind}" for what in ("headline", "advice") for kind in alerts.KINDS}
    assert said <= set(sentences())
