"""What Stripe has: every list, object and field, generated from the source of Stripe's official SDK; no I/O but reading it.

``load()`` gives the catalogue, ``describe()`` Stripe's own words for a resource's fields, read from the installed SDK.
``python -m takings.catalog.generate`` makes the data file anew.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import msgspec

from takings.catalog.model import Catalog, Field, Kind, ListEndpoint, NestedList, Resource
from takings.catalog.source import Sdk, installed, plain

__all__ = ["Catalog", "Field", "Kind", "ListEndpoint", "NestedList", "Resource", "describe", "load", "summary"]

#: The committed data file.
DATA = Path(__file__).with_name("catalog.json")


@lru_cache(maxsize=1)
def load() -> Catalog:
    """Return the catalogue of the pinned SDK; read once a process."""
    return msgspec.json.decode(DATA.read_bytes(), type=Catalog)


@lru_cache(maxsize=1)
def _sdk() -> Sdk | None:
    try:
        return Sdk(installed())
    except FileNotFoundError:
        return None


@lru_cache(maxsize=512)
def _descriptions(classes: tuple[str, ...]) -> dict[str, str]:
    sdk = _sdk()
    found: dict[str, str] = {}
    for dotted in classes:
        try:
            described = sdk.cls(dotted) if sdk else None
        except (OSError, SyntaxError, UnicodeDecodeError):
            described = None
        for attribute in described.attributes.values() if described else ():
            if attribute.doc:
                found.setdefault(attribute.name, plain(attribute.doc))
    return found


def describe(resource: Resource) -> dict[str, str]:
    """Return Stripe's description of each top-level field, as plain text on one line.

    Read from the installed SDK's source at run time (some tens of milliseconds for a large class, then kept): Stripe's
    sentences are in no file of ours.

    Returns:
        Field name to description. Fields that Stripe does not describe are left out; empty when the source of the SDK
        cannot be read.
    """
    return dict(_descriptions((resource.sdk, *resource.sdk_also)))


@lru_cache(maxsize=512)
def summary(resource: Resource) -> str:
    """Return what Stripe says the object is, the first paragraph as plain text; empty when it cannot be read."""
    sdk = _sdk()
    try:
        described = sdk.cls(resource.sdk) if sdk else None
    except (OSError, SyntaxError, UnicodeDecodeError):
        return ""
    return plain(described.doc.split("\n\n")[0]) if described else ""
