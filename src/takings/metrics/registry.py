"""Every model there is, checked against the catalogue and put in the order of need."""

from __future__ import annotations

import re
from functools import cached_property
from importlib import resources
from typing import Final, Self

from takings.catalog import Catalog
from takings.errors import Invalid, NotFound
from takings.metrics.model import BadModel, Derived, Measure, Model
from takings.warehouse.tables import BRIDGE

_STATES_OF: Final = re.compile(r"\bresource = '([a-z_0-9]+)'")


class Registry:
    """Models, measures and what is derived from measures, by name.

    Args:
        models: In any order.
        catalog: What tables of Stripe there are.

    Raises:
        BadModel: A model needs what is not there, two figures share a name, or a figure is derived from what is not there.
    """

    def __init__(self, models: list[Model], catalog: Catalog) -> None:
        self._catalog = catalog
        self._by_name = {model.name: model for model in models}
        known = {f"stripe.{name}" for name in (*catalog.resources, BRIDGE.table)}
        known |= {model.table for model in models} | {"raw.versions"}
        for model in models:
            if missing := sorted(set(model.needs) - known):
                raise BadModel(f"{model.name}: it needs what is not there: {missing}")
        self.measures: dict[str, Measure] = {}
        self.derived: dict[str, Derived] = {}
        for model in models:
            figures: tuple[Measure | Derived, ...] = (*model.measures, *model.derived)
            for figure in figures:
                if figure.name in self.measures or figure.name in self.derived:
                    raise BadModel(f"{model.name}: another figure is called {figure.name}")
                if isinstance(figure, Measure):
                    self.measures[figure.name] = figure
                else:
                    self.derived[figure.name] = figure
        for name in self.derived:
            self._check(name, ())

    @classmethod
    def load(cls, catalog: Catalog) -> Self:
        """Read every file under ``models/``.

        Raises:
            BadModel: See :class:`Model` and :class:`Registry`.
        """
        folder = resources.files("takings.metrics").joinpath("models")
        files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
        return cls([Model.read(file.name.removesuffix(".sql"), file.read_text("utf-8")) for file in files], catalog)

    def only(self, *names: str) -> Registry:
        """Return a registry of some models and all that they need.

        Args:
            names: Of models that are known to be there.
        """
        wanted: dict[str, Model] = {}

        def want(model: Model) -> None:
            wanted[model.name] = model
            for need in self.needed(model):
                want(need)

        for name in names:
            want(self._by_name[name])
        return Registry(list(wanted.values()), self._catalog)

    @cached_property
    def ordered(self) -> tuple[Model, ...]:
        """Every model after those it needs.

        Raises:
            BadModel: Models need each other in a circle.
        """
        done: dict[str, Model] = {}

        def visit(model: Model, road: tuple[str, ...]) -> None:
            if model.name in road:
                raise BadModel(f"{model.name}: it needs itself, by way of {' → '.join(road)}")
            if model.name not in done:
                for need in model.needs:
                    schema, _, name = need.partition(".")
                    if schema == "metrics":
                        visit(self._by_name[name], (*road, model.name))
                done[model.name] = model

        for name in sorted(self._by_name):
            visit(self._by_name[name], ())
        return tuple(done.values())

    def model(self, name: str) -> Model:
        """Return a model that is known to be there."""
        return self._by_name[name]

    def needed(self, model: Model) -> tuple[Model, ...]:
        """Return the models that a model reads."""
        names = (need.partition(".") for need in model.needs)
        return tuple(self._by_name[name] for schema, _, name in names if schema == "metrics")

    def filled(self, model: Model) -> tuple[Model, ...]:
        """Return the models whose tables hold what a model's lines are read from: itself, or those that windows are made of."""
        if model.kind == "lines":
            return (model,)
        return tuple(one for need in self.needed(model) for one in self.filled(need))

    def sources(self, model: str) -> frozenset[str]:
        """Return the tables of Stripe that a model's lines come from, by name in schema ``stripe``."""
        found: set[str] = set()
        for need in self._by_name[model].needs:
            schema, _, name = need.partition(".")
            match schema:
                case "metrics":
                    found |= self.sources(name)
                case "stripe":
                    found.add(name)
                case _:
                    found |= set(_STATES_OF.findall(self._by_name[model].sql))
        return frozenset(found)

    def tables(self, model: str) -> frozenset[str]:
        """Return the qualified names of the tables that a model's lines come from, other than those of models.

        Of what was seen of Stripe's objects, only some kinds are read: ``raw.versions/subscriptions``.
        """
        found: set[str] = set()
        for need in self._by_name[model].needs:
            schema, _, name = need.partition(".")
            match schema:
                case "metrics":
                    found |= self.tables(name)
                case "stripe":
                    found.add(need)
                case _:
                    found |= {f"{need}/{one}" for one in _STATES_OF.findall(self._by_name[model].sql)}
        return frozenset(found)

    def takes(self, model: str, parameter: str) -> bool:
        """Tell whether a model's lines depend on a parameter, by way of others too."""
        one = self._by_name[model]
        return parameter in one.parameters or any(self.takes(need.name, parameter) for need in self.needed(one))

    def figure(self, name: str) -> Measure | Derived:
        """Return a measure or a derived figure.

        Raises:
            NotFound: There is none of that name; the sentence lists those there are.
        """
        found = self.measures.get(name) or self.derived.get(name)
        if found is None:
            names = ", ".join(sorted((*self.measures, *self.derived)))
            raise NotFound(
                "metrics.unknown", f"There is no metric called “{name}”. There are: {names}.", name=name, names=names
            )
        return found

    def measure(self, name: str) -> Measure:
        """Return a measure.

        Raises:
            NotFound: There is none of that name.
            Invalid: It is derived from others.
        """
        found = self.figure(name)
        if isinstance(found, Derived):
            made = ", ".join(one for one in (found.over, found.under) if one)
            said = f"“{name}” is no sum of lines: it is made of {made}. Ask for these."
            raise Invalid("metrics.derived", said, name=name, made=made)
        return found

    def behind(self, name: str) -> tuple[Measure, ...]:
        """Return the measures that a figure comes from: itself, or all below it, those over the line first.

        Raises:
            NotFound: There is no such figure.
        """
        found = self.figure(name)
        if isinstance(found, Measure):
            return (found,)
        below = (one for part in (found.over, found.under) if part for one in self.behind(part))
        return tuple(dict.fromkeys(below))

    def cuts(self, name: str) -> tuple[str, ...]:
        """Return what a figure may be cut by and filtered on.

        Raises:
            NotFound: There is no such figure.
        """
        models = [self.model(one.model) for one in self.behind(name)]
        own = models[0].dimensions
        if isinstance(self.figure(name), Derived):
            return ("account", *(cut for cut in own if all(cut in model.dimensions for model in models)))
        return ("account", "part", *own)

    def _check(self, name: str, road: tuple[str, ...]) -> None:
        if name in road:
            raise BadModel(f"{name}: it is derived from itself")
        for part in (self.derived[name].over, self.derived[name].under):
            if part in self.derived:
                self._check(part, (*road, name))
            elif part is not None and part not in self.measures:
                raise BadModel(f"{name}: it is derived from {part}, which is not there")
