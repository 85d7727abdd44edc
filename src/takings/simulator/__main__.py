"""``python -m takings.simulator``: a simulated Stripe on a loopback port."""

from __future__ import annotations

import sys

from takings.errors import TakingsError
from takings.simulator.options import parse
from takings.simulator.server import serve


def main() -> int:
    """Serve until stopped; return the exit code."""
    try:
        serve(parse(sys.argv[1:]))
    except TakingsError as problem:
        print(problem.sentence, file=sys.stderr)
        return problem.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
