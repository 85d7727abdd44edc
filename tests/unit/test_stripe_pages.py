"""Cutting a page keeps every object as Stripe wrote it, but for the white space."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from takings.stripe.pages import Item, Malformed, cut

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=8), VALUES, max_size=6)


@given(st.lists(OBJECTS, max_size=5), st.booleans(), st.booleans())
def test_every_object_comes_out_as_it_went_in(objects: list[dict[str, Any]], more: bool, ascii_only: bool) -> None:
    body = json.dumps({"object": "list", "data": objects, "has_more": more}, indent=2, ensure_ascii=ascii_only)
    page = cut(body.encode())
    assert [json.loads(item.raw) for item in page.items] == objects
    assert page.has_more == more
    for item, whole in zip(page.items, objects, strict=True):
        assert len(item.raw) <= len(json.dumps(whole, indent=2).encode())


@pytest.mark.parametrize("number", ["1.0", "1e5", "0.10", "123456789012345678901234567890", "-0.0", "1E+2"])
def test_numbers_keep_their_very_digits(number: str) -> None:
    (item,) = cut(b'{"data": [ {"id": "x",\n  "rate": %s } ]}' % number.encode()).items
    assert item.raw == b'{"id":"x","rate":%s}' % number.encode()


def test_escapes_and_foreign_letters_stay_as_they_are() -> None:
    (item,) = cut('{"data": [{"id": "x", "a": "caf\\u00e9 \\/ é\\n  two  spaces"}]}'.encode()).items
    assert item.raw == '{"id":"x","a":"caf\\u00e9 \\/ é\\n  two  spaces"}'.encode()


def test_a_v1_page_tells_id_kind_and_time() -> None:
    page = cut(
        b'{"object":"list","url":"/v1/charges","has_more":true,"data":[{"id":"ch_1","object":"charge","created":7}]}'
    )
    assert page.items == [Item("ch_1", "charge", 7, b'{"id":"ch_1","object":"charge","created":7}')]
    assert (page.has_more, page.next_page_url) == (True, None)


def test_a_v2_page_goes_on_by_url_and_writes_its_times_out() -> None:
    page = cut(
        b'{"data":[{"id":"evt_1","object":"v2.core.event","created":"2026-11-01T00:00:01.500Z"}],'
        b'"next_page_url":"/v2/core/events?page=abc","previous_page_url":null}'
    )
    assert (page.has_more, page.next_page_url) == (True, "/v2/core/events?page=abc")
    assert page.items[0].created == 1793491201
    assert not cut(b'{"data":[],"next_page_url":null}').has_more


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        ('"object":"line"', ("", "line", None)),
        ('"id":null,"object":null,"created":null', ("", "", None)),
        ('"id":12,"object":["x"],"created":1.9', ("", "", 1)),
        ('"id":"a","object":"b","created":true', ("a", "b", None)),
        ('"id":"a","object":"b","created":"soon"', ("a", "b", None)),
        ('"id":"a","object":"b","created":{"at":1}', ("a", "b", None)),
        ('"id":"a","object":7,"created":"2026-11-01T00:00:00Z"', ("a", "", 1793491200)),
    ],
)
def test_missing_or_odd_heads_lose_nothing(head: str, wanted: tuple[str, str, int | None]) -> None:
    (item,) = cut(f'{{"data":[{{{head}}}]}}'.encode()).items
    assert (item.id, item.object, item.created) == wanted
    assert item.raw == f"{{{head}}}".encode()


def test_every_truncation_is_noticed() -> None:
    body = b'{"object":"list","data":[{"id":"ch_1","n":{"a":[1,2]}},{"id":"ch_2"}],"has_more":false}'
    for end in range(len(body)):
        with pytest.raises(Malformed):
            cut(body[:end])


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"null", b"{}", b'{"data":{}}', b'{"data":[1]}', b'{"data":["x"]}', b'{"data":[]}x', b"\xff\xfe",
     b'{"data":[{"id":"\xff"}]}', b'{"data":null}', b'{"data":[],"has_more":"yes"}'],
)  # fmt: skip
def test_what_is_no_list_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        cut(body)


def test_stripe_is_spoken_to_by_the_transport_alone() -> None:
    source = Path(__file__).parents[2] / "src" / "takings"
    importers = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if re.search(
            r"^\s*(?:import|from) (?:httpx2?|httpcore2?|requests|urllib3|aiohttp)\b", path.read_text("utf-8"), re.M
        )
    }
    # Alerts post to addresses of the company's own; Stripe is spoken to by the transport alone.
    assert {name for name in importers if not name.startswith("simulator/")} == {
        "alerts/hook.py",
        "stripe/transport.py",
    }
