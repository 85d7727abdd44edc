"""Dashboards, the explanation of each figure and their files, over HTTP and in a browser, on the simulated company."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from openpyxl import load_workbook

from takings import catalog
from takings.accounts import Person
from takings.answers.explanation import explain as explained
from takings.errors import Invalid, Misconfigured
from takings.metrics import Question, Registry, explaining, policies
from takings.metrics.recurring import MOVEMENTS
from takings.reports import load_dashboards
from takings.simulator import Simulator

from .conftest import PASSWORD, Look, Site, as_json, csrf_of

BOARDS = {one.name: one for one in load_dashboards(Registry.load(catalog.load()))}
DAYS = "from=2025-11-01&to=2026-10-31"
CURRENCIES = ("eur", "usd")


@pytest.fixture(scope="module")
def company(make_site: Callable[..., Site], simulator: Simulator, load: Callable[[Path], Path]) -> Site:
    """A product with the company in it, and its figures."""
    stripe = {name.removeprefix("TAKINGS_").lower(): value for name, value in simulator.environ().items()}
    site = make_site(load, **stripe)
    site.administrator()
    return site


@pytest.fixture(scope="module")
def owner(company: Site) -> Person:
    return company.app.people.authenticate("ada@example.com", PASSWORD)


@pytest.fixture(scope="module")
def client(company: Site, owner: Person) -> Iterator[httpx2.Client]:
    with company.client(owner) as opened:
        yield opened


@pytest.fixture(scope="module")
def built(company: Site, client: httpx2.Client) -> Site:
    """The same, once its figures are made; before that the pages say that they are not."""
    assert as_json(client, "/dashboards/payments")["state"] == "unbuilt"
    explained = as_json(client, "/explain?metric=gross_volume")
    assert explained["unbuilt"] and explained["sides"] == []
    company.app.builder.build("Europe/Paris")
    return company


def rows_of(client: httpx2.Client, href: str) -> list[dict[str, str]]:
    answer = client.get(href)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


def summed(client: httpx2.Client, side: dict[str, Any]) -> int:
    """Return what all contributions of one side add up to, read from its file."""
    rows = rows_of(client, side["exports"]["csv"])
    assert len(rows) == side["lines"]
    return sum(int(row.get("amount_minor") or row["amount"]) for row in rows)


def explains(client: httpx2.Client, app: Any, metric: str, href: str, value: str | None) -> None:
    """Hold an explanation to the figure that leads to it: the same value, and contributions that add up to it."""
    page = as_json(client, href)
    assert Fraction(page["value"] or 0) == Fraction(value or 0), href
    for side in page["sides"]:
        assert summed(client, side) == side["amount"], href
        assert sum(one["amount"] for one in side["groups"]) == side["amount"] or side["left"], href
    figure = app.registry.figure(metric)
    if page["value"] is not None and len(page["sides"]) == 2 and figure.unit == "share":
        over, under = page["sides"]
        assert Fraction(page["value"]) == Fraction(over["amount"] * figure.times, under["amount"]), href


@pytest.mark.parametrize("currency", CURRENCIES)
@pytest.mark.parametrize("name", sorted(BOARDS))
def test_every_tile_is_what_its_contributions_add_up_to(
    built: Site, client: httpx2.Client, name: str, currency: str
) -> None:
    page = as_json(client, f"/dashboards/{name}?{DAYS}&grain=month&currency={currency}")
    assert page["state"] in ("shown", "empty")
    tiles = {tile["metric"]: tile for section in page["sections"] for tile in section["tiles"]}
    for metric, tile in tiles.items():
        explains(client, built.app, metric, tile["href"], tile["value"])
    if currency == "eur" and page["state"] == "shown":
        assert any(tile["value"] for tile in tiles.values())


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_every_table_adds_up_and_its_cells_are_explained(built: Site, client: httpx2.Client, name: str) -> None:
    page = as_json(client, f"/dashboards/{name}?{DAYS}&grain=month")
    for section in page["sections"]:
        for table in (one for one in section["tables"] if not one["heat"] and one["lines"]):
            *lines, total = table["lines"]
            for at, cell in enumerate(total["cells"]):
                metric = parse_qs(urlsplit(cell["href"]).query)["metric"][0]
                if metric in built.app.registry.measures:
                    assert sum(int(line["cells"][at]["value"] or 0) for line in lines) == int(cell["value"] or 0)
            first = lines[0]
            for cell in first["cells"][:2]:
                metric = parse_qs(urlsplit(cell["href"]).query)["metric"][0]
                explains(client, built.app, metric, cell["href"], cell["value"])
            filtered = as_json(client, first["href"])
            assert any(menu["active"] for menu in filtered["filters"])


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_every_chart_leads_to_what_its_points_are_made_of(built: Site, client: httpx2.Client, name: str) -> None:
    page = as_json(client, f"/dashboards/{name}?{DAYS}&grain=month")
    for section in page["sections"]:
        for card in (one for one in section["charts"] if one["chart"]):
            for series in card["chart"]["series"]:
                leads = [(href, value) for href, value in zip(series["hrefs"], series["values"], strict=False) if href]
                for href, value in leads[-1:]:
                    explained = as_json(client, href)
                    exact = Fraction(explained["value"] or 0)
                    if card["chart"]["unit"] == "percent" or isinstance(value, float):
                        assert float(exact) == pytest.approx(value)
                    else:
                        assert round(exact) == value, href


def test_what_is_compared_is_the_time_before(built: Site, client: httpx2.Client) -> None:
    page = as_json(client, "/dashboards/payments?from=2026-10-01&to=2026-10-31")
    before = as_json(client, "/dashboards/payments?from=2026-09-01&to=2026-09-30")
    now, then = (one["sections"][0]["tiles"][0] for one in (page, before))
    assert then["text"] in now["before"]
    share = (Fraction(now["value"]) - Fraction(then["value"])) / Fraction(then["value"])
    assert now["delta"] == ("+" if share > 0 else "−") + f"{abs(float(share)) * 100:.1f}%"
    alone = as_json(client, "/dashboards/payments?from=2026-10-01&to=2026-10-31&compare=none")
    assert alone["sections"][0]["tiles"][0]["delta"] is None


def test_filters_cut_every_figure_and_say_where_they_cannot(built: Site, client: httpx2.Client) -> None:
    everything = as_json(client, f"/dashboards/payments?{DAYS}")
    methods = next(menu for menu in everything["filters"] if menu["cut"] == "payment_method")["choices"]
    parts = [as_json(client, choice["href"]) for choice in methods if choice["href"] != methods[0]["href"]]
    whole = int(everything["sections"][0]["tiles"][0]["value"])
    assert sum(int(part["sections"][0]["tiles"][0]["value"] or 0) for part in parts) == whole > 0
    odd = as_json(client, f"/dashboards/payments?{DAYS}&f_part=charge")
    rates = [tile for section in odd["sections"] for tile in section["tiles"] if tile["metric"] == "fee_rate"]
    assert [(tile["value"], bool(tile["note"])) for tile in rates] == [(None, True)]
    assert as_json(client, f"/dashboards/payments?{DAYS}&f_moon=x")["problems"]


def test_it_can_be_asked_as_it_was_known(built: Site, client: httpx2.Client) -> None:
    page = as_json(client, f"/dashboards/payments?{DAYS}&known=2020-01-01")
    assert page["state"] == "empty"  # nothing was known then
    assert as_json(client, f"/dashboards/payments?{DAYS}&known=2020-13-01")["problems"]
    explained = as_json(client, f"/explain?metric=gross_volume&{DAYS}&known=2020-01-01")
    assert explained["value"] == "0" and "2020-01-02" in explained["sides"][0]["sql"]


def test_an_explanation_says_what_it_speaks_of_and_pages_through_all_lines(built: Site, client: httpx2.Client) -> None:
    page = as_json(client, f"/explain?metric=gross_volume&{DAYS}&currency=eur")
    (side,) = page["sides"]
    assert page["source"].startswith("https://docs.stripe.com/") and not page["short"]
    assert {one["currency"] for one in page["sums"]} >= {"EUR", "USD"}
    sql = side["sql"].split(";")[0]
    asked = {row[0]: row[1] for row in built.app.warehouse.query(sql).rows}
    assert asked == {"eur": side["amount"]}
    seen, at = [], page
    while True:
        seen += at["sides"][0]["pieces"]
        if not at["sides"][0]["next"]:
            break
        at = as_json(client, at["sides"][0]["next"])
    assert len(seen) == side["lines"] and sum(one["amount"] for one in seen) == side["amount"]
    assert len({one["id"] for one in seen}) == len(seen)
    assert all(one["stripe"] for one in seen)
    row = as_json(client, seen[0]["href"])
    assert row["id"] == seen[0]["id"] and ("currency", "eur") in [tuple(field[:2]) for field in row["fields"]]
    assert client.get("/tables/charges/rows/ch_none").status_code == 404
    assert client.get("/explain?metric=nothing").status_code == 404


def test_a_figure_can_be_had_in_one_currency_and_says_what_is_not_in_it(built: Site, client: httpx2.Client) -> None:
    question = Question("payment_volume", date(2025, 11, 1), date(2026, 11, 1))
    rates = built.app.settings.home / "rates.csv"
    rates.write_text("date,from,to,rate\n" + "".join(f"2026-{month:02d}-15,usd,eur,0.9\n" for month in range(3, 11)))
    page = as_json(client, f"/explain?metric=payment_volume&{DAYS}&into=eur")
    conversion = page["conversion"]
    found = built.app.exchange.convert(built.app.figures, question, "eur")
    rates.unlink()
    assert (conversion["currency"], Fraction(conversion["total"])) == ("EUR", found.total)
    by = {one.currency: one for one in found.parts}
    assert by["usd"].converted == (by["usd"].value - by["usd"].lacking) * Fraction(9, 10) > 0
    assert by["usd"].days and any("$" in note and "rates.csv" in note for note in conversion["notes"])
    assert [one["current"] for one in conversion["choices"]].count(True) == 1
    plain = as_json(client, f"/explain?metric=payment_volume&{DAYS}")["conversion"]
    assert plain["currency"] == "" and len(plain["choices"]) == len(conversion["choices"]) > 2
    ratio = as_json(client, f"/explain?metric=fee_rate&{DAYS}&into=eur")["conversion"]
    assert ratio["choices"] == [] and "cannot be converted" in ratio["notes"][0]


def test_mrr_in_one_currency_says_how_it_became_so(built: Site, client: httpx2.Client) -> None:
    """A currency without some rate is left out of opening, movements and closing alike."""
    rates = built.app.settings.home / "rates.csv"
    days = ("2025-11-01", "2025-12-01", *(f"2026-{month:02d}-01" for month in range(1, 13)))
    lines = "".join(f"{day},usd,eur,{0.8 + n / 50:.2f}\n" for n, day in enumerate(days))
    rates.write_text("date,from,to,rate\n2025-10-25,usd,eur,0.75\n" + lines)
    asked = f"metric=mrr&{DAYS}"
    forward = as_json(client, f"/explain?{asked}&into=eur")["forward"]
    company = built.app.exchange.roll_forward(
        built.app.figures, Question("mrr", date(2025, 11, 1), date(2026, 11, 1)), MOVEMENTS, "eur"
    )
    text = client.get(f"/explain?{asked}&into=eur", headers={"accept": "text/html"}).text
    rates.unlink()
    amounts = company.rounded()
    assert "usd" in company.currencies and amounts["fx"] != 0 and company.left_out
    assert [label for label, _, _ in forward["lines"]][:: len(amounts) - 1] == ["Opening", "Closing"]
    assert len(forward["lines"]) == len(amounts) == 8 and forward["lines"][-2][0] == "Exchange rates"
    for (_, said, href), (name, amount) in zip(forward["lines"], amounts.items(), strict=True):
        assert said.replace("−", "-").replace(",", "").replace("€", "") == f"{amount / 100:.2f}", name
        assert (href is not None) is (name in MOVEMENTS)
        assert href is None or as_json(client, href)["metric"] == name
    assert "USD" in forward["notes"][0] and len(forward["notes"]) == 1 + len(company.left_out)
    assert "How it became so, in EUR" in text
    assert as_json(client, f"/explain?{asked}")["forward"] is None
    assert as_json(client, f"/explain?metric=arr&{DAYS}&into=eur")["forward"] is None


def test_cells_of_a_heat_map_lead_to_what_they_are_made_of(built: Site, client: httpx2.Client) -> None:
    page = as_json(client, f"/dashboards/retention?{DAYS}&grain=month")
    grids = [table for section in page["sections"] for table in section["tables"] if table["heat"]]
    assert len(grids) == 2
    for grid in grids:
        cells = [cell for line in grid["lines"] for cell in line["cells"] if cell["href"]]
        assert len(grid["lines"]) > 9 and len(cells) > 60  # a month may bring nobody
        for cell in cells[::17]:
            explained = as_json(client, cell["href"])
            assert Fraction(explained["value"] or 0) == Fraction(cell["value"]), cell


def test_two_policies_stand_side_by_side_and_mrr_is_held_against_another_derivation(
    built: Site, client: httpx2.Client
) -> None:
    plain = as_json(client, "/policies")
    assert [name for name, _ in plain["choices"]] == ["stripe", "chartmogul-like", "conservative"]
    assert plain["steps"] == [] and not plain["checked"] and not any(one["differs"] for one in plain["switches"])
    page = as_json(client, "/policies?policy=stripe&against=conservative&at=2026-10-31&check=1")
    first, *steps, last = page["steps"]
    assert len(steps) == sum(one["differs"] for one in page["switches"]) == 5
    for at in range(len(page["currencies"])):
        assert first["amounts"][at] + sum(one["amounts"][at] for one in steps) == last["amounts"][at]
    assert any(amount for one in steps for amount in one["amounts"])
    explained = as_json(client, "/explain?metric=mrr&from=2026-10-01&to=2026-10-31&currency=eur")
    assert int(explained["value"]) == first["amounts"][page["currencies"].index("EUR")]
    assert ("Policy", "stripe 1", "/policies") in [tuple(one.values()) for one in explained["facts"]]
    assert page["checked"] and page["differing"] == [] and page["problems"] == []
    engine = built.app.warehouse._engine
    sub = built.app.figures.answer(Question("mrr"), "subscription")[0].group
    with engine.session(write=True) as session:
        session.execute(f"UPDATE stripe.subscription_items SET quantity = quantity + 7 WHERE subscription = '{sub}'")
    try:
        (one,) = as_json(client, "/policies?check=1")["differing"]
        assert one["id"] == sub and one["changes"] != one["scanned"] and one["href"].endswith(sub)
    finally:
        with engine.session(write=True) as session:
            session.execute(
                f"UPDATE stripe.subscription_items SET quantity = quantity - 7 WHERE subscription = '{sub}'"
            )
    (built.app.settings.home / "policies.toml").write_text("[ours]\nversion = 3\npast_due = false\n")
    ours = as_json(client, "/policies?policy=ours&against=stripe")
    assert ours["labels"][-1] == "ours 3" and len(ours["steps"]) == 3
    (built.app.settings.home / "policies.toml").write_text("[ours]\nversion = 3\nnonsense = false\n")
    assert "nonsense" in as_json(client, "/policies")["problems"][0]
    (built.app.settings.home / "policies.toml").unlink()


def test_the_company_chooses_the_policy_of_its_figures(built: Site, client: httpx2.Client) -> None:
    """Figures, explanations and the API follow it once they are made anew, and say so until then."""
    app, month = built.app, "from=2026-10-01&to=2026-10-31&currency=eur"

    def choose(policy: str) -> None:
        page = client.get("/admin/company")
        form = as_json(client, "/admin/company")
        kept = {name: form[name] for name in ("name", "locale", "time_zone", "currency")}
        answer = client.post("/admin/company", data={**kept, "policy": policy, "_csrf": csrf_of(page.text)})
        assert answer.status_code == 303 and "Figures are being made anew" in client.get("/admin/company").text

    def mrr() -> int:
        page = as_json(client, f"/dashboards/recurring?{month}")
        tiles = [tile for section in page["sections"] for tile in section["tiles"] if tile["metric"] == "mrr"]
        return int(tiles[0]["value"])

    falls = as_json(client, "/policies?policy=stripe&against=conservative&at=2026-10-31")
    first, last = (falls["steps"][at]["amounts"][falls["currencies"].index("EUR")] for at in (0, -1))
    assert mrr() == first != last
    choose("conservative")
    try:
        page = as_json(client, f"/dashboards/recurring?{month}")
        assert "conservative 2" in page["policy"]["label"] and "until then" in page["policy"]["label"]
        assert mrr() == first
        asked = Question("mrr", end=date(2026, 11, 1), currency="eur")
        with app.recurring.under(policies.BUILT_IN["conservative"], "Europe/Paris") as figures:
            assert [one.amount for one in figures.answer(asked)] == [last]  # worked out: what is kept is not yet of it
        app.builder.build("Europe/Paris")
        page = as_json(client, f"/dashboards/recurring?{month}")
        assert page["policy"]["label"].startswith("Policy conservative 2: compare") and mrr() == last
        tile = next(tile for section in page["sections"] for tile in section["tiles"] if tile["metric"] == "mrr")
        explains(client, app, "mrr", tile["href"], tile["value"])
        facts = [tuple(one.values()) for one in as_json(client, tile["href"])["facts"]]
        assert ("Policy", "conservative 2", "/policies") in facts and as_json(client, "/policies")[
            "kept"
        ] == "conservative 2"
        with app.recurring.under(policies.DEFAULT, "Europe/Paris") as figures:
            assert [one.amount for one in figures.answer(asked)] == [first]
        known = replace(asked, known=app.clock.now())
        assert explained(app, known).values[0].value == last and explained(app, known, under="conservative").policy
        with pytest.raises(Invalid, match="kept for the policy conservative only"):
            explained(app, known, under="stripe")
    finally:
        choose("stripe")
        app.builder.build("Europe/Paris")
    assert mrr() == first


def test_a_policy_that_is_gone_is_said_and_can_be_replaced(built: Site, client: httpx2.Client) -> None:
    own = built.app.settings.home / "policies.toml"
    own.write_text("[ours]\nversion = 1\n")
    form = as_json(client, "/admin/company")
    assert ["ours", "ours 1"] in form["policies"]
    kept = {name: form[name] for name in ("name", "locale", "time_zone", "currency")}
    token = csrf_of(client.get("/admin/company").text)
    assert client.post("/admin/company", data={**kept, "policy": "ours", "_csrf": token}).status_code == 303
    own.unlink()
    try:
        with pytest.raises(Misconfigured, match=r"“ours”, which is not in .*policies.toml any more"):
            built.app.builder.build("Europe/Paris")
        for path in ("/dashboards/recurring", "/explain?metric=mrr"):
            assert "“ours”" in as_json(client, path)["problems"][0], path
        page = client.get("/admin/company")
        assert page.status_code == 200 and '<option value="ours" selected' in page.text
        wrong = client.post("/admin/company", data={**kept, "policy": "theirs", "_csrf": csrf_of(page.text)})
        assert wrong.status_code == 422 and "There is no such policy" in wrong.text
    finally:
        client.post("/admin/company", data={**kept, "policy": "stripe", "_csrf": token})
    assert as_json(client, "/dashboards/recurring")["state"] == "shown"


def test_the_companys_settings_are_checked_kept_and_noted(built: Site, client: httpx2.Client, owner: Person) -> None:
    app = built.app
    form = as_json(client, "/admin/company")
    kept = {name: form[name] for name in ("name", "locale", "time_zone", "currency", "policy")}
    token = csrf_of(client.get("/admin/company").text)
    for wrong in ({"name": " "}, {"time_zone": "Mars/Base"}, {"currency": "euros"}, {"locale": "de"}):
        answer = client.post("/admin/company", data={**kept, **wrong, "_csrf": token})
        assert answer.status_code == 422, wrong
    assert as_json(client, "/admin/company") == form
    try:
        client.post("/admin/company", data={**kept, "name": "Aurore & Cie", "currency": "usd", "_csrf": token})
        assert "Aurore &amp; Cie" in client.get("/").text and app.zone() == kept["time_zone"]
        noted = app.audit.latest(1)[0]
        assert (noted.action, noted.subject, noted.details) == ("company.changed", "Aurore & Cie", {"currency": "usd"})
        assert app.firm.change(owner, **{**kept, "name": "Aurore & Cie", "currency": "usd"}) == ()
    finally:
        client.post("/admin/company", data={**kept, "_csrf": token})


def test_one_who_may_not_see_tables_gets_no_way_into_them(built: Site, owner: Person) -> None:
    reader = built.joined(owner, "read_only")
    with built.client(reader) as page:
        explained = as_json(page, f"/explain?metric=gross_volume&{DAYS}")
        assert explained["sides"][0]["pieces"] and not any(one["href"] for one in explained["sides"][0]["pieces"])
        assert page.get("/tables/charges/rows/ch_none").status_code == 403


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_everything_comes_as_a_file(built: Site, client: httpx2.Client, name: str) -> None:
    page = as_json(client, f"/dashboards/{name}?{DAYS}&grain=month")
    cards = [one for section in page["sections"] for one in section["charts"] + section["tables"] if one["files"]]
    for card in cards:
        forms = {href.split("?")[0].rsplit("/", 1)[1]: href for _, href in card["files"]["files"]}
        assert set(forms) == ({"csv", "excel", "png", "svg"} if "chart" in card else {"csv", "excel"})
        assert rows_of(client, forms["csv"])
    for card in [one for one in cards if "chart" in one][:1]:
        forms = {href.split("?")[0].rsplit("/", 1)[1]: href for _, href in card["files"]["files"]}
        svg, png = client.get(forms["svg"]), client.get(forms["png"])
        assert svg.headers["content-type"].startswith("image/svg+xml") and card["title"] in svg.text
        assert png.content.startswith(b"\x89PNG") and "attachment" in png.headers["content-disposition"]
    for card in cards[:1]:
        excel = next(href for _, href in card["files"]["files"] if "/excel?" in href)
        book = load_workbook(io.BytesIO(client.get(excel).content))
        assert book.worksheets[0].max_row > 1 and book["About"].max_row > 4
    assert client.get(f"/dashboards/{name}/c9-9/csv").status_code == 404
    assert client.get(f"/dashboards/{name}/c0-0/pdf?{DAYS}").status_code == 404


def test_a_product_without_an_account_says_what_to_do(site: Site, ada: Person) -> None:
    with site.client(ada) as nobody:
        assert as_json(nobody, "/dashboards/payments")["state"] == "connect"
        assert nobody.get("/dashboards/none").status_code == 404
        assert nobody.get("/explain?metric=gross_volume").status_code == 404
        assert nobody.get("/dashboards/payments/c0-0/png").status_code == 404
        assert len(as_json(nobody, "/dashboards")["entries"]) == len(BOARDS)


def test_what_reads_many_lines_comes_after_the_page(
    built: Site, client: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With as many lines as count as many: the page says where a table comes from, which comes once, and stays then."""
    monkeypatch.setattr(explaining, "FROM_LINES", 1)
    days = "from=2025-10-01&to=2026-09-30"
    before = as_json(client, f"/dashboards/payments?{days}")["sections"][-1]["tables"][0]["lines"]
    built.app.figures._listed.clear()
    page = client.get(f"/dashboards/payments?{days}").text
    (later,) = re.findall(r'hx-get="(/dashboard-tables/[^"]+)"', page)
    assert before[0]["label"] not in page.partition("<h2>Who pays most")[2]
    whole = client.get(html.unescape(re.findall(r'<noscript><p><a href="([^"]+)"', page)[0])).text
    assert "hx-get" not in whole and before[0]["cells"][0]["text"] in html.unescape(whole)
    built.app.figures._listed.clear()
    table = html.unescape(client.get(html.unescape(later)).text)
    assert all(line["label"] in table and line["cells"][0]["text"] in table for line in before)
    assert "<html" not in table
    assert "hx-get" not in client.get(f"/dashboards/payments?{days}").text
    assert client.get(html.unescape(later).replace("t3-0", "t9-9")).status_code == 404
    assert client.get(html.unescape(later).replace("t3-0", "c0-0")).status_code == 404

    built.app.figures._listed.clear()
    explain = f"/explain?metric=fee_rate&{days}"
    page = client.get(explain).text
    sides = [html.unescape(one) for one in re.findall(r'hx-get="(/explain-sides/[^"]+)"', page)]
    assert len(sides) == 2 and "rows-table" not in page
    for at, side in enumerate(as_json(client, explain)["sides"]):
        built.app.figures._listed.clear()
        lines = client.get(sides[at]).text
        assert all(piece["id"] in lines for piece in side["pieces"]) and side["groups"][0]["label"] in html.unescape(
            lines
        )
        assert as_json(client, sides[at])["amount"] == side["amount"]
    assert client.get(sides[0].replace("/0", "/7")).status_code == 404
    paged = f"/explain?metric=gross_volume&{days}&page=2"
    (third,) = re.findall(r'hx-get="(/explain-sides/[^"]+)"', client.get(paged).text)
    assert as_json(client, html.unescape(third))["pieces"] == as_json(client, paged)["sides"][0]["pieces"]


@pytest.mark.browser
def test_what_comes_after_the_page_comes_by_itself(
    built: Site, owner: Person, look: Callable[..., Look], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explaining, "FROM_LINES", 1)
    built.app.figures._listed.clear()
    window = look(owner, on=built)
    for path in (f"/dashboards/payments?{DAYS}", f"/explain?metric=gross_volume&{DAYS}"):
        page = window.at(path)
        page.wait_for_selector("[hx-get]", state="detached")
        assert page.locator(".coming").count() == 0
        assert page.locator("h3", has_text="Customers").or_(page.locator(".rows-table tbody tr")).count()
        assert window.violations() == [], path
    assert window.troubles == []


@pytest.mark.browser
@pytest.mark.parametrize(("locale", "theme", "width"), [("en", "light", 1280), ("fr", "dark", 390)])
def test_pages_look_and_lead_where_they_should(
    built: Site, owner: Person, look: Callable[..., Look], locale: str, theme: str, width: int
) -> None:
    window = look(owner, on=built, locale=locale, theme=theme, width=width)
    explain = f"/explain?metric=fee_rate&{DAYS}"
    policies = "/policies?against=conservative"
    for path in ("/dashboards", *(f"/dashboards/{name}?{DAYS}&grain=month" for name in BOARDS), policies, explain):
        page = window.at(path)
        assert not window.is_too_wide(), path
        page.evaluate("document.querySelectorAll('.toolbar details.menu').forEach((menu) => { menu.open = true; })")
        assert window.violations() == [], path
    page = window.at(f"/dashboards/payments?{DAYS}&grain=month")
    page.wait_for_selector("takings-chart[data-drawn]")
    page.locator(".tile-value a").first.click()
    page.wait_for_url("**/explain?**")
    page.locator(".board-table tbody th a").first.click()
    page.wait_for_url("**f_customer=**")
    assert page.locator(".chip").count() == 1
    page.locator(".rows-table a").last.scroll_into_view_if_needed()
    with page.expect_download() as download:
        window.at(f"/dashboards/payments?{DAYS}&grain=month")
        page.locator(".exports a", has_text="PNG").first.click()
    assert download.value.suggested_filename.endswith(".png")
    assert window.troubles == []
