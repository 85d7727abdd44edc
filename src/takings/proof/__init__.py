"""Does it tie: rows, balance and payouts against Stripe; what differs is a value with its ids."""

from takings.proof.book import ProofBook
from takings.proof.model import Asked, Part, Verification, verdict
from takings.proof.proving import Progress, Proof, Proven
from takings.proof.verifier import Verifier

__all__ = ["Asked", "Part", "Progress", "Proof", "ProofBook", "Proven", "Verification", "Verifier", "verdict"]
