"""The database of a Prefect server, looked at from outside and made older by days."""

import contextlib
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.support.postgres_server import Postgres

TABLES = (
    *("flow_run", "flow_run_state", "task_run", "task_run_state", "log", "artifact"),
    *("events", "event_resources"),
)
"""Those that a night adds rows to."""

TIMES = (
    *(("flow_run", "start_time"), ("flow_run", "end_time")),
    *(("events", "occurred"), ("event_resources", "occurred")),
)
"""What is gone by when something old is deleted."""


QUIET_S = 8.0  # in which a server writes what it holds, every five seconds, and deletes what is old


class PrefectDatabase(Protocol):
    """A database of either kind."""

    def rows(self) -> dict[str, int]:
        """Return the rows of each table that a night adds to."""
        ...

    def size_bytes(self) -> int:
        """Return what it takes on the disk."""
        ...

    def grow_older(self, days: int) -> None:
        """Put everything in it back by days, as if it had happened that much earlier."""
        ...


@dataclass(frozen=True, slots=True)
class SqliteDatabase:
    """A file that a server may have open."""

    file: Path

    def rows(self) -> dict[str, int]:
        with self._open() as connection:
            return {
                table: int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608
                for table in TABLES
            }

    def size_bytes(self) -> int:
        with self._open() as connection:  # with pages that are still in the log of writes
            ((pages,),) = connection.execute("PRAGMA page_count").fetchall()
            ((size,),) = connection.execute("PRAGMA page_size").fetchall()
        return int(pages) * int(size)

    def grow_older(self, days: int) -> None:
        with self._open() as connection, connection:
            for table, column in TIMES:
                then = f"strftime('%Y-%m-%d %H:%M:%f', {column}, '-{days} days') || '000'"
                connection.execute(
                    f"UPDATE {table} SET {column} = {then} WHERE {column} IS NOT NULL"  # noqa: S608
                )

    def _open(self) -> "contextlib.closing[sqlite3.Connection]":
        return contextlib.closing(sqlite3.connect(self.file, timeout=60))


@dataclass(frozen=True, slots=True)
class PostgresDatabase:
    """The database that Prefect has in a server."""

    server: Postgres

    def rows(self) -> dict[str, int]:
        counts = ", ".join(f"(SELECT count(*) FROM {table})" for table in TABLES)  # noqa: S608
        found = self.server.ask(f"SELECT {counts}").strip().split("|")
        return dict(zip(TABLES, map(int, found), strict=True))

    def size_bytes(self) -> int:
        return int(self.server.ask("SELECT pg_database_size('postgres')"))

    def grow_older(self, days: int) -> None:
        for table, column in TIMES:
            self.server.ask(f"UPDATE {table} SET {column} = {column} - interval '{days} days'")  # noqa: S608
        # A server has a day for this; here a day takes seconds.
        self.server.ask("VACUUM ANALYZE")


def settled(database: PrefectDatabase) -> dict[str, int]:
    """Wait until the numbers of rows stay as they are; return them."""
    pause, rows, since = threading.Event(), database.rows(), time.monotonic()
    while time.monotonic() - since < QUIET_S:
        pause.wait(0.5)
        if (now := database.rows()) != rows:
            rows, since = now, time.monotonic()
    return rows
