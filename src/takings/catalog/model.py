"""The shapes of the catalogue: what lists Stripe has, what objects they give, and what each field is."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal[
    "id", "string", "enum", "integer", "amount", "decimal", "float", "boolean", "timestamp", "currency", "json", "list"
]


class Field(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One top-level field of an object, or a named path inside one.

    ``kind`` says how it is typed: ``id`` (a Stripe id, perhaps ``expandable``), ``amount`` (integer minor units of the
    currency at ``currency``), ``decimal`` (a decimal string), ``timestamp`` (Unix seconds), ``json`` (a nested object or
    array of them), ``list`` (an embedded Stripe list object ``{object: "list", data, has_more, url}``).
    """

    name: str
    kind: Kind
    nullable: bool = False
    #: Objects that an ``id`` points to; more than one where Stripe allows several.
    target: tuple[str, ...] = ()
    #: True where Stripe can replace the id by the object itself (``expand[]``).
    expandable: bool = False
    #: For ``amount``: dotted path of the field that holds its currency, counted from the top of the object; or a
    #: fixed word: ``key`` (the mapping's key is the currency), ``account`` (the account's default currency).
    currency: str | None = None
    #: Values known when the catalogue was made; Stripe may add more when ``open`` is true.
    values: tuple[str, ...] = ()
    open: bool = False


class NestedList(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A list inside an object, cut by Stripe at about ten rows."""

    #: Field of the parent that holds it, such as ``lines``.
    field: str
    #: Object type of its rows, such as ``line_item``.
    object: str
    #: Table its rows go to.
    table: str
    #: True where it is there without asking; false where it comes only with ``expand[]``.
    always: bool
    #: Path template of the endpoint that lists it whole, such as ``/v1/invoices/{invoice}/lines``; None when there is none.
    path: str | None = None
    #: True where listing the parents with ``expand[]=data.<field>`` is how we get it (cheaper than one request a parent).
    expand: bool = False


class Resource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A kind of Stripe object with an id, and the table it goes to."""

    #: Stripe's word in the ``object`` field, such as ``charge``.
    object: str
    #: Table name in schema ``stripe``, plural: ``charges``.
    table: str
    #: Class in the official SDK, dotted path under ``stripe``: where descriptions are read from at run time.
    sdk: str
    fields: tuple[Field, ...]
    nested: tuple[NestedList, ...] = ()
    #: True where Stripe can delete it (then the API answers ``deleted: true`` or 404).
    deletable: bool = False
    #: Event types that tell of it, such as ``charge.succeeded``.
    events: tuple[str, ...] = ()
    #: True where an ``….updated`` event exists for it.
    updated_event: bool = False
    #: True where ``created`` exists and never changes (so it can bound a merge).
    created: bool = False


class ListEndpoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One GET endpoint that lists objects."""

    #: Path, with ``{parent}`` placeholders for nested ones: ``/v1/charges``, ``/v1/customers/{customer}/tax_ids``.
    path: str
    api: Literal["v1", "v2"] = "v1"
    #: Object type of its rows.
    object: str
    #: Table its rows go to (key of :class:`Resource`).
    table: str
    #: True where the endpoint accepts ``created[gte]`` and its kin.
    created_filter: bool = False
    #: Placeholders and required query parameters, each with the table whose ids fill it: ``{"customer": "customers"}``.
    path_parents: dict[str, str] = {}
    query_parents: dict[str, str] = {}
    #: Required query parameters that are no ids, each with the values to go through.
    query_fixed: dict[str, tuple[str, ...]] = {}
    #: Parameter sets that together lift default filters: ``({"active": "true"}, {"active": "false"})``;
    #: one empty set where nothing is hidden.
    variants: tuple[dict[str, str], ...] = ({},)
    #: What stays hidden even so, in a sentence; empty where nothing does.
    hides: str = ""
    #: All query parameters the endpoint knows.
    parameters: tuple[str, ...] = ()
    #: True where it belongs to payments and billing and is read by default; false for those read only on request.
    default: bool = True
    #: The restricted-key permission that opens it, as Stripe's dashboard names it, where known.
    permission: str | None = None


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """Everything Stripe has, as of one version of its official SDK."""

    sdk_version: str
    api_version: str
    resources: dict[str, Resource]
    lists: tuple[ListEndpoint, ...]
