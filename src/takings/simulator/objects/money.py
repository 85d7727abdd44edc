"""Balance transactions, payouts, transfers and their reversals, application fees and their refunds, and the balance."""

from __future__ import annotations

import numpy as np

from takings.simulator.books import (
    DISPUTE,
    DISPUTE_REVERSAL,
    KINDS,
    P_FAILED,
    P_PAID,
    PAYOUT_STATUSES,
    RATE_UNIT,
)
from takings.simulator.company import Company
from takings.simulator.dice import I64
from takings.simulator.objects.base import EMBEDDED, Object, Rows, listed, partner_account, refs
from takings.simulator.tables import base62

_SOURCES = [table for _, _, table in KINDS]
_WORDS = {
    "charge": "Payment",
    "payment": "Payment",
    "refund": "REFUND FOR CHARGE",
    "payment_refund": "REFUND FOR PAYMENT",
    "transfer": "Transfer to partner",
    "payout": "STRIPE PAYOUT",
    "payout_failure": "REFUND FOR PAYOUT",
    "stripe_fee": "Billing and Radar: usage fee",
}
_FAT = " ".join(
    f"Order line {i}: Ethiopia Yirgacheffe 1 kg, washed, roasted on Tuesday, ground for filter, delivered and signed for."
    for i in range(25)
)


def _sources(company: Company, kinds: I64, sources: I64) -> list[str | None]:
    """Return the ids of what each balance transaction stands for, whatever table that is in."""
    out: list[str | None] = [None] * len(kinds)
    for kind in np.unique(kinds).tolist():
        table = _SOURCES[kind]
        if table is None:
            continue
        at = np.flatnonzero(kinds == kind)
        for position, id in zip(at.tolist(), refs(company, table, sources[at]), strict=True):
            out[position] = id
    return out


def balance_transactions(company: Company, rows: I64) -> list[Object]:
    """Build balance transactions."""
    read = Rows(company, "balance_transactions", rows)
    kinds = read.array("kind")
    made = zip(
        read.ids(), read.created(), kinds.tolist(), _sources(company, kinds, read.array("source")), read("currency"), read("amount"),
        read("fee"), read("available"), read("rate"), strict=True,
    )  # fmt: skip
    fat, end, currencies = company.fat, company.end, company.currencies
    out: list[Object] = []
    for id, created, kind, source, currency, amount, fee, available, rate in made:
        type, category, _ = KINDS[kind]
        code = currencies[currency]
        details: list[Object] = []
        if fee:
            about = "Dispute fee" if kind in (DISPUTE, DISPUTE_REVERSAL) else "Stripe processing fees"
            details = [
                {"amount": fee, "application": None, "currency": code, "description": about, "type": "stripe_fee"}
            ]
        if kind in (DISPUTE, DISPUTE_REVERSAL):
            description = f"Chargeback {'withdrawal' if kind == DISPUTE else 'reversal'} for {source}"
        else:
            description = _WORDS.get(type, type.replace("_", " ").capitalize())
        out.append(
            {
                "id": id,
                "object": "balance_transaction",
                "amount": amount,
                "available_on": available,
                "balance_type": "payments",
                "created": created,
                "currency": code,
                "description": f"{description}. {_FAT}" if fat else description,
                "exchange_rate": rate / RATE_UNIT if rate else None,
                "fee": fee,
                "fee_details": details,
                "net": amount - fee,
                "reporting_category": category,
                "source": source,
                "status": "available" if available <= end else "pending",
                "type": type,
            }
        )
    return out


def bank_account(company: Company, currency: int) -> str:
    """Return the id of the bank account that a currency is paid out to."""
    return "ba_1" + base62(company.dice.seed * 31 + currency + 7 * 62**8, 11) + company.tables["payouts"].codec.tail


def payouts(company: Company, rows: I64) -> list[Object]:
    """Build payouts."""
    read = Rows(company, "payouts", rows)
    made = zip(
        read.ids(), read.created(), read("currency"), read("amount"), read("automatic"), read("status"), read("arrival"),
        read.refs("txn", "balance_transactions"), read.refs("failed_txn", "balance_transactions"), read.bits("payout"), strict=True,
    )  # fmt: skip
    out: list[Object] = []
    for id, created, currency, amount, automatic, status, arrival, txn, failed_txn, bits in made:
        failed = status == P_FAILED
        trace: Object = {"status": "pending", "value": None}
        if status == P_PAID:
            trace = {"status": "supported", "value": f"{bits % 10**15:015d}"}
        out.append(
            {
                "id": id,
                "object": "payout",
                "amount": amount,
                "application_fee": None,
                "application_fee_amount": None,
                "arrival_date": arrival,
                "automatic": bool(automatic),
                "balance_transaction": txn,
                "created": created,
                "currency": company.currencies[currency],
                "description": "STRIPE PAYOUT" if automatic else "By hand",
                "destination": bank_account(company, currency),
                "failure_balance_transaction": failed_txn,
                "failure_code": "account_closed" if failed else None,
                "failure_message": "The bank account has been closed." if failed else None,
                "livemode": company.livemode,
                "metadata": {},
                "method": "standard",
                "original_payout": None,
                "payout_method": None,
                "reconciliation_status": "completed" if automatic else "not_applicable",
                "reversed_by": None,
                "source_type": "card",
                "statement_descriptor": None,
                "status": PAYOUT_STATUSES[status],
                "trace_id": trace,
                "type": "bank_account",
            }
        )
    return out


def _children(company: Company, table: str, column: str, parents: I64) -> dict[int, list[int]]:
    """Return the rows that belong to each parent, the newest first."""
    child = company.tables[table]
    return {parent: child.rows_where(column, parent)[::-1].tolist() for parent in parents.tolist()}


def transfers(company: Company, rows: I64) -> list[Object]:
    """Build transfers with up to ten of their reversals."""
    read = Rows(company, "transfers", rows)
    partner = partner_account(company)
    children = _children(company, "transfer_reversals", "transfer", rows)
    made = zip(
        rows.tolist(), read.ids(), read.created(), read.refs("charge", "charges"), read("amount"), read("reversed"),
        read.refs("txn", "balance_transactions"), refs(company, "payment_intents", read.via("charge", "charges", "intent")), strict=True,
    )  # fmt: skip
    out: list[Object] = []
    for row, id, created, charge, amount, back, txn, intent in made:
        mine = children[row]
        data = transfer_reversals(company, np.array(mine[:EMBEDDED], np.int64)) if mine else []
        out.append(
            {
                "id": id,
                "object": "transfer",
                "amount": amount,
                "amount_reversed": back,
                "balance_transaction": txn,
                "created": created,
                "currency": company.currencies[0],
                "description": None,
                "destination": partner,
                "destination_payment": "py_" + id[3:],
                "livemode": company.livemode,
                "metadata": {},
                "reversals": listed(data, len(mine), f"/v1/transfers/{id}/reversals"),
                "reversed": back == amount,
                "source_transaction": charge,
                "source_type": "card",
                "transfer_group": f"group_{intent}",
            }
        )
    return out


def transfer_reversals(company: Company, rows: I64) -> list[Object]:
    """Build transfer reversals."""
    read = Rows(company, "transfer_reversals", rows)
    made = zip(
        read.ids(), read.created(), read.refs("transfer", "transfers"), read.refs("refund", "refunds"), read("amount"),
        read.refs("txn", "balance_transactions"), strict=True,
    )  # fmt: skip
    return [
        {
            "id": id,
            "object": "transfer_reversal",
            "amount": amount,
            "balance_transaction": txn,
            "created": created,
            "currency": company.currencies[0],
            "destination_payment_refund": "pyr_" + id[4:],
            "metadata": {},
            "source_refund": refund,
            "transfer": transfer,
        }
        for id, created, transfer, refund, amount, txn in made
    ]


def application_fees(company: Company, rows: I64) -> list[Object]:
    """Build application fees with up to ten of their refunds."""
    read = Rows(company, "application_fees", rows)
    partner = partner_account(company)
    application = "ca_" + base62(company.dice.seed + 62**9, 11) + company.tables["payouts"].codec.tail
    children = _children(company, "application_fee_refunds", "fee", rows)
    made = zip(
        rows.tolist(), read.ids(), read.created(), read.refs("charge", "charges"), read("amount"), read("reversed"),
        read.refs("txn", "balance_transactions"), strict=True,
    )  # fmt: skip
    out: list[Object] = []
    for row, id, created, charge, amount, back, txn in made:
        mine = children[row]
        data = application_fee_refunds(company, np.array(mine[:EMBEDDED], np.int64)) if mine else []
        out.append(
            {
                "id": id,
                "object": "application_fee",
                "account": partner,
                "amount": amount,
                "amount_refunded": back,
                "application": application,
                "balance_transaction": txn,
                "charge": charge,
                "created": created,
                "currency": company.currencies[0],
                "fee_source": {"charge": charge, "type": "charge"},
                "livemode": company.livemode,
                "originating_transaction": charge,
                "refunded": back == amount,
                "refunds": listed(data, len(mine), f"/v1/application_fees/{id}/refunds"),
            }
        )
    return out


def application_fee_refunds(company: Company, rows: I64) -> list[Object]:
    """Build application fee refunds."""
    read = Rows(company, "application_fee_refunds", rows)
    made = zip(
        read.ids(), read.created(), read.refs("fee", "application_fees"), read("amount"), read.refs("txn", "balance_transactions"),
        strict=True,
    )  # fmt: skip
    return [
        {
            "id": id,
            "object": "fee_refund",
            "amount": amount,
            "balance_transaction": txn,
            "created": created,
            "currency": company.currencies[0],
            "fee": fee,
            "metadata": {},
        }
        for id, created, fee, amount, txn in made
    ]


def balance(company: Company) -> Object:
    """Return the account's balance."""

    def sums(amounts: dict[str, int]) -> list[Object]:
        return [
            {"amount": amount, "currency": currency, "source_types": {"card": amount}}
            for currency, amount in amounts.items()
        ]

    return {
        "object": "balance",
        "available": sums(company.balance.available),
        "connect_reserved": [{"amount": 0, "currency": currency} for currency in company.balance.available],
        "livemode": company.livemode,
        "pending": sums(company.balance.pending),
        "refund_and_dispute_prefunding": {
            "available": [{"amount": 0, "currency": currency} for currency in company.balance.available],
            "pending": [{"amount": 0, "currency": currency} for currency in company.balance.available],
        },
    }


def account(company: Company) -> Object:
    """Return the account itself, as its own key sees it."""
    host = "".join(letter for letter in company.name.lower() if letter.isalnum()) or "company"
    externals: list[Object] = [
        {
            "id": bank_account(company, currency),
            "object": "bank_account",
            "account": company.account,
            "account_holder_name": company.name,
            "account_holder_type": "company",
            "account_type": None,
            "available_payout_methods": ["standard"],
            "bank_name": "STRIPE TEST BANK",
            "country": company.country,
            "currency": code,
            "default_for_currency": True,
            "fingerprint": base62(company.dice.seed + currency, 16),
            "future_requirements": None,
            "last4": "3000",
            "metadata": {},
            "requirements": None,
            "routing_number": "110000000",
            "status": "verified",
        }
        for currency, code in enumerate(company.currencies)
        if code in (company.balance.available if company.held is None else company.held)
    ]
    nothing: Object = {
        "alternatives": [],
        "current_deadline": None,
        "currently_due": [],
        "disabled_reason": None,
        "errors": [],
        "eventually_due": [],
        "past_due": [],
        "pending_verification": [],
    }
    return {
        "id": company.account,
        "object": "account",
        "business_profile": {
            "annual_revenue": None,
            "estimated_worker_count": 42,
            "mcc": "5499",
            "minority_owned_business_designation": None,
            "name": company.name,
            "product_description": "Coffee by subscription and over the counter",
            "support_address": None,
            "support_email": f"hello@{host}.example.com",
            "support_phone": None,
            "support_url": None,
            "url": f"https://{host}.example.com",
        },
        "business_type": "company",
        "capabilities": {"card_payments": "active", "sepa_debit_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": {"type": "account"},
        "country": company.country,
        "created": company.start - 45 * 86_400,
        "default_currency": company.currencies[0],
        "details_submitted": True,
        "email": f"finance@{host}.example.com",
        "external_accounts": listed(externals, len(externals), f"/v1/accounts/{company.account}/external_accounts"),
        "future_requirements": nothing,
        "groups": None,
        "metadata": {},
        "payouts_enabled": True,
        "requirements": nothing,
        "settings": {
            "bacs_debit_payments": {"display_name": None, "service_user_number": None},
            "branding": {"icon": None, "logo": None, "primary_color": "#6f4e37", "secondary_color": None},
            "card_issuing": {"tos_acceptance": {"date": None, "ip": None}},
            "card_payments": {
                "decline_on": {"avs_failure": False, "cvc_failure": True},
                "statement_descriptor_prefix": None,
                "statement_descriptor_prefix_kana": None,
                "statement_descriptor_prefix_kanji": None,
            },
            "dashboard": {
                "display_name": company.name,
                "timezone": "Europe/Paris" if company.country == "FR" else "Etc/UTC",
            },
            "invoices": {"default_account_tax_ids": None, "hosted_payment_method_save": "offer"},
            "payments": {
                "statement_descriptor": company.name.upper()[:22],
                "statement_descriptor_kana": None,
                "statement_descriptor_kanji": None,
            },
            "payouts": {
                "debit_negative_balances": True,
                "schedule": {"delay_days": 3, "interval": "daily"},
                "statement_descriptor": None,
            },
            "sepa_debit_payments": {},
        },
        "tos_acceptance": {"date": company.start - 45 * 86_400, "ip": None, "user_agent": None},
        "type": "standard",
    }
