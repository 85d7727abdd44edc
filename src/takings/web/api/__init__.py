"""The HTTP API under ``/api/v1``: what the command line answers, for programs that bear a person's token."""
