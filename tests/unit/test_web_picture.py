"""A chart as a picture: the words are in it, both forms are the same drawing, and letters need no font of the machine."""

from __future__ import annotations

import re
import struct
import zlib
from xml.etree import ElementTree

import pytest

from takings.web import picture
from takings.web.chart import Chart, Series
from takings.words import Words

CHART = Chart(
    label="Gross volume by month",
    points=("2026-01-01", "2026-02-01", "2026-03-01"),
    grain="month",
    unit="money",
    currency="eur",
    series=(
        Series(name="Gross & more", values=(1_234_567, 2_000_000, None), tone="gross", stack="all"),
        Series(name="Refunds", values=(-100_000, -50_000, 0), tone="refunds", stack="all"),
        Series(name="Before", values=(1_000_000, 900_000, 0), tone="gross", shape="line", dashed=True),
    ),
)


def pixels(png: bytes) -> tuple[int, int, list[bytes]]:
    """Return width, height and the rows of an 8-bit RGBA picture."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, packed, width, height = 8, b"", 0, 0
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at : at + 8])
        body = png[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colours = struct.unpack(">IIBB", body[:10])
            assert (depth, colours) == (8, 6)
        packed += body if kind == b"IDAT" else b""
        at += 12 + size
    raw, rows, above = zlib.decompress(packed), [], bytes(width * 4)
    for row in range(height):
        start = row * (width * 4 + 1)
        how, line = raw[start], bytearray(raw[start + 1 : start + 1 + width * 4])
        for x in range(len(line)):
            left, up = line[x - 4] if x >= 4 else 0, above[x]
            corner = above[x - 4] if x >= 4 else 0
            guess = left + up - corner
            nearest = min((left, up, corner), key=lambda one: abs(guess - one))
            line[x] = (line[x] + (0, left, up, (left + up) // 2, nearest)[how]) % 256
        above = bytes(line)
        rows.append(above)
    return width, height, rows


@pytest.mark.parametrize("locale", ["en", "fr"])
def test_the_svg_says_what_the_page_says(locale: str) -> None:
    words = Words(locale)
    svg = picture.svg(CHART, "Été & co", "1–3 · EUR", words)
    root = ElementTree.fromstring(svg)
    assert (root.get("width"), root.get("height")) == (str(picture.WIDTH), str(picture.HEIGHT))
    texts = {one.text for one in root.iter() if one.tag.endswith("text")}
    assert {"Été & co", "1–3 · EUR", "Gross & more", "Refunds", "Before"} <= texts
    assert words.short(20_000, "eur") in texts
    assert next(one.text for one in root.iter() if one.tag.endswith("title")) == "Été & co"
    colours = set(re.findall(r"#[0-9a-f]{6}", svg))
    assert {"#2b6cb8", "#c4501f"} <= colours  # those of the tokens, in light
    assert "\u202f" not in svg


def test_the_png_is_the_same_drawing_with_letters_in_it() -> None:
    svg = picture.svg(CHART, "Volume", "EUR", Words("en"))
    whole = picture.png(svg)
    assert struct.unpack(">II", whole[16:24]) == (picture.WIDTH * picture.SCALE, picture.HEIGHT * picture.SCALE)
    width, height, rows = pixels(picture.png(svg, 0.5))
    assert (width, height) == (picture.WIDTH // 2, picture.HEIGHT // 2)
    drawn = {row[x : x + 3] for row in rows for x in range(0, width * 4, 4)}
    assert bytes.fromhex("2b6cb8") in drawn and bytes.fromhex("c4501f") in drawn
    blank = pixels(picture.png(picture.svg(CHART, " ", "EUR", Words("en")), 0.5))[2]
    assert inked(rows) > 50 > inked(blank)


def inked(rows: list[bytes]) -> int:
    """Count the dark points where the title stands."""
    return sum(row[x] < 110 for row in rows[5:18] for x in range(0, 80 * 4, 4))


def test_the_same_chart_is_the_same_picture_and_another_is_not() -> None:
    def drawn(locale: str) -> str:
        return re.sub(r"zr\d+-\w+-?\d*", "", picture.svg(CHART, "A", "B", Words(locale)))

    assert drawn("en") == drawn("en") != drawn("fr")
