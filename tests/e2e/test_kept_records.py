"""What Prefect keeps of past nights does not grow for ever: on a server, and without one."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.postgres_server import PROGRAMS, postgres_server
from tests.support.prefect_database import (
    TABLES,
    PostgresDatabase,
    PrefectDatabase,
    SqliteDatabase,
    settled,
)
from tests.support.prefect_service import prefect_service, shipped_settings, wait_for
from tests.support.small_sources import prose, write

pytestmark = pytest.mark.soak

ROOT = Path(__file__).parents[2]
NIGHTS = 4
MONTH = 31  # days, one more than runs are kept
OF_EVENTS = ("events", "event_resources")
OF_RUNS = tuple(table for table in TABLES if table not in OF_EVENTS)
SLACK = 1.1  # of the size: pages that are given back are seldom filled to the last byte


Served = tuple[CommandLine, PrefectDatabase]
"""A command line, and the database of the server that it tells of its nights."""


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[PostgresDatabase]:
    if not PROGRAMS:
        pytest.skip("PostgreSQL is not installed")
    folder.chmod(0o755)
    for above in folder.parents[:2]:  # pytest keeps them for itself
        above.chmod(0o755)
    user = "postgres" if os.geteuid() == 0 else os.environ["USER"]
    with postgres_server(folder / "postgres", PROGRAMS[-1].parent, user) as server:
        yield PostgresDatabase(server)


@pytest.fixture(params=["sqlite", "postgresql"])
def served(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[CommandLine, PrefectDatabase]]:
    told = shipped_settings(ROOT) | {"PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "2"}
    database: PrefectDatabase = SqliteDatabase(tmp_path / "prefect" / "prefect.db")
    with contextlib.ExitStack() as stack:
        if request.param == "postgresql":
            found = stack.enter_context(postgres(tmp_path))
            told["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = found.server.address
            database = found
        service = stack.enter_context(prefect_service(tmp_path / "prefect", **told))
        environment = settings(tmp_path, service.environment)
        yield CommandLine(folder=tmp_path, environment=environment), database


def settings(folder: Path, prefect: dict[str, str]) -> dict[str, str]:
    return {
        **prefect,
        "NIGHTPRESS_SOURCE": str(folder / "source"),
        "NIGHTPRESS_STORE": str(folder / "store"),
        "NIGHTPRESS_EMBEDDER": "hashing",
        "NIGHTPRESS_GATE_ENGINE": "built-in",
    }


def night(command: CommandLine, named: str) -> None:
    """Index documents that all changed."""
    for number in range(12):
        write(command.folder / "source" / f"{number:02d}.txt", prose(f"{named} topic {number}"))
    command("run")


def gone(database: PrefectDatabase, tables: tuple[str, ...]) -> bool:
    rows = database.rows()
    return not any(rows[table] for table in tables)


def month_of_nights(command: CommandLine, database: PrefectDatabase, named: str) -> int:
    """Let nights pass, then a month without one; returns the size at its end, in bytes."""
    for number in range(NIGHTS):
        night(command, f"{named} {number}")
    rows = settled(database)
    assert all(rows.values())
    assert rows["flow_run"] == NIGHTS
    database.grow_older(MONTH)
    wait_for(lambda: gone(database, TABLES), "everything old to be deleted")
    return database.size_bytes()


def test_a_server_deletes_what_is_old_and_fills_its_place_again(
    served: Served,
):
    command, database = served
    month_of_nights(command, database, "first")
    second = month_of_nights(command, database, "second")
    third = month_of_nights(command, database, "third")
    assert third <= SLACK * second


def test_young_records_stay_and_events_go_after_a_week(
    served: Served,
):
    command, database = served
    night(command, "old")
    before = settled(database)
    database.grow_older(8)
    wait_for(lambda: gone(database, OF_EVENTS), "events of the week before to be deleted")
    after = database.rows()
    assert {table: after[table] for table in OF_RUNS} == {table: before[table] for table in OF_RUNS}


def test_nights_without_a_server_leave_a_month_behind(tmp_path: Path):
    home = tmp_path / "home"
    database = SqliteDatabase(home / "prefect.db")
    command = CommandLine(
        folder=tmp_path, environment=settings(tmp_path, {"PREFECT_HOME": str(home)}), is_warm=False
    )
    for number in range(3):
        night(command, f"old {number}")
    before = database.rows()
    assert before["flow_run"] == 3
    size = database.size_bytes()
    database.grow_older(MONTH)
    for number in range(3):
        night(command, f"new {number}")
    after = database.rows()
    assert after["flow_run"] == 3
    for table in OF_RUNS:
        assert after[table] <= before[table], table
    assert after["events"] < 1.5 * before["events"], "those of the old nights are gone"
    assert database.size_bytes() <= SLACK * size
