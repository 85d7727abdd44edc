"""Dashboards are data: what they name is there, or nothing starts."""

from __future__ import annotations

from typing import Any

import pytest

from takings import catalog
from takings.metrics import Registry
from takings.reports import BadDashboard, Dashboard, load_dashboards

REGISTRY = Registry.load(catalog.load())

GOOD = """
position = 1
title = {en = "Title", fr = "Titre"}
intro = {en = "What it is.", fr = "Ce que c’est."}
empty = {en = "Why not.", fr = "Pourquoi pas."}
about = "gross_volume"
filters = ["country"]

[[sections]]
title = {en = "One", fr = "Un"}
tiles = ["gross_volume", {metric = "fee_rate", good = "down"}]

[[sections.charts]]
title = {en = "Chart", fr = "Graphique"}
metrics = ["gross_volume"]
by = "country"

[[sections.tables]]
title = {en = "Table", fr = "Table"}
by = "customer"
metrics = ["gross_volume", "fee_rate"]
"""


def test_those_that_ship_are_good_and_in_order() -> None:
    found = load_dashboards(REGISTRY)
    assert [one.position for one in found] == sorted(one.position for one in found)
    assert {"payments", "balance"} <= {one.name for one in found}
    for one in found:
        assert any(section.tiles for section in one.sections), one.name


def test_a_file_is_read() -> None:
    made = Dashboard.read("one", GOOD, REGISTRY)
    (section,) = made.sections
    assert made.metrics == ("gross_volume", "fee_rate")
    assert [(one.metric, one.good) for one in section.tiles] == [("gross_volume", "up"), ("fee_rate", "down")]
    assert (section.charts[0].shape, section.charts[0].stacked) == ("bar", True)
    assert section.tables[0].top == 10


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('about = "gross_volume"', 'about = "mrr_of_mars"', "no figure called mrr_of_mars"),
        ('tiles = ["gross_volume"', 'tiles = ["nothing"', "no figure called nothing"),
        ('by = "country"', 'by = "moon"', "gross_volume cannot be cut by moon"),
        ('by = "customer"', 'by = "part"', "fee_rate cannot be cut by part"),
        ('filters = ["country"]', 'filters = ["moon"]', "can be filtered by moon"),
        ('good = "down"', 'good = "sideways"', "good is 'sideways'"),
        ('metrics = ["gross_volume"]\nby', 'metrics = ["gross_volume", "fee_rate"]\nby', "several units"),
        ('metrics = ["gross_volume"]\nby', 'metrics = ["gross_volume", "fees"]\nby', "that is cut has one figure"),
        ('metrics = ["gross_volume"]\nby', 'metrics = ["fee_rate"]\nstacked = true\nby', "is not stacked"),
        ('title = {en = "Title", fr = "Titre"}', 'title = {en = "Title"}', "title is wanted in en and fr"),
        ("position = 1", "position = 1\ncolour = 3", "which mean nothing"),
        ('metrics = ["gross_volume", "fee_rate"]', 'metrics = ["gross_volume"]\ntop = 5000', "shows 1 to 50 rows"),
        ("position = 1", "position =", "no TOML"),
    ],
)
def test_what_is_wrong_is_said(before: str, after: str, said: str) -> None:
    assert before in GOOD
    with pytest.raises(BadDashboard, match=said):
        Dashboard.read("one", GOOD.replace(before, after, 1), REGISTRY)


def test_two_cannot_have_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = load_dashboards(REGISTRY)[0]

    def read(cls: Any, name: str, text: str, registry: Registry) -> Dashboard:
        return ready

    monkeypatch.setattr(Dashboard, "read", classmethod(read))
    with pytest.raises(BadDashboard, match="same position"):
        load_dashboards(REGISTRY)
