"""The shapes of the catalogue: what lists Stripe has, what objects they give, and what each field is."""

from __future__ import annotations

from functools import cached_property
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
    #: fixed word: ``key`` (the mapping's key is the currency), ``account`` (the account's default currency),
    #: ``parent`` (the ``currency`` of the row's parent), ``linked`` (that of an object linked beside it), ``=aud``
    #: (always that one).
    currency: str | None = None
    #: Values known when the catalogue was made; Stripe may add more when ``open`` is true.
    values: tuple[str, ...] = ()
    open: bool = False
    #: True where a timestamp comes as RFC 3339 text or an integer as decimal text (v2); false: Unix seconds, JSON number.
    text: bool = False


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
    #: Field that a list's ``created`` filter and order speak of: ``created``, for ``invoiceitems`` ``date``; None when
    #: the object does not say when it was made.
    created_field: str | None = None
    api: Literal["v1", "v2"] = "v1"
    #: Object types of its rows where there are several (a customer's sources are cards, bank accounts, sources…);
    #: empty where ``object`` is the only one. Its fields are then those of all of them.
    objects: tuple[str, ...] = ()
    #: Classes in the SDK of the further object types.
    sdk_also: tuple[str, ...] = ()
    #: Fields that name a row within an account and mode: empty for what there is one of (``balance``); for objects
    #: without an id of their own, what names them instead.
    key: tuple[str, ...] = ("id",)
    #: Times, amounts, decimals, currencies and ids inside nested objects, by dotted path from the top: ``[]`` stands
    #: for the elements of an array, ``*`` for the keys of a mapping: ``fee_details[].amount``,
    #: ``currency_options.*.unit_amount``.
    inner: tuple[Field, ...] = ()
    #: Fields that are whole only when asked for with ``expand[]``, and are asked for while listing, dotted: ``tiers``,
    #: ``items.data.discounts``.
    expand: tuple[str, ...] = ()

    def field(self, name: str) -> Field | None:
        """Return a field by its name, or one inside nested objects by its dotted path; None when it is not known.

        ``[]`` and ``*`` may be left out of the path; a mapping's key stands for ``*``.
        """
        for known in self.fields:
            if known.name == name:
                return known
        if "." not in name:
            return None
        wanted = name.replace("[]", "").split(".")
        for known in self.inner:
            parts = known.name.replace("[]", "").split(".")
            if len(parts) == len(wanted) and all(part in ("*", want) for part, want in zip(parts, wanted, strict=True)):
                return known
        return None


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
    #: Placeholders and required query parameters, each with the table whose ids fill it: ``{"customer": "customers"}``;
    #: where it is not the id, ``table.field``.
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
    #: True where it is read by default: lists that need nothing filled in, and those that complete a nested list (they
    #: are asked only for what the parent's embedded or expanded list leaves out). False for those that would cost a
    #: request for each parent: read only on request.
    default: bool = True
    #: The restricted-key permission that opens it, as Stripe's dashboard names it, where known.
    permission: str | None = None
    #: The same permission as Stripe's API and App manifests name it, such as ``charge_read`` (``rak_charge_read`` in
    #: the message of a 403 and in the link that makes a restricted key), where known.
    scope: str | None = None
    #: Object types of its rows where there are several; empty where ``object`` is the only one.
    objects: tuple[str, ...] = ()
    #: Required pair of query parameters that bound a time range in Unix seconds (from, inclusive; to, exclusive).
    window: tuple[str, ...] = ()
    #: True where the rows are worked out for the request and stored nowhere (a preview): nothing to replicate.
    computed: bool = False

    @property
    def needs(self) -> dict[str, str]:
        """What has to be filled in with ids, in the path or the query, each with the table (or ``table.field``)."""
        return {**self.path_parents, **self.query_parents}

    @property
    def top_level(self) -> bool:
        """True where its path needs no parent (it may still need a query parameter: see ``needs``)."""
        return "{" not in self.path


class Catalog(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Everything Stripe has, as of one version of its official SDK."""

    sdk_version: str
    api_version: str
    #: By table name, in alphabetical order.
    resources: dict[str, Resource]
    lists: tuple[ListEndpoint, ...]

    @cached_property
    def _by_object(self) -> dict[str, Resource | None]:
        # A preview's rows (computed) are of the same type as the real ones, which are meant.
        previews = {known.table for known in self.lists if known.computed}
        found: dict[str, Resource | None] = {}
        shared: dict[str, Resource | None] = {}
        for resource in self.resources.values():
            if resource.table in previews:
                continue
            for name in resource.objects or (resource.object,):
                index = shared if resource.objects else found
                index[name] = None if name in index else resource
        return {**shared, **found}

    @cached_property
    def _by_event(self) -> dict[str, Resource]:
        return {event: resource for resource in self.resources.values() for event in resource.events}

    @cached_property
    def _by_path(self) -> dict[str, ListEndpoint]:
        return {known.path: known for known in self.lists}

    def by_object(self, name: str) -> Resource | None:
        """Return the resource of a Stripe object type; None when none or several tables hold it (``item``, ``card``)."""
        return self._by_object.get(name)

    def by_event(self, event_type: str) -> Resource | None:
        """Return the resource whose object an event carries, by the event's ``type``; None when it is not known."""
        return self._by_event.get(event_type)

    def endpoint(self, path: str) -> ListEndpoint:
        """Return a list by its path template.

        Raises:
            KeyError: Stripe has no such list.
        """
        return self._by_path[path]

    def top_level(self) -> tuple[ListEndpoint, ...]:
        """Return the lists that need no parent in their path, v1 and v2."""
        return tuple(known for known in self.lists if known.top_level)

    def nested(self) -> tuple[ListEndpoint, ...]:
        """Return the lists under a parent, v1 and v2."""
        return tuple(known for known in self.lists if not known.top_level)

    def for_table(self, table: str) -> tuple[ListEndpoint, ...]:
        """Return the lists whose rows go to a table."""
        return tuple(known for known in self.lists if known.table == table)

    def field_at(self, resource: Resource, path: str) -> Field | None:
        """Return the field at a dotted path of a resource, as :meth:`Resource.field` does."""
        return resource.field(path)
