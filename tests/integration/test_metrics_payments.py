"""Figures of payments, on objects made by hand whose figures were worked out by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

PAID = datetime(2026, 3, 10, 12, tzinfo=UTC)
MARCH = (date(2026, 3, 1), date(2026, 4, 1))
DAY = timedelta(days=1)

OK = {"network_status": "approved_by_network", "type": "authorized", "reason": None}
CARD = {"type": "card", "card": {"country": "FR", "brand": "visa"}}


def declined(reason: str, advice: str | None = None) -> dict[str, Any]:
    return {
        "network_status": "declined_by_network",
        "type": "issuer_declined",
        "reason": reason,
        "advice_code": advice,
    }


def charge(shop: Any, account: str, id: str, amount: int = 1_000, **other: Any) -> str:
    """Add a charge: captured and successful unless said otherwise."""
    fields: dict[str, Any] = {
        "created": PAID,
        "amount": amount,
        "amount_captured": amount,
        "captured": True,
        "currency": "eur",
        "status": "succeeded",
        "outcome": OK,
        "payment_method_details": CARD,
    }
    fields |= other
    if fields["status"] != "succeeded":
        fields |= {"captured": False, "amount_captured": 0}
    return str(shop.add(account, "charges", id, **fields))


@pytest.fixture(scope="module")
def shop(hand_made: Any) -> Any:
    for scenario in (volume, attempts, intents, refunds, disputes, measuring, fees, recoveries, customers, midnight):
        scenario(hand_made)
    hand_made.build("Europe/Paris")
    return hand_made


def volume(shop: Any) -> None:
    charge(shop, "volume", "ch_1", 1_500)
    charge(shop, "volume", "ch_2", 2_500)
    charge(shop, "volume", "ch_yen", 800, currency="jpy")
    charge(shop, "volume", "ch_dinar", 12_340, currency="kwd")
    charge(shop, "volume", "ch_partly", 9_000, amount_captured=4_000)
    charge(shop, "volume", "ch_reserved", 7_000, amount_captured=0, captured=False)
    charge(shop, "volume", "ch_failed", 3_000, status="failed", outcome=declined("generic_decline"))
    charge(shop, "volume", "ch_pending", 5_000, status="pending", payment_method_details={"type": "sepa_debit"})


def test_volume_is_what_was_captured_in_the_currency_of_the_charge(shop: Any) -> None:
    # 1,500 + 2,500 + 4,000 of the 9,000 authorised; neither the reserved, the failed nor the pending one.
    assert shop.figures("payment_volume", "volume", *MARCH) == {"eur": 8_000, "jpy": 800, "kwd": 12_340}
    assert shop.figures("payments", "volume", *MARCH) == {"eur": 3, "jpy": 1, "kwd": 1}


def attempts(shop: Any) -> None:
    charge(shop, "attempts", "ch_ok")
    charge(shop, "attempts", "ch_reserved", captured=False, amount_captured=0)
    failures: dict[str, dict[str, Any]] = {
        "soft": {"outcome": declined("insufficient_funds", "try_again_later"), "failure_code": "card_declined"},
        "hard": {"outcome": declined("stolen_card"), "failure_code": "card_declined"},
        "advised": {"outcome": declined("generic_decline", "do_not_try_again"), "failure_code": "card_declined"},
        "sca": {"outcome": declined("authentication_required"), "failure_code": "authentication_required"},
        "radar": {
            "outcome": {"network_status": "not_sent_to_network", "type": "blocked", "reason": "highest_risk_level"},
            "failure_code": "card_declined",
        },
        "reversed": {
            "outcome": {"network_status": "reversed_after_approval", "type": "blocked", "reason": "rule"},
            "failure_code": "card_declined",
        },
        "unfinished": {"outcome": {"network_status": "not_sent_to_network", "type": "invalid", "reason": None}},
    }
    for name, fields in failures.items():
        charge(shop, "attempts", f"ch_{name}", status="failed", **fields)
    debit = {"payment_method_details": {"type": "sepa_debit", "sepa_debit": {}}}
    charge(shop, "attempts", "py_ok", **debit)
    charge(shop, "attempts", "py_back", status="failed", failure_code="insufficient_funds", outcome=None, **debit)
    charge(shop, "attempts", "py_pending", status="pending", **debit)


def test_attempts_are_sent_to_the_issuer_or_stopped_before(shop: Any) -> None:
    def count(name: str, **only: str) -> int:
        return int(shop.figures(name, "attempts", *MARCH, **only).get("eur", 0))

    assert count("attempts") == 11  # 12 charges, one of them still pending
    assert count("attempts_succeeded") == 3
    # Of the 9 by card, two were blocked and one never reached the issuer.
    assert (count("attempts_sent"), count("attempts_approved"), count("declines")) == (6, 2, 4)
    assert count("blocked_attempts") == 2
    assert shop.value("authorization_rate", "attempts")["eur"] == Fraction(2, 6)
    assert shop.value("attempt_success_rate", "attempts")["eur"] == Fraction(3, 11)


def test_declines_are_cut_by_what_was_said_of_them(shop: Any) -> None:
    def cut(by: str) -> dict[str | None, int]:
        found = shop.figures("declines", "attempts", *MARCH, by=by)
        return {group: amount for (_, group), amount in found.items()}

    assert cut("decline") == {"hard": 3, "soft": 1}
    assert cut("failure_code") == {"card_declined": 3, "authentication_required": 1}
    assert cut("outcome") == {"issuer_declined": 4}
    assert cut("reason") == {
        "insufficient_funds": 1,
        "stolen_card": 1,
        "generic_decline": 1,
        "authentication_required": 1,
    }


def intents(shop: Any) -> None:
    def intent(id: str, status: str, *tries: str, **other: Any) -> None:
        shop.add("intents", "payment_intents", id, created=PAID, amount=1_000, currency="eur", status=status, **other)
        for number, outcome in enumerate(tries):
            fields: dict[str, Any] = {"intent": id} | (
                {"outcome": declined("do_not_honor")} if outcome == "failed" else {}
            )
            if outcome == "reserved":
                fields |= {"captured": False, "amount_captured": 0}
            charge(
                shop, "intents", f"ch_{id}_{number}", payment_intent=fields.pop("intent"),
                status="succeeded" if outcome == "reserved" else outcome, created=PAID + number * DAY, **fields,
            )  # fmt: skip

    intent("pi_at_once", "succeeded", "succeeded")
    intent("pi_third_time", "succeeded", "failed", "failed", "succeeded")
    intent("pi_failed", "requires_payment_method", "failed", "failed")
    intent(
        "pi_no_charge", "requires_payment_method", last_payment_error={"code": "payment_intent_authentication_failure"}
    )
    intent("pi_given_up", "canceled", "failed")
    intent("pi_untried", "requires_payment_method")
    intent("pi_called_off", "canceled")
    intent("pi_released", "canceled", "failed", "reserved")
    intent("pi_3ds", "requires_action", "failed")
    intent("pi_reserved", "requires_capture", "reserved")
    intent("pi_bank", "processing", "pending")
    charge(shop, "intents", "ch_of_old", payment_intent=None)
    charge(shop, "intents", "ch_of_old_failed", payment_intent=None, status="failed", outcome=declined("lost_card"))


def test_a_payment_is_one_however_many_attempts_and_the_unfinished_are_neither(shop: Any) -> None:
    def count(name: str) -> int:
        return int(shop.figures(name, "intents", *MARCH)["eur"])

    assert count("payments_succeeded") == 3  # at once, at the third attempt, and a charge without an intent
    assert count("payments_failed") == 4  # failed twice, failed 3D Secure, given up, and a charge without an intent
    assert count("payments_decided") == 7
    assert count("payments_unfinished") == 3  # waits for the customer, for the capture, for the bank
    assert shop.value("payment_success_rate", "intents")["eur"] == Fraction(3, 7)


def refunds(shop: Any) -> None:
    february = PAID - 28 * DAY
    charge(shop, "refunds", "ch_february", 10_000, created=february)
    charge(shop, "refunds", "ch_march", 6_000)
    charge(shop, "refunds", "ch_partly", 9_000, amount_captured=4_000)
    charge(shop, "refunds", "ch_reserved", 7_000, captured=False, amount_captured=0)

    def refund(id: str, charge: str, amount: int, **other: Any) -> None:
        fields = {"created": PAID + DAY, "currency": "eur", "status": "succeeded", **other}
        shop.add("refunds", "refunds", id, charge=charge, amount=amount, **fields)

    def booked(id: str, category: str, at: datetime, amount: int) -> str:
        return str(
            shop.add(
                "refunds", "balance_transactions", id, created=at, amount=amount, fee=0, net=amount, currency="eur",
                reporting_category=category,
            )
        )  # fmt: skip

    refund("re_1", "ch_february", 2_500, balance_transaction=booked("txn_1", "refund", PAID + DAY, -2_500))
    refund("re_2", "ch_march", 1_000)
    refund("re_pending", "ch_march", 500, status="pending")
    came_back = booked("txn_2", "refund_failure", PAID + 30 * DAY, 4_000)
    refund("re_failed", "ch_march", 4_000, status="failed", failure_balance_transaction=came_back)
    refund("re_called_off", "ch_march", 300, status="canceled")
    # What was authorised and not captured goes back as a refund too: it was never paid.
    released = booked("txn_3", "partial_capture_reversal", PAID, -5_000)
    refund("re_released", "ch_partly", 5_000, balance_transaction=released)
    refund("re_uncaptured", "ch_reserved", 7_000)
    # A credit note is not a refund.
    shop.add(
        "refunds", "credit_notes", "cn_1", created=PAID, currency="eur", total=900, status="issued", type="post_payment",
        post_payment_amount=900, pre_payment_amount=0, invoice="in_elsewhere",
    )  # fmt: skip


def test_refunds_by_their_own_day_and_by_that_of_the_payment(shop: Any) -> None:
    april = (date(2026, 4, 1), date(2026, 5, 1))
    february = (date(2026, 2, 1), date(2026, 3, 1))
    # 2,500 + 1,000 + 500 + 4,000, of which the last came back in April.
    assert shop.figures("refund_volume", "refunds", *MARCH) == {"eur": -8_000}
    assert shop.figures("refund_count", "refunds", *MARCH) == {"eur": 4}
    assert shop.figures("refund_volume", "refunds", *april) == {"eur": 4_000}
    assert shop.figures("refund_count", "refunds", *april) == {"eur": -1}
    assert shop.figures("refund_volume_by_charge", "refunds", *february) == {"eur": -2_500}
    assert shop.figures("refund_volume_by_charge", "refunds", *MARCH) == {"eur": -1_500}
    assert shop.figures("refund_count_by_charge", "refunds", *MARCH) == {"eur": 2}
    assert shop.value("refund_rate", "refunds", *MARCH)["eur"] == Fraction(8_000, 10_000)
    assert shop.value("refund_rate_by_charge", "refunds", *MARCH)["eur"] == Fraction(1_500, 10_000)
    assert shop.value("average_payment", "refunds", *MARCH)["eur"] == Fraction(10_000, 2)


def disputes(shop: Any) -> None:
    charge(shop, "disputes", "ch_1", 3_000, created=PAID - 40 * DAY)
    for id, status in (("du_lost", "lost"), ("du_won", "won"), ("du_open", "needs_response")):
        shop.add("disputes", "disputes", id, charge="ch_1", created=PAID, amount=3_000, currency="eur", status=status)
    for id, status in (("du_asked", "warning_closed"), ("du_averted", "prevented")):
        shop.add("disputes", "disputes", id, charge="ch_1", created=PAID, amount=3_000, currency="eur", status=status)


def test_inquiries_are_no_disputes_and_a_dispute_that_was_won_was_one(shop: Any) -> None:
    assert shop.figures("dispute_count", "disputes", *MARCH) == {"eur": 3}
    assert shop.figures("dispute_volume", "disputes", *MARCH) == {"eur": -9_000}
    assert shop.figures("inquiry_count", "disputes", *MARCH) == {"eur": 2}
    assert shop.figures("dispute_count_by_charge", "disputes", *MARCH) == {}
    assert shop.figures("dispute_count_by_charge", "disputes", date(2026, 1, 1), date(2026, 2, 1)) == {"eur": 3}


def measuring(shop: Any) -> None:
    """Stripe's own example: 1,000 payments in a week, 10 disputes in it, 3 of them of these payments."""
    for number in range(1_000):
        charge(shop, "measuring", f"ch_{number}")
    for number in range(7):
        charge(shop, "measuring", f"ch_before_{number}", created=PAID - 30 * DAY)
    of = [*(f"ch_{number}" for number in range(3)), *(f"ch_before_{number}" for number in range(7))]
    for number, disputed in enumerate(of):
        shop.add(
            "measuring", "disputes", f"du_{number}", charge=disputed, created=PAID + DAY, amount=1_000, currency="eur",
            status="needs_response",
        )  # fmt: skip


def test_dispute_activity_and_rate_are_those_of_stripes_example(shop: Any) -> None:
    """https://docs.stripe.com/disputes/measuring: activity 1 %, rate 0.3 %."""
    week = (date(2026, 3, 9), date(2026, 3, 16))
    assert shop.value("dispute_activity", "measuring", *week)["eur"] == Fraction(1, 100)
    assert shop.value("dispute_rate", "measuring", *week)["eur"] == Fraction(3, 1_000)


def fees(shop: Any) -> None:
    def txn(id: str, amount: int, fee: int, category: str, details: list[dict[str, Any]] | None) -> None:
        shop.add(
            "fees", "balance_transactions", id, created=PAID, amount=amount, fee=fee, net=amount - fee, currency="eur",
            reporting_category=category, fee_details=details,
        )  # fmt: skip

    split = [
        {"type": "stripe_fee", "amount": 300, "currency": "eur"},
        {"type": "application_fee", "amount": 200, "currency": "eur"},
        {"type": "tax", "amount": 60, "currency": "eur"},
    ]
    txn("txn_1", 20_000, 560, "charge", split)
    txn("txn_given_back", -1_000, -30, "dispute_reversal", [{"type": "stripe_fee", "amount": -30, "currency": "eur"}])
    txn("txn_short", 1_000, 50, "charge", [{"type": "stripe_fee", "amount": 40, "currency": "eur"}])
    txn("txn_none", 1_000, 25, "charge", None)
    txn("txn_bill", -990, 0, "fee", [])
    txn("txn_network", -10, 0, "network_cost", [])


def test_fees_split_by_type_add_up_to_the_fees(shop: Any) -> None:
    by_type = shop.figures("fees_by_type", "fees", *MARCH, by="part")
    assert by_type == {
        ("eur", "stripe_fee"): -310,  # 300 - 30 + 40
        ("eur", "application_fee"): -200,
        ("eur", "tax"): -60,
        ("eur", "unknown"): -35,  # 10 of the fee that was not split whole, 25 of the one not split
        ("eur", "fee"): -990,
        ("eur", "network_cost"): -10,
    }
    assert {"eur": sum(by_type.values())} == shop.figures("fees", "fees", *MARCH) == {"eur": -1_605}
    assert shop.value("fee_rate", "fees", *MARCH)["eur"] == Fraction(1_605, 22_000)


def recoveries(shop: Any) -> None:
    shop.add("recovery", "subscriptions", "sub_1", trial_end=None)
    shop.add("recovery", "subscriptions", "sub_trial", trial_end=PAID)

    def renewal(id: str, status: str, amount: int, tries: tuple[str, ...], **other: Any) -> None:
        fields: dict[str, Any] = {
            "created": PAID, "currency": "eur", "status": status, "total": amount, "amount_due": amount,
            "amount_paid": amount if status == "paid" else 0, "amount_remaining": 0 if status == "paid" else amount,
            "billing_reason": "subscription_cycle", "collection_method": "charge_automatically",
            "attempted": bool(tries) or status == "paid", "attempt_count": len(tries), "period_end": PAID,
            "parent": {"subscription_details": {"subscription": "sub_1"}},
            "status_transitions": {"finalized_at": PAID, "paid_at": PAID + 9 * DAY if status == "paid" else None},
        }  # fmt: skip
        shop.add("recovery", "invoices", id, **(fields | other))
        shop.add(
            "recovery", "invoice_payments", f"inpay_{id}", invoice=id, created=PAID, currency="eur", amount_requested=amount,
            amount_paid=amount if status == "paid" and tries else None, status="paid" if status == "paid" and tries else "open",
            payment={"type": "payment_intent", "payment_intent": f"pi_{id}"},
        )  # fmt: skip
        for number, outcome in enumerate(tries):
            said = OK if outcome == "succeeded" else declined("insufficient_funds")
            charge(
                shop, "recovery", f"ch_{id}_{number}", amount, status=outcome, outcome=said, payment_intent=f"pi_{id}",
                created=PAID + (1 + 3 * number) * DAY,
            )  # fmt: skip

    renewal("in_at_once", "paid", 1_000, ("succeeded",))
    renewal("in_retried", "paid", 2_000, ("failed", "failed", "succeeded"))
    renewal("in_by_transfer", "paid", 4_000, ("failed",))  # later paid by other means, outside the payment intent
    renewal("in_written_off", "uncollectible", 8_000, ("failed", "failed"))
    renewal("in_voided", "void", 16_000, ("failed",))
    renewal("in_open", "open", 32_000, ("failed",))
    # A credit note took 24,000 of 64,000 before the rest was paid.
    renewal("in_credited", "paid", 64_000, ("failed", "succeeded"), amount_due=40_000, amount_paid=40_000)
    renewal("in_no_charge", "open", 128_000, (), attempted=True, attempt_count=1)
    renewal("in_bank", "open", 256_000, ("pending",))
    renewal("in_not_tried", "open", 512_000, ())
    renewal("in_by_mail", "open", 512_000, ("failed",), collection_method="send_invoice")
    renewal("in_first", "open", 512_000, ("failed",), billing_reason="subscription_create")
    renewal("in_update", "open", 512_000, ("failed",), billing_reason="subscription_update")
    after_trial = {"parent": {"subscription_details": {"subscription": "sub_trial"}}}
    renewal("in_after_trial", "open", 512_000, ("failed",), **after_trial)


def test_what_failed_at_first_was_recovered_lost_or_is_in_dunning(shop: Any) -> None:
    def both(name: str) -> tuple[int, int]:
        return (
            shop.figures(name, "recovery", *MARCH)["eur"],
            shop.figures(f"{name}_count", "recovery", *MARCH)["eur"],
        )

    assert both("renewals_tried") == (1_000 + 2_000 + 4_000 + 8_000 + 16_000 + 32_000 + 64_000 + 128_000 + 256_000, 9)
    assert both("recovered") == (2_000 + 4_000 + 40_000, 3)
    assert both("lost") == (8_000 + 16_000 + 24_000, 2)
    assert both("in_dunning") == (32_000 + 128_000, 2)
    assert both("renewals_failed") == (254_000, 7)
    assert shop.value("recovery_rate", "recovery", *MARCH)["eur"] == Fraction(46, 254)
    assert shop.value("recovery_rate_by_count", "recovery", *MARCH)["eur"] == Fraction(3, 7)
    assert shop.value("renewal_failure_rate", "recovery", *MARCH)["eur"] == Fraction(254, 511)


def customers(shop: Any) -> None:
    charge(shop, "customers", "ch_failed", customer="cus_1", status="failed", outcome=declined("lost_card"))
    charge(shop, "customers", "ch_reserved", customer="cus_1", captured=False, amount_captured=0)
    charge(shop, "customers", "ch_first", customer="cus_1", created=PAID + 30 * DAY, currency="usd")
    charge(shop, "customers", "ch_second", customer="cus_1", created=PAID + 31 * DAY)
    charge(shop, "customers", "ch_guest", customer=None)
    charge(shop, "customers", "ch_other", customer="cus_2")
    charge(shop, "customers_elsewhere", "ch_other", customer="cus_2", created=PAID - 60 * DAY)


def test_a_customer_begins_to_pay_once(shop: Any) -> None:
    assert shop.figures("new_paying_customers", "customers") == {"usd": 1, "eur": 1}
    assert shop.figures("new_paying_customers", "customers", *MARCH) == {"eur": 1}
    assert shop.figures("new_paying_customers", "customers_elsewhere") == {"eur": 1}


def midnight(shop: Any) -> None:
    charge(shop, "midnight", "ch_1", 1_000, created=datetime(2026, 3, 31, 22, 30, tzinfo=UTC))  # 1 April in Paris


def test_days_are_those_of_the_zone(shop: Any) -> None:
    assert shop.figures("payment_volume", "midnight", *MARCH) == {}
    assert shop.figures("payment_volume", "midnight", date(2026, 4, 1), date(2026, 4, 2)) == {"eur": 1_000}


def test_nothing_where_nothing_was(shop: Any) -> None:
    assert shop.value("recovery_rate", "volume", *MARCH) == {}
    assert shop.value("dispute_rate", "disputes", *MARCH) == {}
