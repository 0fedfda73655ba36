"""A Dask scheduler and workers as processes of their own, each in a folder of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from distributed import Client

from tests.support.s3_servers import free_ports

START_S = 90


@dataclass(slots=True, kw_only=True)
class DaskCluster:
    """A running cluster."""

    address: str
    folder: Path
    environment: dict[str, str]
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def add_worker(self) -> "subprocess.Popen[bytes]":
        """Start a worker with one core's worth of work, in an empty folder."""
        folder = self.folder / f"worker-{len(self.workers)}"
        folder.mkdir()
        words = ["worker", self.address, "--nthreads", "2", "--no-nanny", "--no-dashboard"]
        process = _start([*words, "--local-directory", "."], folder, self.environment)
        self.workers.append(process)
        return process

    def wait_for_workers(self, count: int) -> None:
        with Client(self.address, timeout=START_S) as client:
            client.wait_for_workers(count, timeout=START_S)


@contextmanager
def dask_cluster(
    folder: Path, workers: int, environment: Mapping[str, str]
) -> Iterator[DaskCluster]:
    """Start a scheduler and workers; the workers see `environment` and nothing else of ours."""
    (port,) = free_ports(1)
    address = f"tcp://127.0.0.1:{port}"
    folder.mkdir()
    words = ["scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    scheduler = _start(words, folder, environment)
    cluster = DaskCluster(address=address, folder=folder, environment=dict(environment))
    try:
        for _ in range(workers):
            cluster.add_worker()
        cluster.wait_for_workers(workers)
        yield cluster
    finally:
        for process in (*cluster.workers, scheduler):
            kill(process)


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process with everything in its session, as a machine that is gone would."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _start(
    words: list[str], folder: Path, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]],
            cwd=folder,
            env={**kept, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
