"""How much faster two workers of a cluster are than one, and whether they find the same chunks.

    python benchmarks/two_workers.py SOURCE [--repeats N] [--copies N] [--share S]

Scheduler and workers are processes of their own, each worker in a folder of its own; SOURCE is
copied into an S3 server, which with the store in it is all that they share. One worker and two take
turns; a last run has one of two killed half-way.

All of it runs on one machine, where the S3 server, Prefect's and the flow need cores too. Without
--share each worker has a core of its own, which two workers take away from those. With it each has
that share of a core and no more (control groups of Linux, as root), so that two workers and all
the rest find room, as they would on machines of their own.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import our_tests  # noqa: F401 - before anything of tests

from index_store.storage.remote import RemoteStorage
from tests.support.command_line import CommandLine
from tests.support.dask_cluster import DaskCluster, dask_cluster, kill
from tests.support.prefect_server import shared_server
from tests.support.s3_servers import S3Server, moto

GOAL_RATIO = 1.6
CGROUPS, UNIFIED_CGROUPS = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
PERIOD_US = 20_000  # short, so that a worker is slow rather than halting


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--copies", type=int, default=1, help="of each document, to make more work")
    parser.add_argument("--share", type=float, help="of a core that each worker has, in (0, 1]")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "s3").mkdir()
        with moto(folder / "s3") as s3, shared_server(folder / "prefect") as url:
            documents = _copy(given.source, s3, given.copies)
            command = _command(folder, s3, url)
            walls: dict[int, list[float]] = {1: [], 2: []}
            found: list[tuple[object, frozenset[str]]] = []
            for repeat in range(given.repeats):
                for workers in (1, 2) if repeat % 2 == 0 else (2, 1):
                    home = folder / f"{repeat}-{workers}"
                    wall, what = _run(command, s3, home, workers, given.share)
                    walls[workers].append(wall)
                    found.append(what)
                    print(f"{workers} workers {wall:6.1f} s", flush=True)
            _, what = _run(command, s3, folder / "killed", 2, given.share, is_killed=True)
            found.append(what)
    one, two = (statistics.median(walls[workers]) for workers in (1, 2))
    same = all(each == found[0] for each in found)
    print(f"{documents} documents; one worker {one:.1f} s, two {two:.1f} s", end="; ")
    print(f"{one / two:.2f} times as fast (goal {GOAL_RATIO}); same chunks everywhere: {same}")
    if not same:
        sys.exit(1)


def _copy(source: Path, s3: S3Server, copies: int) -> int:
    storage = RemoteStorage(s3.url("documents"), s3.options())
    files = sorted(path for path in source.rglob("*") if path.is_file())
    for path in files:
        for copy in range(copies):
            storage.put(f"{copy}/{path.relative_to(source).as_posix()}", path.read_bytes())
    return len(files) * copies


def _command(folder: Path, s3: S3Server, url: str) -> CommandLine:
    home = folder / "home"
    home.mkdir()
    told = {
        **s3.environment(),
        "PREFECT_API_URL": url,
        "PREFECT_HOME": str(home),
        "NIGHTPRESS_SOURCE": s3.url("documents"),
        "NIGHTPRESS_EMBEDDER": "hashing",
        "NIGHTPRESS_GATE_ENGINE": "built-in",
        "NIGHTPRESS_BATCH_DOCUMENTS": "16",
    }
    return CommandLine(folder=home, environment=told)


def _run(
    command: CommandLine,
    s3: S3Server,
    folder: Path,
    workers: int,
    share: float | None,
    *,
    is_killed: bool = False,
) -> tuple[float, tuple[object, frozenset[str]]]:
    """Index into a fresh store; return the seconds, and what is found in it."""
    store = s3.url(folder.name)
    with dask_cluster(folder, workers, s3.environment()) as cluster:
        if share is None:
            _give_each_a_core(cluster)
        else:
            _give_each_a_share(cluster, share)
        began = time.perf_counter()
        started = command.start(
            "run", "--store", store, "--runner", "dask", "--cluster", cluster.address, "--json"
        )
        if is_killed:
            started.wait_for("embed ")
            kill(cluster.workers[0])
        report = started.end().json
        wall = time.perf_counter() - began - report["seconds"]["start"]
    hits = command("search", "law", "--store", store, "-k", "100", "--json").json["hits"]
    texts = frozenset(json.dumps([hit["uri"], hit["text"]]) for hit in hits)
    return wall, (json.dumps([report["documents"], report["chunks"]]), texts)


def _give_each_a_core(cluster: DaskCluster) -> None:
    cores = sorted(os.sched_getaffinity(0))
    for number, worker in enumerate(cluster.workers):
        for thread in Path(f"/proc/{worker.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {cores[number % len(cores)]})


def _give_each_a_share(cluster: DaskCluster, share: float) -> None:
    """Let no worker, its parsers included, use more than a share of a core."""
    for number, worker in enumerate(cluster.workers):
        if CGROUPS.is_dir():
            group = CGROUPS / f"nightpress-{number}"
            group.mkdir(exist_ok=True)
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(round(PERIOD_US * share)))
        else:
            group = UNIFIED_CGROUPS / f"nightpress-{number}"
            group.mkdir(exist_ok=True)
            (group / "cpu.max").write_text(f"{round(PERIOD_US * share)} {PERIOD_US}")
        (group / "cgroup.procs").write_text(str(worker.pid))


if __name__ == "__main__":
    main()
