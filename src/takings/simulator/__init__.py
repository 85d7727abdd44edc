"""A Stripe of our own for the demo and the tests: an independent witness that knows nothing of our client."""

from takings.simulator.fingerprint import fingerprint
from takings.simulator.options import Options
from takings.simulator.process import Simulator

__all__ = ["Options", "Simulator", "fingerprint"]
