"""How a Prefect server's database grows night by night, and that what is old is deleted.

    python benchmarks/records_kept.py [--nights 40] [--days D] [--postgres BIN --as USER]

With PostgreSQL whose programs lie in BIN (USER runs them, as root may not), and with SQLite. A
night is what `nightpress run` starts over 30 small documents of which all changed; then everything
in the database is put back by a day. The server is told what `deployments/compose.yaml` tells it,
but that it looks for what is old every five seconds instead of every hour, and with --days keeps
runs and events that long.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from our_tests import ROOT

from tests.support.command_line import CommandLine
from tests.support.postgres_server import postgres_server
from tests.support.prefect_database import (
    PostgresDatabase,
    PrefectDatabase,
    SqliteDatabase,
    settled,
)
from tests.support.prefect_service import PrefectService, prefect_service, shipped_settings
from tests.support.small_sources import prose, write

LOOK_S = 5.0
DAY_S = 86_400


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nights", type=int, default=40)
    parser.add_argument("--days", type=int, help="that everything is kept, instead of the usual")
    parser.add_argument("--postgres", type=Path, help="folder of initdb and postgres")
    parser.add_argument("--as", dest="user", default="nobody", help="who runs PostgreSQL")
    given = parser.parse_args()
    told = shipped_settings(ROOT) | {
        "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": str(LOOK_S),
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ORPHAN_CLEANUP_LOOP_SECONDS": str(LOOK_S),
    }
    if given.days:
        told["PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD"] = str(given.days * DAY_S)
        told["PREFECT_SERVER_EVENTS_RETENTION_PERIOD"] = f"P{given.days}D"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o755)
        if given.postgres:
            with postgres_server(folder / "postgres", given.postgres, given.user) as server:
                address = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": server.address}
                database = PostgresDatabase(server)
                _measure("PostgreSQL", folder / "beside", database, told | address, given.nights)
        file = SqliteDatabase(folder / "sqlite" / "prefect.db")
        _measure("SQLite", folder / "sqlite", file, told, given.nights)


def _measure(
    name: str, folder: Path, database: PrefectDatabase, told: Mapping[str, str], nights: int
) -> None:
    with prefect_service(folder, **told) as service:
        before = database.size_bytes()
        print(f"{name:10} empty: {before / 1000:,.0f} kB")
        for night in range(1, nights + 1):
            began = time.perf_counter()
            _night(service, folder.with_name(f"{folder.name}-nights"), night)
            rows = settled(database)
            size = database.size_bytes()
            shown = " ".join(f"{table}={count}" for table, count in rows.items())
            print(
                f"{name:10} night {night:3}: {size / 1000:9,.0f} kB, {(size - before) / 1000:+7.0f}"
                f"  {shown}  ({time.perf_counter() - began:.0f} s)",
                flush=True,
            )
            before = size
            database.grow_older(days=1)


def _night(service: PrefectService, folder: Path, night: int) -> None:
    folder.mkdir(exist_ok=True)
    for number in range(30):
        write(folder / "source" / f"{number:02d}.txt", prose(f"night {night} topic {number}"))
    told = {
        **service.environment,
        "NIGHTPRESS_SOURCE": str(folder / "source"),
        "NIGHTPRESS_STORE": str(folder / "store"),
        "NIGHTPRESS_EMBEDDER": "hashing",
        "NIGHTPRESS_GATE_ENGINE": "built-in",
    }
    CommandLine(folder=folder, environment=told)("run")


if __name__ == "__main__":
    os.environ.pop("PREFECT_API_URL", None)
    main()
