"""Does it tie: rows, balance and payouts against Stripe; what differs is a value with its ids."""

from takings.proof.book import ProofBook
from takings.proof.model import Asked, Part, Verification, verdict

__all__ = ["Asked", "Part", "ProofBook", "Verification", "verdict"]
