"""What a Prefect server records of a burst of task runs, and what a night adds to its database.

    python benchmarks/recording.py [--postgres BIN --as USER] [--tasks N …]

With SQLite, and with PostgreSQL whose programs lie in BIN (USER runs them, as root may not).
A burst is a flow of N empty task runs; it is recorded when the server knows that all are done. A
night is what `nightpress run` starts over 30 small documents.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx
from our_tests import ROOT

from tests.support.command_line import CommandLine
from tests.support.postgres_server import postgres_server
from tests.support.prefect_database import PostgresDatabase, SqliteDatabase
from tests.support.prefect_service import PrefectService, prefect_service, shipped_settings
from tests.support.small_sources import prose, write

BURST = """
import os, sys
from flows.prefect_environment import prepare_prefect
prepare_prefect(os.environ)
from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner

@task
def nothing(number: int) -> int:
    return number

@flow(name="burst", task_runner=ThreadPoolTaskRunner(max_workers=4))
def burst(count: int) -> None:
    for future in [nothing.submit(number) for number in range(count)]:
        future.result()

burst(int(sys.argv[1]))
"""
QUIET_S = 20.0  # without another record, after which no more is expected


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--postgres", type=Path, help="folder of initdb and postgres")
    parser.add_argument("--as", dest="user", default="nobody", help="who runs PostgreSQL")
    parser.add_argument("--tasks", type=int, nargs="+", default=[500, 2000, 6000])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o755)
        database = folder / "sqlite"
        size = SqliteDatabase(database / "prefect.db").size_bytes
        _measure("SQLite", database, given.tasks, {}, size)
        if given.postgres:
            with postgres_server(folder / "postgres", given.postgres, given.user) as server:
                told = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": server.address}
                size = PostgresDatabase(server).size_bytes
                _measure("PostgreSQL", folder / "server", given.tasks, told, size)


def _measure(
    name: str,
    folder: Path,
    bursts: Sequence[int],
    told: Mapping[str, str],
    size: Callable[[], int],
) -> None:
    with prefect_service(folder, **shipped_settings(ROOT), **told) as service:
        for count in bursts:
            before, began = size(), time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", BURST, str(count)],
                env=os.environ | service.environment, check=True, capture_output=True, cwd=ROOT,
            )  # fmt: skip
            flow_s = time.perf_counter() - began
            recorded, recorded_s = _drain(service, count, began)
            grown = (size() - before) / count / 1000
            print(
                f"{name:10} burst of {count:5}: {recorded:5} recorded as completed, flow "
                f"{flow_s:6.1f} s, the last after {recorded_s:6.1f} s, {grown:.1f} kB each",
                flush=True,
            )
        for night in ("first", "second"):
            before = size()
            _night(service, folder.parent / f"{folder.name}-night", night)
            grown = (size() - before) / 1000
            print(f"{name:10} {night} night: the database grew by {grown:.0f} kB", flush=True)


def _drain(service: PrefectService, count: int, began: float) -> tuple[int, float]:
    """Wait until nothing more is recorded; return how many are, and when the last one was."""
    pause, most, since = threading.Event(), 0, time.perf_counter()
    chosen = {
        "flow_runs": {"id": {"any_": [_newest_flow(service)]}},
        "task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
    }
    while most < count and time.perf_counter() - since < QUIET_S:
        found = httpx.post(f"{service.url}/task_runs/count", json=chosen, timeout=60).json()
        if found > most:
            most, since = found, time.perf_counter()
        pause.wait(0.5)
    return most, since - began


def _newest_flow(service: PrefectService) -> str:
    reply = httpx.post(
        f"{service.url}/flow_runs/filter", json={"limit": 1, "sort": "START_TIME_DESC"}, timeout=60
    )
    return str(reply.json()[0]["id"])


def _night(service: PrefectService, folder: Path, night: str) -> None:
    folder.mkdir(exist_ok=True)
    for number in range(30):
        write(folder / "source" / f"{number:02d}.txt", prose(f"{night} topic {number}"))
    told = {
        **service.environment,
        "NIGHTPRESS_SOURCE": str(folder / "source"),
        "NIGHTPRESS_STORE": str(folder / "store"),
        "NIGHTPRESS_EMBEDDER": "hashing",
        "NIGHTPRESS_GATE_ENGINE": "built-in",
    }
    CommandLine(folder=folder, environment=told, is_warm=False)("run")
    threading.Event().wait(QUIET_S)  # the server records after the run has ended


if __name__ == "__main__":
    main()
