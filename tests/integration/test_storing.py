"""What models come to is kept to the last digit, in memory and in files alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from takings.metrics.storing import Files, Memory

ROWS = """
SELECT n AS n, CAST(n AS HUGEINT) + $more AS wide, CAST(n AS DECIMAL(38, 10)) AS exact, 'cus_' || n AS name, n % 2 = 0 AS even,
  CASE WHEN n % 3 = 0 THEN NULL ELSE DATE '2026-01-31' + n END AS day, TIMESTAMPTZ '2026-01-31 12:00:00.000001+00' AS at,
  [n, NULL] AS some, {'a': n} AS pair
FROM (SELECT CAST(r.n AS INTEGER) AS n FROM range($rows) AS r(n))
"""
BEYOND = 2**70 + 1


@pytest.fixture
def session() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        yield opened


def test_rows_are_the_same_and_of_the_same_kinds(session: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    memory, files = Memory(session), Files(session, tmp_path)
    for store, name in ((memory, "kept"), (files, "filed")):
        store.make(name, ROWS, {"more": BEYOND, "rows": 1000})
    kept, filed = (session.execute(f"DESCRIBE temp.main.{name}").fetchall() for name in ("kept", "filed"))
    assert [row[:2] for row in filed] == [row[:2] for row in kept] and ("wide", "HUGEINT") in [row[:2] for row in filed]
    rows = [session.execute(f"SELECT * FROM temp.main.{name} ORDER BY n").fetchall() for name in ("kept", "filed")]
    assert rows[0] == rows[1] and len(rows[0]) == 1000 and rows[0][7][1] == BEYOND + 7


@pytest.mark.parametrize("rows", [0, 5, 300_000])
def test_pieces_are_the_whole(
    session: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr("takings.metrics.storing._GROUPS", 1)
    files = Files(session, tmp_path)
    files.make("filed", ROWS, {"more": 0, "rows": rows})
    pieces = files.pieces("filed")
    assert (len(pieces) > 1) is (rows == 300_000)
    found = [row for piece in pieces for row in session.execute(f"SELECT n, wide FROM {piece}").fetchall()]
    assert sorted(found) == [(n, n) for n in range(rows)]
    assert Memory(session).pieces("filed") == ("temp.main.filed",)


def test_nothing_is_left(session: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (folder := tmp_path / "all [of] the company's").mkdir()
    files = Files(session, folder)
    files.make("filed", "SELECT 1 AS n")
    assert list(folder.iterdir())
    for _ in range(2):
        files.drop("filed")
        assert not list(folder.iterdir()) and not session.execute("SHOW TABLES").fetchall()
    files.make("filed", "SELECT 2 AS n")
    assert session.execute("SELECT n FROM temp.main.filed").fetchall() == [(2,)]


def test_a_question_that_fails_says_so_and_leaves_the_name_free(
    session: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    files = Files(session, tmp_path)
    with pytest.raises(duckdb.ConversionException):
        files.make("filed", "SELECT CAST('x' || n AS INTEGER) AS n FROM range(9) AS r(n)")
    assert not list(tmp_path.iterdir())
    files.make("filed", "SELECT 1 AS n")
    assert session.execute("SELECT n FROM temp.main.filed").fetchall() == [(1,)]
