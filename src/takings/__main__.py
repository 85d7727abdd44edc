"""Run the command line as ``python -m takings``."""

import sys

from takings.cli import main

sys.exit(main())
