"""Does it tie: rows, balance and payouts against Stripe; what differs is a value with its ids."""

from takings.proof.book import ProofBook
from takings.proof.model import Asked, Part, Verification, verdict
from takings.proof.monthend import MonthEnd
from takings.proof.proving import Progress, Proof, Proven
from takings.proof.statement import Category, Checkpoint, Day, PayoutLine, Reason, Statement, Untied
from takings.proof.verifier import Verifier

__all__ = [
    "Asked",
    "Category",
    "Checkpoint",
    "Day",
    "MonthEnd",
    "Part",
    "PayoutLine",
    "Progress",
    "Proof",
    "ProofBook",
    "Proven",
    "Reason",
    "Statement",
    "Untied",
    "Verification",
    "Verifier",
    "verdict",
]
