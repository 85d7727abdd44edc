"""Payment intents, charges, refunds, disputes, and checkout sessions with their line items."""

from __future__ import annotations

from typing import Any

import numpy as np

from takings.clock import from_unix
from takings.simulator.company import Company
from takings.simulator.dice import DAY_S, I64
from takings.simulator.objects import money, shop
from takings.simulator.objects.base import Object, Rows, cards, optional, partner_account, payers, refs, token
from takings.simulator.payments import (
    CHARGE_STATUSES,
    D_CLOSED,
    D_WARNS,
    DISPUTE_STATUSES,
    I_ACTION,
    I_CANCELED,
    I_CAPTURE,
    I_SUCCEEDED,
    I_WAITS,
    INTENT_STATUSES,
)

_DECLINES = (
    ("card_declined", "insufficient_funds", "Your card has insufficient funds.", "51", "try_again_later"),
    ("card_declined", "generic_decline", "Your card was declined.", "05", "try_again_later"),
    ("expired_card", "expired_card", "Your card has expired.", "54", "confirm_card_data"),
    ("card_declined", "do_not_honor", "Your card was declined.", "05", "try_again_later"),
    ("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect.", "N7", "confirm_card_data"),
    ("card_declined", "lost_card", "Your card was declined.", "41", "do_not_try_again"),
)
#: What Radar stops never reaches the issuer.
_BLOCKED: Object = {
    "advice_code": None,
    "network_advice_code": None,
    "network_decline_code": None,
    "network_status": "not_sent_to_network",
    "reason": "highest_risk_level",
    "risk_level": "highest",
    "seller_message": "Stripe blocked this payment as too risky.",
    "type": "blocked",
}
_CARD_CHECKS: Object = {"address_line1_check": None, "address_postal_code_check": "pass", "cvc_check": "pass"}
_FAT: Object = {
    f"basket_{i:02d}": "Ethiopia Yirgacheffe 1 kg, washed, roasted on Tuesday, ground for filter, in a paper bag"
    for i in range(9)
}


def payment_intents(company: Company, rows: I64) -> list[Object]:
    """Build payment intents."""
    read = Rows(company, "payment_intents", rows)
    latest = read.array("latest_charge")
    made = zip(
        read.ids(), read.created(), read.refs("customer", "customers"), read("amount"), read("currency"), read("status"),
        refs(company, "charges", latest), latest.tolist(), read.refs("pm", "payment_methods"), read("canceled_at"),
        read("invoice"), read.bits("intent"), read("sepa"), company.dice.bits("decline", np.maximum(latest, 0)).tolist(), strict=True,
    )  # fmt: skip
    out: list[Object] = []
    for (
        id, created, customer, amount, currency, status, charge, charge_row, method, canceled_at, invoice, bits, sepa, decline,
    ) in made:  # fmt: skip
        error: Object | None = None
        if status == I_WAITS and charge_row >= 0:
            code, decline_code, message, network, advice = _DECLINES[decline % len(_DECLINES)]
            error = {
                "advice_code": advice,
                "charge": charge,
                "code": code,
                "decline_code": decline_code,
                "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}",
                "message": message,
                "network_decline_code": network,
                "payment_method_type": "card",
                "type": "card_error",
            }
        subscription = invoice >= 0
        out.append(
            {
                "id": id,
                "object": "payment_intent",
                "allowed_payment_method_types": None,
                "amount": amount,
                "amount_capturable": amount if status == I_CAPTURE else 0,
                "amount_details": {"tip": {}},
                "amount_received": amount if status == I_SUCCEEDED else 0,
                "application": None,
                "application_fee_amount": None,
                "automatic_payment_methods": None if subscription else {"allow_redirects": "always", "enabled": True},
                "canceled_at": optional(canceled_at),
                "cancellation_reason": ("void_invoice" if subscription else "requested_by_customer")
                if status == I_CANCELED
                else None,
                "capture_method": "manual" if status == I_CAPTURE else "automatic",
                "client_secret": f"{id}_secret_{token(bits)}",
                "confirmation_method": "automatic",
                "created": created,
                "currency": company.currencies[currency],
                "customer": customer,
                "customer_account": None,
                "description": "Payment for Invoice" if subscription else None,
                "excluded_payment_method_types": None,
                "last_payment_error": error,
                "latest_charge": charge,
                "livemode": company.livemode,
                "managed_payments": None,
                "metadata": {} if subscription else {"order_id": f"{bits >> 38}"},
                "next_action": {
                    "redirect_to_url": {
                        "return_url": "https://shop.example.com/thanks",
                        "url": f"https://hooks.stripe.com/3d_secure_2/hosted?payment_intent={id}",
                    },
                    "type": "redirect_to_url",
                }
                if status == I_ACTION
                else None,
                "on_behalf_of": None,
                "payment_method": method if status not in (I_WAITS, I_CANCELED) else None,
                "payment_method_configuration_details": None,
                "payment_method_options": {
                    "card": {
                        "installments": None,
                        "mandate_options": None,
                        "network": None,
                        "request_three_d_secure": "automatic",
                    }
                },
                "payment_method_types": ["sepa_debit"] if sepa else ["card"],
                "payment_record": None,
                "processing": None,
                "receipt_email": None,
                "review": None,
                "setup_future_usage": "off_session" if subscription else None,
                "shipping": None,
                "source": None,
                "statement_descriptor": None,
                "statement_descriptor_suffix": None,
                "status": INTENT_STATUSES[status],
                "transfer_data": None,
                "transfer_group": None,
            }
        )
    return out


def charges(company: Company, rows: I64) -> list[Object]:
    """Build charges."""
    read = Rows(company, "charges", rows)
    customer_rows, methods, currencies = read.array("customer"), read.array("pm"), read.array("currency")
    made = zip(
        read.ids(), read.created(), payers(company, customer_rows, methods, currencies), cards(company, methods),
        refs(company, "customers", customer_rows), read.refs("intent", "payment_intents"), refs(company, "payment_methods", methods),
        read.refs("txn", "balance_transactions"), read("amount"), currencies.tolist(), read("status"), read("captured"),
        read("refunded"), read("dispute"), read.refs("transfer", "transfers"), read.refs("fee", "application_fees"),
        read("fee_amount"), read("invoice"), read("sepa"), read.bits("charge"), company.dice.bits("decline", rows).tolist(),
        read("order"), strict=True,
    )  # fmt: skip
    livemode, codes, fat = company.livemode, company.currencies, company.fat
    account = company.account
    partner = partner_account(company)
    brand = company.name.upper()[:22]
    mode = "live" if livemode else "test"
    out: list[Object] = []
    for (
        id, created, person, card, customer, intent, method, txn, amount, currency, status, captured, refunded, dispute,
        transfer, fee, fee_amount, invoice, sepa, bits, decline, order,
    ) in made:  # fmt: skip
        succeeded = status == 1
        failed = status == 0
        if failed and invoice < 0 and decline % 11 < 3:
            code, message = "card_declined", "Your card was declined."
            outcome: Object = _BLOCKED | {"risk_score": 75 + bits % 25}
        elif failed:
            code, decline_code, message, network, advice = _DECLINES[decline % len(_DECLINES)]
            outcome = {
                "advice_code": advice,
                "network_advice_code": None,
                "network_decline_code": network,
                "network_status": "declined_by_network",
                "reason": decline_code,
                "risk_level": "normal",
                "risk_score": bits % 60,
                "seller_message": "The bank did not return any further details with this decline.",
                "type": "issuer_declined",
            }
        else:
            code, message = None, None
            outcome = {
                "advice_code": None,
                "network_advice_code": None,
                "network_decline_code": None,
                "network_status": "approved_by_network",
                "reason": None,
                "risk_level": "normal",
                "risk_score": bits % 60,
                "seller_message": "Payment complete.",
                "type": "authorized",
            }
        address = person.address
        if sepa:
            details: Object = {
                "sepa_debit": {
                    "bank_code": card.last4 + "0",
                    "branch_code": "00001",
                    "country": address["country"],
                    "expected_debit_date": date_of(created + 3 * DAY_S),
                    "fingerprint": card.fingerprint,
                    "last4": card.last4,
                    "mandate": None,
                },
                "type": "sepa_debit",
            }
        else:
            details = {
                "card": {
                    "amount_authorized": amount if succeeded else None,
                    "authorization_code": f"{bits >> 44:06d}" if succeeded else None,
                    "brand": card.brand,
                    "capture_before": created + 7 * DAY_S if succeeded and not captured else None,
                    "checks": _CARD_CHECKS,
                    "country": address["country"],
                    "exp_month": card.exp_month,
                    "exp_year": card.exp_year,
                    "extended_authorization": {"status": "disabled"},
                    "fingerprint": card.fingerprint,
                    "funding": card.funding,
                    "incremental_authorization": {"status": "unavailable"},
                    "installments": None,
                    "last4": card.last4,
                    "mandate": None,
                    "multicapture": {"status": "unavailable"},
                    "network": card.network,
                    "network_token": {"used": bits & 1 == 0},
                    "network_transaction_id": f"{bits % 10**15:015d}",
                    "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
                    "regulated_status": "unregulated",
                    "three_d_secure": None,
                    "wallet": None,
                },
                "type": "card",
            }
            if details["card"]["capture_before"] is None:
                del details["card"]["capture_before"]
        metadata: dict[str, str] = {} if invoice >= 0 else {"order_id": f"{bits >> 38}", "shop": "main"}
        if fat:
            metadata = {"order_id": f"{bits >> 38}", **_FAT}
        out.append(
            {
                "id": id,
                "object": "charge",
                "amount": amount,
                "amount_captured": amount if captured else 0,
                "amount_refunded": refunded,
                "application": None,
                "application_fee": fee,
                "application_fee_amount": fee_amount if fee else None,
                "authorization_code": None,
                "balance_transaction": txn,
                "billing_details": {
                    "address": address,
                    "email": person.email,
                    "name": person.name,
                    "phone": None,
                    "tax_id": None,
                },
                "calculated_statement_descriptor": brand,
                "captured": captured or status == 2,
                "created": created,
                "currency": codes[currency],
                "customer": customer,
                "description": "Subscription update" if invoice >= 0 else f"Order {bits >> 50}",
                "disputed": dispute >= 0,
                "failure_balance_transaction": None,
                "failure_code": code,
                "failure_message": message,
                "fraud_details": {},
                "livemode": livemode,
                "metadata": metadata,
                "on_behalf_of": None,
                "outcome": outcome,
                "paid": not failed,
                "payment_intent": intent,
                "payment_method": method,
                "payment_method_details": details,
                "radar_options": {},
                "receipt_email": person.email if succeeded else None,
                "receipt_number": f"{bits % 9000 + 1000}-{(bits >> 20) % 9000 + 1000}" if succeeded else None,
                "receipt_url": f"https://pay.stripe.com/receipts/{mode}/{account[5:]}/{id}/rcpt_{token(bits)}{id[-14:]}"
                if succeeded
                else None,
                "refunded": refunded == amount,
                "review": None,
                "shipping": None
                if order < 0
                else {
                    "address": address,
                    "carrier": "Colissimo",
                    "name": person.name,
                    "phone": person.phone,
                    "tracking_number": f"6A{(bits >> 12) % 10**11:011d}",
                },
                "source": None,
                "source_transfer": None,
                "statement_descriptor": None,
                "statement_descriptor_suffix": None,
                "status": CHARGE_STATUSES[status],
                "transfer_data": {"amount": None, "destination": partner} if transfer else None,
                "transfer_group": f"group_{intent}" if transfer else None,
            }
        )
        if transfer:
            out[-1]["transfer"] = transfer
    return out


def date_of(moment: int) -> str:
    """Return the day of a moment, in UTC, as ``2026-11-20``."""
    return from_unix(moment).date().isoformat()


def refunds(company: Company, rows: I64) -> list[Object]:
    """Build refunds."""
    read = Rows(company, "refunds", rows)
    charge_rows = read.array("charge")
    of = Rows(company, "charges", charge_rows)
    made = zip(
        read.ids(), read.created(), of.ids(), of.refs("intent", "payment_intents"), of("currency"), read("amount"),
        read.refs("txn", "balance_transactions"), read.refs("failed_txn", "balance_transactions"), read("failed_at"),
        read.refs("reversal", "transfer_reversals"), of("sepa"), of.refs("customer", "customers"),
        of.refs("pm", "payment_methods"), read.bits("refund"), strict=True,
    )  # fmt: skip
    out: list[Object] = []
    for (
        id,
        created,
        charge,
        intent,
        currency,
        amount,
        txn,
        failed_txn,
        failed_at,
        reversal,
        sepa,
        customer,
        method,
        bits,
    ) in made:
        details: Object = (
            {"type": "sepa_debit"}
            if sepa
            else {
                "card": {
                    "reference": f"{bits % 10**12:012d}",
                    "reference_status": "available",
                    "reference_type": "acquirer_reference_number",
                    "type": "refund",
                },
                "type": "card",
            }
        )
        refund: Object = {
            "id": id,
            "object": "refund",
            "amount": amount,
            "balance_transaction": txn,
            "charge": charge,
            "created": created,
            "currency": company.currencies[currency],
            "customer": customer,
            "customer_account": None,
            "destination_details": details,
            "metadata": {"ticket": f"T{bits >> 46}"},
            "payment_intent": intent,
            "payment_method": method,
            "reason": ("requested_by_customer", "duplicate", "requested_by_customer", None)[bits & 3],
            "receipt_number": None,
            "source_transfer_reversal": None,
            "status": "failed" if failed_at else "succeeded",
            "transfer_reversal": reversal,
        }
        if failed_at:
            refund["failure_balance_transaction"] = failed_txn
            refund["failure_reason"] = "expired_or_canceled_card"
        out.append(refund)
    return out


_NO_EVIDENCE: Object = dict.fromkeys(
    (
        "access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure", "cancellation_rebuttal",
        "customer_communication", "customer_email_address", "customer_name", "customer_purchase_ip", "customer_signature",
        "duplicate_charge_documentation", "duplicate_charge_explanation", "duplicate_charge_id", "product_description", "receipt",
        "refund_policy", "refund_policy_disclosure", "refund_refusal_explanation", "service_date", "service_documentation",
        "shipping_address", "shipping_carrier", "shipping_date", "shipping_documentation", "shipping_tracking_number",
        "uncategorized_file", "uncategorized_text",
    )
) | {"enhanced_evidence": {}}  # fmt: skip


def disputes(company: Company, rows: I64) -> list[Object]:
    """Build disputes with the balance transactions they hold."""
    read = Rows(company, "disputes", rows)
    of = Rows(company, "charges", read.array("charge"))
    who = payers(company, of.array("customer"), of.array("pm"), of.array("currency"))
    outs, backs = read.array("out_txn"), read.array("in_txn")
    needed = np.concatenate([outs[outs >= 0], backs[backs >= 0]])
    txns = dict(zip(needed.tolist(), money.balance_transactions(company, needed), strict=True))
    made = zip(
        read.ids(), read.created(), of.ids(), of.refs("intent", "payment_intents"), read("amount"), read("currency"), read("status"),
        outs.tolist(), backs.tolist(), cards(company, of.array("pm")), who, read.bits("dispute"), strict=True,
    )  # fmt: skip
    out: list[Object] = []
    for id, created, charge, intent, amount, currency, status, lost, back, card, person, bits in made:
        answered = status not in (2, D_CLOSED, D_WARNS)
        out.append(
            {
                "id": id,
                "object": "dispute",
                "amount": amount,
                "balance_transactions": [txns[row] for row in (lost, back) if row >= 0],
                "charge": charge,
                "created": created,
                "currency": company.currencies[currency],
                "enhanced_eligibility_types": [],
                "evidence": _NO_EVIDENCE | {"customer_email_address": person.email, "customer_name": person.name},
                "evidence_details": {
                    "due_by": created + 9 * DAY_S,
                    "enhanced_eligibility": {},
                    "has_evidence": answered,
                    "past_due": False,
                    "submission_count": int(answered),
                },
                "intended_submission_method": None,
                "is_charge_refundable": status == D_WARNS,
                "livemode": company.livemode,
                "metadata": {},
                "network_reason_code": "10.4",
                "payment_intent": intent,
                "payment_method_details": {
                    "card": {
                        "brand": card.brand,
                        "case_type": "inquiry" if status in (D_CLOSED, D_WARNS) else "chargeback",
                        "network_reason_code": "10.4",
                    },
                    "type": "card",
                },
                "reason": ("fraudulent", "product_not_received", "fraudulent", "subscription_canceled")[bits & 3],
                "status": DISPUTE_STATUSES[status],
            }
        )
    return out


_SESSION_CONSTANT: Object = {
    "adaptive_pricing": None,
    "after_expiration": None,
    "allow_promotion_codes": None,
    "allowed_payment_method_types": None,
    "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
    "billing_address_collection": None,
    "cancel_url": "https://shop.example.com/basket",
    "client_secret": None,
    "collected_information": None,
    "consent": None,
    "consent_collection": None,
    "currency_conversion": None,
    "custom_fields": [],
    "custom_text": {
        "after_submit": None,
        "shipping_address": None,
        "submit": None,
        "terms_of_service_acceptance": None,
    },
    "customer_account": None,
    "discounts": [],
    "integration_identifier": None,
    "invoice_creation": None,
    "locale": None,
    "managed_payments": None,
    "metadata": {},
    "optional_items": None,
    "origin_context": None,
    "payment_link": None,
    "payment_method_collection": "always",
    "payment_method_configuration_details": None,
    "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
    "payment_method_types": ["card"],
    "permissions": None,
    "phone_number_collection": {"enabled": False},
    "recovered_from": None,
    "saved_payment_method_options": None,
    "shipping_address_collection": None,
    "shipping_cost": None,
    "shipping_options": [],
    "submit_type": None,
    "success_url": "https://shop.example.com/thanks",
    "ui_mode": "hosted_page",
    "wallet_options": None,
}


def checkout_sessions(company: Company, rows: I64) -> list[Object]:
    """Build checkout sessions, without their line items (these come with ``expand`` only)."""
    read = Rows(company, "checkout_sessions", rows)
    currency = np.maximum(read.array("currency"), 0)
    who = payers(company, read.array("customer"), -2 - rows, currency)
    invoice = Rows(company, "invoices", np.maximum(read.array("invoice"), 0))
    empty = not invoice.table.size
    zeros = [0] * len(rows)
    made = zip(
        read.ids(), read.created(), read("mode"), read.refs("customer", "customers"), read("currency"), read("subtotal"), read("total"),
        read("status"), read("unpaid"), read.refs("intent", "payment_intents"), read.refs("invoice", "invoices"),
        refs(company, "subscriptions", read.via("invoice", "invoices", "sub")), read.refs("setup", "setup_intents"),
        zeros if empty else invoice("discount"), zeros if empty else invoice("tax"), read("invoice"), who, read.bits("session"), strict=True,
    )  # fmt: skip
    out: list[Object] = []
    for (
        id, created, mode, customer, code, subtotal, total, status, unpaid, intent, invoice_id, subscription, setup, discount, tax,
        invoice_row, person, bits,
    ) in made:  # fmt: skip
        money_moves = mode != 2
        from_invoice = invoice_row >= 0
        free = money_moves and total == 0
        out.append(
            {
                "id": id,
                "object": "checkout.session",
                **_SESSION_CONSTANT,
                "amount_subtotal": subtotal if money_moves else None,
                "amount_total": total if money_moves else None,
                "client_reference_id": f"basket-{bits >> 40}",
                "created": created,
                "currency": company.currencies[code] if money_moves else None,
                "customer": customer,
                "customer_creation": "if_required" if mode == 0 and customer is None else None,
                "customer_details": None
                if status
                else {
                    "address": person.address,
                    "business_name": None,
                    "email": person.email,
                    "individual_name": None,
                    "name": person.name,
                    "phone": None,
                    "tax_exempt": "none",
                    "tax_ids": [],
                },
                "customer_email": None,
                "expires_at": created + DAY_S,
                "invoice": invoice_id,
                "livemode": company.livemode,
                "mode": ("payment", "subscription", "setup")[mode],
                "payment_intent": intent if mode == 0 else None,
                "payment_status": "no_payment_required" if mode == 2 or free else "unpaid" if unpaid else "paid",
                "setup_intent": setup,
                "status": ("complete", "expired", "open")[status],
                "subscription": subscription,
                "total_details": {
                    "amount_discount": discount if from_invoice else 0,
                    "amount_shipping": 0,
                    "amount_tax": tax if from_invoice else 0,
                }
                if money_moves
                else None,
                "url": f"https://checkout.stripe.com/c/pay/{id}" if status == 2 else None,
            }
        )
    return out


def checkout_session_line_items(company: Company, rows: I64) -> list[Object]:
    """Build checkout session line items."""
    read = Rows(company, "checkout_session_line_items", rows)
    price_rows = read.array("price")
    distinct = np.unique(price_rows)
    price_of = dict(zip(distinct.tolist(), shop.prices(company, distinct), strict=True))
    priced = Rows(company, "prices", price_rows)
    products = Rows(company, "products", priced.array("product"))
    invoice = read.via("session", "checkout_sessions", "invoice")
    inclusive = np.zeros(len(rows), bool)
    invoices = company.tables["invoices"]
    if invoices.size:
        rate = np.where(invoice >= 0, invoices["tax_rate"][np.maximum(invoice, 0)], -1)
        country = company.tables["tax_rates"]["country"][np.maximum(rate, 0)]
        flags = np.array([each.inclusive for each in company.countries])
        inclusive = (rate >= 0) & flags[country]
    made = zip(
        read.ids(), price_rows.tolist(), priced("currency"), products("kind"), products("item"), read("quantity"), read("subtotal"),
        read("discount"), read("tax"), inclusive.tolist(), strict=True,
    )  # fmt: skip
    out: list[dict[str, Any]] = []
    for id, price, currency, kind, item, quantity, subtotal, discount, tax, included in made:
        out.append(
            {
                "id": id,
                "object": "item",
                "adjustable_quantity": None,
                "amount_discount": discount,
                "amount_subtotal": subtotal,
                "amount_tax": tax,
                "amount_total": subtotal - discount + (0 if included else tax),
                "currency": company.currencies[currency],
                "description": shop.product_name(kind, item),
                "metadata": {},
                "price": price_of[price],
                "quantity": quantity,
            }
        )
    return out
