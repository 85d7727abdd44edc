"""The generator: the data file is up to date, what moves is told, and what it cannot place it says."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from takings import catalog
from takings.catalog import Catalog, build, generate, overlay
from takings.catalog.changes import compare
from takings.catalog.model import Field
from takings.catalog.source import Sdk, installed


@pytest.fixture(scope="module")
def sdk() -> Sdk:
    return Sdk(installed())


@pytest.fixture(scope="module")
def built(sdk: Sdk) -> Catalog:
    return build.build(sdk)


def test_the_committed_file_is_up_to_date(built: Catalog) -> None:
    assert generate.encode(built) == catalog.DATA.read_text(encoding="utf-8"), "run python -m takings.catalog.generate"


def test_what_is_written_reads_back_the_same(built: Catalog) -> None:
    assert msgspec.json.decode(generate.encode(built), type=Catalog) == built


def _before(now: Catalog) -> Catalog:
    """The catalogue of an imagined earlier SDK, made from today's."""
    resources = dict(now.resources)
    del resources["tax_codes"]
    resources["old_reviews"] = msgspec.structs.replace(resources.pop("reviews"), table="old_reviews")
    invoice = resources["invoices"]
    resources["invoices"] = msgspec.structs.replace(
        invoice,
        fields=(
            *(field for field in invoice.fields if field.name != "number"),
            Field(name="subscription", kind="id", target=("subscription",), expandable=True),
            Field(name="paid", kind="boolean"),
        ),
        inner=tuple(field for field in invoice.inner if field.name != "parent.subscription_details.subscription"),
        events=(*invoice.events, "invoice.forgotten"),
    )
    charge = resources["charges"]
    resources["charges"] = msgspec.structs.replace(
        charge,
        fields=tuple(
            msgspec.structs.replace(field, kind="integer", currency=None) if field.name == "amount" else field
            for field in charge.fields
        ),
    )
    lists = []
    for item in now.lists:
        if item.path == "/v1/tax_codes":
            continue
        if item.path == "/v1/invoice_payments":
            item = msgspec.structs.replace(item, path="/v1/invoices/payments")
        if item.path == "/v1/charges":
            item = msgspec.structs.replace(item, parameters=tuple(x for x in item.parameters if x != "customer"))
        lists.append(item)
    lists.append(msgspec.structs.replace(now.lists[0], path="/v1/bitcoin/receivers", object="bitcoin_receiver"))
    return msgspec.structs.replace(now, sdk_version="15.0.0", lists=tuple(lists), resources=resources)


def test_moving_to_another_sdk_tells_what_came_went_moved_and_changed(built: Catalog) -> None:
    changes = compare(_before(built), built)
    assert changes.lists.added == ["/v1/tax_codes (tax_code)"]
    assert changes.lists.removed == ["/v1/bitcoin/receivers (bitcoin_receiver)"]
    assert changes.lists.moved == ["/v1/invoices/payments → /v1/invoice_payments"]
    assert changes.lists.changed == ["/v1/charges: parameters +customer"]
    assert changes.resources.added == ["tax_codes (tax_code)"]
    assert changes.resources.removed == []
    assert changes.resources.moved == ["old_reviews → reviews (review)"]
    assert changes.resources.changed == ["invoices: events -invoice.forgotten"]
    assert changes.fields.added == ["invoices.number (string)"]
    assert changes.fields.removed == ["invoices.paid (boolean)"]
    assert changes.fields.moved == ["invoices.subscription → parent.subscription_details.subscription"]
    assert changes.fields.changed == ["charges.amount: kind 'integer' → 'amount', currency None → 'currency'"]
    text = changes.text()
    assert text.startswith(f"From stripe 15.0.0 ({built.api_version}) to stripe {built.sdk_version}")
    assert "lists moved (1):\n  > /v1/invoices/payments → /v1/invoice_payments" in text


def test_nothing_moves_between_a_catalogue_and_itself(built: Catalog) -> None:
    changes = compare(built, built)
    assert not changes
    assert changes.text().endswith("Nothing moved.")


def test_check_fails_on_a_file_that_is_not_up_to_date_and_leaves_it_alone(
    built: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "catalog.json"
    stale = generate.encode(_before(built))
    file.write_text(stale, encoding="utf-8")
    monkeypatch.setattr(generate, "DATA", file)
    monkeypatch.setattr(generate, "build", lambda: built)

    assert generate.main(["--check"]) == 1
    assert "+ /v1/tax_codes (tax_code)" in capsys.readouterr().out
    assert file.read_text(encoding="utf-8") == stale

    assert generate.main([]) == 0
    assert file.read_text(encoding="utf-8") == catalog.DATA.read_text(encoding="utf-8")
    assert generate.main(["--check"]) == 0
    assert "138 lists" in capsys.readouterr().out


def _said(**changes: object) -> overlay.Overlay:
    """The overlay with sections changed: None takes an entry out."""
    data = {section: dict(entries) for section, entries in overlay.read().data.items()}
    for path, value in changes.items():
        section, _, key = path.partition("__")
        if value is None:
            del data[section][key]
        else:
            data.setdefault(section, {})[key] = value
    return overlay.Overlay(data)


@pytest.mark.parametrize(
    ("section", "key", "value", "sentence"),
    [
        ("lists", "/v1/no/such_list", {"default": False}, "lists./v1/no/such_list"),
        ("currencies", "charges.no_such_field", "key", "currencies.charges.no_such_field"),
        ("currencies", "terminal_configurations.tipping.*", None, "terminal_configurations.tipping.aud"),
        ("lists", "/v1/financial_connections/accounts/{account}/owners", None, "the required parameter ownership"),
        ("lists", "/v1/sources/{source}/source_transactions", None, "Whose ids fill {source}"),
        ("lists", "/v1/customers/{customer}/sources", None, "several kinds of objects"),
        ("lists", "/v1/topups", {"table": "charges"}, "Two kinds of objects would go to table charges"),
        ("lists", "/v1/charges", {"parents": {"customer": "customers"}}, "parents that it does not need"),
        ("extra", "_no_such_module.Thing", "things", "which the SDK does not have"),
    ],
)
def test_what_neither_rules_nor_overlay_place_stops_the_generator(
    sdk: Sdk, section: str, key: str, value: object, sentence: str
) -> None:
    with pytest.raises(ValueError) as caught:
        build.Builder(sdk, _said(**{f"{section}__{key}": value})).build()
    assert sentence in str(caught.value)
