"""Models: a header that says what the SQL does, in both languages, and an order of need."""

from __future__ import annotations

from importlib import resources

import pytest
import sqlglot
from sqlglot import exp

from takings import catalog
from takings.answers.asking import filter_of, period_of
from takings.errors import Invalid
from takings.metrics import Registry
from takings.metrics.model import KNOWN_AT, LINE_COLUMNS, SPAN, BadModel, Model

CATALOG = catalog.load()
REGISTRY = Registry.load(CATALOG)

WELL = """/*
kind = "lines"
meaning.en = "Coupons."
meaning.fr = "Bons."
grain = ["id"]
needs = ["stripe.coupons"]

[measures.coupons]
title.en = "Coupons"
title.fr = "Bons"
meaning.en = "How many."
meaning.fr = "Combien."
sum = "flow"
source = "https://docs.stripe.com"
*/
SELECT c.id AS id FROM stripe.coupons AS c
"""


def test_a_model_is_read() -> None:
    model = Model.read("coupon_lines", WELL)
    assert (model.table, model.kind, model.grain, model.needs) == (
        "metrics.coupon_lines",
        "lines",
        ("id",),
        ("stripe.coupons",),
    )
    said = [(one.name, one.sum, one.unit, one.parts, one.utc) for one in model.measures]
    assert said == [("coupons", "flow", "money", (), False)]
    assert model.sql == "SELECT c.id AS id FROM stripe.coupons AS c"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("/*\n", "", "does not begin with a header"),
        ('kind = "lines"', "kind = lines", "no TOML"),
        ('kind = "lines"', 'kind = "table"', "its kind"),
        ('kind = "lines"', 'kind = "staging"', "lines and windows have measures"),
        ('kind = "lines"', 'kind = "windows"', "reads JOIN windows"),
        ("AS c\n", "AS c JOIN windows AS w ON true\n", "reads JOIN windows"),
        ('sum = "flow"', 'sum = "window"', "have window as their sum"),
        ('sum = "flow"', 'sum = "flow"\ntrailing = 12', "only measures of windows"),
        ('meaning.fr = "Bons."\n', "", "en and fr"),
        ('grain = ["id"]', "grain = []", "lacks grain"),
        ('needs = ["stripe.coupons"]', 'needs = ["stripe.charges"]', "reads"),
        ('sum = "flow"', 'sum = "average"', "its sum"),
        ('source = "https://docs.stripe.com"\n', "", "lacks source"),
        ('sum = "flow"', 'sum = "flow"\nunit = "kilos"', "its unit"),
    ],
)
def test_a_header_that_is_wrong_is_named(before: str, after: str, said: str) -> None:
    assert before in WELL
    with pytest.raises(BadModel, match=f"coupon_lines.*{said}"):
        Model.read("coupon_lines", WELL.replace(before, after, 1))


def test_what_is_needed_must_be_there_and_circles_are_refused() -> None:
    model = Model.read("one", WELL)
    with pytest.raises(BadModel, match="another figure"):
        Registry([model, Model.read("two", WELL)], CATALOG)
    with pytest.raises(BadModel, match="not there"):
        Registry([Model.read("one", WELL.replace("stripe.coupons", "stripe.no_such"))], CATALOG)
    circle = WELL.replace("stripe.coupons", "metrics.one")
    with pytest.raises(BadModel, match="needs itself"):
        _ = Registry([Model.read("one", circle)], CATALOG).ordered


DERIVED = """
[derived.half]
title.en = "Half"
title.fr = "Moitié"
meaning.en = "Half of it."
meaning.fr = "La moitié."
unit = "number"
over = "coupons"
under = "coupons"
flip = true
under_at = "start"
source = "https://docs.stripe.com"
*/"""


def test_what_is_derived_comes_from_measures() -> None:
    text = WELL.replace("\n*/", "\n" + DERIVED)
    registry = Registry([Model.read("one", text)], CATALOG)
    half = registry.derived["half"]
    assert (half.over, half.under, half.times, half.under_at) == ("coupons", "coupons", -1, "start")
    assert registry.behind("half") == (registry.measures["coupons"],) == registry.behind("coupons")
    with pytest.raises(Invalid, match="made of coupons"):
        registry.measure("half")
    for before, after, said in (
        ('over = "coupons"', 'over = "nothing"', "from nothing, which is not there"),
        ('over = "coupons"', 'over = "half"', "derived from itself"),
        ("[derived.half]", "[derived.coupons]", "another figure is called coupons"),
        ('unit = "number"', 'unit = "kilos"', "its unit"),
        ('under_at = "start"', 'under_at = "noon"', "under_at"),
    ):
        assert before in text
        with pytest.raises(BadModel, match=said):
            Registry([Model.read("one", text.replace(before, after))], CATALOG)


def test_each_model_stands_after_those_it_needs() -> None:
    seen: set[str] = set()
    for model in REGISTRY.ordered:
        assert {need for need in model.needs if need.startswith("metrics.")} <= seen
        seen.add(model.table)
    folder = resources.files("takings.metrics").joinpath("models")
    assert len(seen) == sum(file.name.endswith(".sql") for file in folder.iterdir())


@pytest.mark.parametrize("model", REGISTRY.ordered, ids=lambda model: model.name)
def test_the_sql_gives_the_columns_the_header_speaks_of(model: Model) -> None:
    tree = sqlglot.parse_one(model.sql, read="duckdb")
    assert isinstance(tree, exp.Query)
    names = set(tree.named_selects)
    wanted = {*model.grain, *model.dimensions}
    if model.kind == "staging":  # one may pass on all that another query gives
        assert wanted <= names or "*" in names
    else:
        # An invoice's due day is what its age counts from; it is no cut.
        further = {*SPAN} if model.spread else {"due_at"} if model.name == "receivable_lines" else set()
        further |= {KNOWN_AT} if model.kind == "windows" else set()
        assert {*LINE_COLUMNS, *model.dimensions, *further} == names and wanted <= names
        assert not model.parameters, "what depends on a setting is settled in staging"


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026", "2026-01-01", "2027-01-01"),
        ("2026-12", "2026-12-01", "2027-01-01"),
        ("2024-02", "2024-02-01", "2024-03-01"),
        ("2026-10-31", "2026-10-31", "2026-11-01"),
        ("2026-10-05..2026-10-08", "2026-10-05", "2026-10-08"),
    ],
)
def test_periods_are_half_open(text: str, start: str, end: str) -> None:
    assert tuple(day.isoformat() for day in period_of(text)) == (start, end)


@pytest.mark.parametrize("text", ["", "26", "2026-13", "9999", "2026-10-08..2026-10-05", "2026-10..2026-11", "today"])
def test_what_is_no_period_is_said(text: str) -> None:
    with pytest.raises(Invalid, match="is no period"):
        period_of(text)


def test_a_condition_has_a_name_and_a_value() -> None:
    assert filter_of("country=FR") == ("country", "FR")
    assert filter_of("part=a=b") == ("part", "a=b")
    for wrong in ("", "country", "=FR", "country="):
        with pytest.raises(Invalid):
            filter_of(wrong)
