# What is done often, one recipe each. `just` alone lists them.

set shell := ["bash", "-euo", "pipefail", "-c"]

_list:
    @just --list

# Start the product with the demo company.
demo *arguments:
    uv run takings demo {{arguments}}

# Run tests, on every core where a folder is asked for; arguments go to pytest.
test *arguments:
    uv run pytest {{arguments}}

# Run the tests that need neither files nor processes.
unit *arguments:
    uv run pytest tests/unit {{arguments}}

# Look for mistakes of style and form.
lint:
    uv run ruff check
    uv run ruff format --check

# Put the code into its form.
format:
    uv run ruff format
    uv run ruff check --fix

# Check the types.
types:
    uv run mypy

# Make the catalogue of Stripe's lists and fields anew from the installed SDK.
catalog:
    uv run python -m takings.catalog.generate
    uv run python -m takings.warehouse.sigma.generate

# Write the generated tables of the manual anew.
manual:
    uv run python -m takings.help

# Measure a first load against the simulator.
bench *arguments:
    uv run python benchmarks/backfill.py {{arguments}}

# What the continuous integration runs.
ci:
    .ci/run
