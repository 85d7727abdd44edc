"""Every model there is, checked against the catalogue and put in the order of need."""

from __future__ import annotations

from functools import cached_property
from importlib import resources
from typing import Self

from takings.catalog import Catalog
from takings.errors import NotFound
from takings.metrics.model import BadModel, Measure, Model
from takings.warehouse.tables import BRIDGE


class Registry:
    """Models and measures by name.

    Args:
        models: In any order.
        catalog: What tables of Stripe there are.

    Raises:
        BadModel: A model needs what is not there, two need each other, or two measures share a name.
    """

    def __init__(self, models: list[Model], catalog: Catalog) -> None:
        self._by_name = {model.name: model for model in models}
        known = {f"stripe.{name}" for name in (*catalog.resources, BRIDGE.table)}
        known |= {model.table for model in models}
        for model in models:
            if missing := sorted(set(model.needs) - known):
                raise BadModel(f"{model.name}: it needs what is not there: {missing}")
        self.measures: dict[str, Measure] = {}
        for model in models:
            for measure in model.measures:
                if measure.name in self.measures:
                    raise BadModel(f"{model.name}: another model has a measure {measure.name}")
                self.measures[measure.name] = measure

    @classmethod
    def load(cls, catalog: Catalog) -> Self:
        """Read every file under ``models/``.

        Raises:
            BadModel: See :class:`Model` and :class:`Registry`.
        """
        folder = resources.files("takings.metrics").joinpath("models")
        files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
        return cls([Model.read(file.name.removesuffix(".sql"), file.read_text("utf-8")) for file in files], catalog)

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

    def sources(self, model: str) -> frozenset[str]:
        """Return the tables of Stripe that a model's lines come from, by name in schema ``stripe``."""
        found: set[str] = set()
        for need in self._by_name[model].needs:
            schema, _, name = need.partition(".")
            found |= self.sources(name) if schema == "metrics" else {name}
        return frozenset(found)

    def measure(self, name: str) -> Measure:
        """Return a measure.

        Raises:
            NotFound: There is none of that name; the sentence lists those there are.
        """
        found = self.measures.get(name)
        if found is None:
            names = ", ".join(sorted(self.measures))
            raise NotFound(
                "metrics.unknown", f"There is no metric called “{name}”. There are: {names}.", name=name, names=names
            )
        return found
