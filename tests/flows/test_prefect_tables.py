"""The first start of the temporary server finds the tables that Prefect itself would make."""

import sqlite3
from pathlib import Path

import prefect

from flows.prefect_tables import RELEASE, TABLES, dump, make_tables


def test_the_tables_are_those_that_the_migrations_of_prefect_make(
    prefect_url: str, prefect_folder: Path
):
    assert prefect_url.startswith("http")
    assert prefect.__version__ == RELEASE
    made = parts(dump(prefect_folder / "prefect.db"))
    assert made == parts(TABLES.read_text()), "see the last lines of flows/prefect_tables.py"


def parts(statements: str) -> list[str]:
    """Columns, constraints and indexes; the migrations make some of them in any order."""
    return sorted(line.strip("\t ,;)") for line in statements.splitlines())


def test_a_new_home_gets_them_whole(tmp_path: Path):
    database = tmp_path / "home" / "prefect.db"
    make_tables(database, release=RELEASE)
    assert dump(database) == TABLES.read_text()
    assert [path.name for path in database.parent.iterdir()] == ["prefect.db"]


def test_a_database_that_is_there_stays_as_it_is(tmp_path: Path):
    database = tmp_path / "prefect.db"
    sqlite3.connect(database).close()
    database.write_bytes(b"mine")
    make_tables(database, release=RELEASE)
    assert database.read_bytes() == b"mine"


def test_another_release_makes_its_own(tmp_path: Path):
    make_tables(tmp_path / "prefect.db", release="4.0.0")
    assert list(tmp_path.iterdir()) == []
