"""Backups, made while others write, and put back: the same rows, or nothing at all."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tarfile
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from takings import archive
from takings import settings as takings_settings
from takings.archive import manifest
from takings.catalog.model import Catalog, Field, Resource
from takings.cli import main
from takings.cli.processes import unused, using
from takings.errors import Misconfigured, TakingsError, Unavailable
from takings.store import Store, Vault
from takings.warehouse import Delivery, Item, Scope, Warehouse

T0 = datetime(2026, 1, 1, tzinfo=UTC)
CATALOG = Catalog(
    sdk_version="1.0.0",
    api_version="0",
    lists=(),
    resources={
        name: Resource(
            object=name[:-1], table=name, sdk="", fields=(Field(name="id", kind="id"), Field(name="n", kind="integer"))
        )
        for name in ("charges", "refunds")
    },
)
ALL = "SELECT * FROM raw.versions ORDER BY resource, id, as_of"


def deliveries(at: int) -> list[Delivery]:
    """The same change in both tables: whoever sees one must see the other."""
    moment = T0 + timedelta(seconds=at)
    return [
        Delivery(
            table=table,
            scope=Scope("acct_1", True),
            items=tuple(
                Item.of(f"x_{n}", None, json.dumps({"id": f"x_{n}", "n": at}).encode())
                for n in range(at % 7, at % 7 + 5)
            ),
            as_of=moment,
            known_at=moment,
            source="event",
            api_version="0",
        )
        for table in ("charges", "refunds")
    ]


def restored(source: Path, home: Path, **more: Any) -> Path | None:
    return archive.restore(source, home, now=T0, stripe="1.0.0", **more)[1]


@pytest.mark.parametrize(("kind", "name"), [("ducklake", "copy.tar.zst"), ("ducklake", "copy"), ("duckdb", "copy.tar")])
def test_what_is_restored_is_what_was_there_though_others_wrote_meanwhile(tmp_path: Path, kind: str, name: str) -> None:
    settings = takings_settings.load({}, home=tmp_path / "home", warehouse=kind)
    Store.open(settings).close()
    (settings.home / "settings.toml").write_text(f'warehouse = "{kind}"\n', "utf-8")
    sealed = Vault.open(settings).seal({"key": "value"})
    stop, written = threading.Event(), [0]
    with Warehouse.open(settings, CATALOG) as warehouse:
        warehouse.writer().write(deliveries(0))

        def writing() -> None:
            writer = warehouse.writer()
            while not stop.is_set():
                written[0] += 1
                writer.write(deliveries(written[0]))
                if written[0] % 6 == 0:
                    warehouse.maintain(keep=timedelta(0))

        thread = threading.Thread(target=writing)
        thread.start()
        try:
            while written[0] < 8:
                stop.wait(0.05)
            before = written[0] - 1
            made = archive.back_up(settings, tmp_path / name, now=T0)
            after = written[0]
        finally:
            stop.set()
            thread.join()
        everything = warehouse.query(ALL).rows
    target = tmp_path / "elsewhere" / "home"
    restored(tmp_path / name, target)
    again = takings_settings.load({}, home=target)
    assert again.warehouse == settings.warehouse
    with Warehouse.open(again, CATALOG) as warehouse:
        rows = warehouse.query(ALL).rows
        newest = max(int((row[9] - T0).total_seconds()) for row in rows)
        assert before <= newest <= after
        assert rows == [row for row in everything if row[9] <= T0 + timedelta(seconds=newest)]
        sums = [
            warehouse.query(f"SELECT count(*), sum(n) FROM stripe.{table}").rows for table in ("charges", "refunds")
        ]
        assert sums[0] == sums[1]
        for table in ("charges", "refunds"):
            found = warehouse.query(f"SELECT * FROM stripe.{table} ORDER BY id").rows
            warehouse.rebuild(table)
            assert warehouse.query(f"SELECT * FROM stripe.{table} ORDER BY id").rows == found
        warehouse.writer().write(deliveries(1_000))
        warehouse.maintain(keep=timedelta(0))
        assert warehouse.query("SELECT max(n) FROM stripe.charges").rows == [(1_000,)]
    Store.open(again).close()
    assert Vault.open(again).unseal(sealed) == {"key": "value"}
    assert made.key and made.store_schema
    assert (tmp_path / name).stat().st_mode & 0o077 == 0
    assert (target / "secret.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


Spoil = Callable[[Path], None]


def _flip(folder: Path) -> None:
    victim = next(
        path for path in sorted((folder / "warehouse").rglob("*")) if path.is_file() and path.stat().st_size > 99
    )
    raw = bytearray(victim.read_bytes())
    raw[len(raw) // 2] ^= 1
    victim.write_bytes(raw)


def _said(folder: Path, **changes: Any) -> None:
    file = folder / manifest.NAME
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


SPOILT: dict[str, tuple[Spoil, str]] = {
    "a bit flipped": (_flip, "archive.damaged"),
    "a file missing": (lambda folder: (folder / "takings.db").unlink(), "archive.damaged"),
    "a file more": (lambda folder: (folder / "more.txt").write_text("x") and None, "archive.damaged"),
    "no manifest": (lambda folder: (folder / manifest.NAME).unlink(), "archive.no_backup"),
    "another manifest": (lambda folder: (folder / manifest.NAME).write_text("[]") and None, "archive.no_backup"),
    "a newer backup": (lambda folder: _said(folder, format=2), "archive.newer"),
    "a newer store": (lambda folder: _said(folder, store_schema="9999"), "archive.newer"),
    "a newer warehouse": (lambda folder: _said(folder, warehouse_format=99), "warehouse.newer"),
    "a newer catalogue": (lambda folder: _said(folder, stripe="99.0.0"), "warehouse.newer"),
    "a way out": (lambda folder: (folder / "link").symlink_to("/etc/passwd"), "archive.no_backup"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup in a folder, to be spoilt."""
    folder = tmp_path_factory.mktemp("whole")
    settings = takings_settings.load({}, home=folder / "home")
    Store.open(settings).close()
    with Warehouse.open(settings, CATALOG) as warehouse:
        warehouse.writer().write(deliveries(0))
    archive.back_up(settings, folder / "backup", now=T0)
    return folder / "backup"


@pytest.mark.parametrize("spoilt", sorted(SPOILT))
def test_what_is_not_whole_or_too_new_touches_nothing(whole: Path, tmp_path: Path, spoilt: str) -> None:
    spoil, code = SPOILT[spoilt]
    copy = tmp_path / "copy"
    shutil.copytree(whole, copy)
    spoil(copy)
    home = tmp_path / "home"
    home.mkdir()
    (home / "mine").write_text("precious")
    with pytest.raises(Misconfigured) as caught:
        restored(copy, home, replace=True)
    assert caught.value.code == code
    assert [path.name for path in home.iterdir()] == ["mine"]
    with pytest.raises(Misconfigured):
        restored(copy, tmp_path / "fresh")
    assert not (tmp_path / "fresh").exists()


@pytest.mark.parametrize("name", ["cut.tar", "cut.tar.zst"])
def test_half_a_file_is_no_backup(whole: Path, tmp_path: Path, name: str) -> None:
    settings = takings_settings.load({}, home=whole.parent / "home")
    archive.back_up(settings, tmp_path / name, now=T0)
    raw = (tmp_path / name).read_bytes()
    for share in (0.3, 0.7, 0.97):
        (tmp_path / name).write_bytes(raw[: int(len(raw) * share)])
        with pytest.raises(Misconfigured) as caught:
            restored(tmp_path / name, tmp_path / "home")
        assert caught.value.code in ("archive.no_backup", "archive.damaged")
        assert not (tmp_path / "home").exists()


def test_a_tar_that_wants_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("../evil"))
    with pytest.raises(Misconfigured):
        restored(tmp_path / "evil.tar", tmp_path / "home")
    assert not (tmp_path / "evil").exists()


def test_what_is_there_is_never_written_over(whole: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "mine").write_text("precious")
    with pytest.raises(Misconfigured) as caught:
        restored(whole, home)
    assert caught.value.code == "archive.not_empty"
    aside = restored(whole, home, replace=True)
    assert aside is not None and (aside / "mine").read_text() == "precious"
    assert {path.name for path in home.iterdir()} == {aside.name, "takings.db", "secret.key", "warehouse"} - {
        "secret.key" if not (whole / "secret.key").exists() else ""
    }
    settings = takings_settings.load({}, home=whole.parent / "home")
    with pytest.raises(Misconfigured) as caught:
        archive.back_up(settings, whole, now=T0)
    assert caught.value.code == "archive.exists"


def test_secrets_stay_behind_when_asked(whole: Path, tmp_path: Path) -> None:
    settings = takings_settings.load({}, home=tmp_path / "home")
    Store.open(settings).close()
    Vault.open(settings)
    file = settings.home / "settings.toml"
    file.write_text('secret_key = "x"\n')
    kept = archive.back_up(settings, tmp_path / "with", now=T0)
    left = archive.back_up(settings, tmp_path / "without", now=T0, with_key=False)
    assert {entry.name for entry in kept.files} - {entry.name for entry in left.files} == {
        "secret.key",
        "settings.toml",
    }
    file.write_text("port = 9000\n")
    assert archive.back_up(settings, tmp_path / "plain", now=T0, with_key=False).settings


def test_a_database_in_postgres_is_said_to_be_missing(whole: Path, tmp_path: Path) -> None:
    settings = replace(
        takings_settings.load({}, home=whole.parent / "home"), store_url="postgresql://user:word@db.example/takings"
    )
    with pytest.raises(Misconfigured) as caught:
        archive.back_up(settings, tmp_path / "copy.tar", now=T0)
    assert caught.value.code == "archive.postgres" and "pg_dump" in caught.value.sentence
    made = archive.back_up(settings, tmp_path / "copy.tar", now=T0, with_store=False)
    assert made.store == "postgres" and "takings.db" not in {entry.name for entry in made.files}


def test_no_file_is_deleted_while_a_backup_is_made(tmp_path: Path) -> None:
    settings = takings_settings.load({}, home=tmp_path / "home")
    with Warehouse.open(settings, CATALOG) as warehouse:
        writer = warehouse.writer()
        for at in range(16):
            writer.write(deliveries(at)[:1])
        files = set((settings.home / "warehouse" / "data").rglob("*.parquet"))
        with warehouse._engine.preserving():
            warehouse.maintain(keep=timedelta(0))
            assert files <= set((settings.home / "warehouse" / "data").rglob("*.parquet"))
            with pytest.raises(Unavailable), warehouse._engine.preserving(0):
                pass
        warehouse.maintain(keep=timedelta(0))
        assert len(set((settings.home / "warehouse" / "data").rglob("*.parquet"))) < len(files)


def test_a_backup_that_cannot_be_written_leaves_nothing(whole: Path, tmp_path: Path) -> None:
    settings = takings_settings.load({}, home=whole.parent / "home")
    (tmp_path / "file").write_text("")
    with pytest.raises(TakingsError) as caught:
        archive.back_up(settings, tmp_path / "file" / "copy.tar", now=T0)
    assert caught.value.code == "archive.unwritten"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_commands(
    whole: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("TAKINGS_")]:
        monkeypatch.delenv(name)
    origin, target, file = str(tmp_path / "origin"), str(tmp_path / "home"), str(tmp_path / "b.tar.zst")
    assert main(["status", "--home", origin]) == 0
    capfd.readouterr()
    assert main(["backup", file, "--home", origin, "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said["key"] and said["store"] and said["bytes"] > 0 and any("secrets" in note for note in said["notes"])
    assert main(["restore", file, "--home", target]) == 0
    assert "restored as of" in capfd.readouterr().out
    assert main(["restore", file, "--home", target]) == Misconfigured.exit_code
    assert "--replace" in capfd.readouterr().err
    with using(Path(target)):  # a worker of its own, say
        assert main(["restore", file, "--home", target, "--replace"]) == Misconfigured.exit_code
        assert "stop it first" in capfd.readouterr().err
    with unused(Path(target)):
        assert main(["status", "--home", target]) == Unavailable.exit_code
        assert "is being restored" in capfd.readouterr().err
    assert main(["restore", file, "--home", target, "--replace", "--json"]) == 0
    assert Path(json.loads(capfd.readouterr().out)["moved_aside"]).is_dir()
    with closing(sqlite3.connect(Path(target) / "takings.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert main(["rebuild", "--home", target]) == 0
    assert "nothing" in capfd.readouterr().out
    assert main(["rebuild", "--table", "charges", "--home", target, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["tables"][0]["rows"] == 0
    assert main(["rebuild", "--table", "no_such", "--home", target]) == 3
