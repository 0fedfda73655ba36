"""A Ray cluster of one node as processes of its own, which a run may send its batches to."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tasks.stages.parsing.keeper import descendants
from tests.support.s3_servers import free_ports

PATIENCE_S = 120
STARTED = "Ray runtime started."
RAY = Path(sys.executable).with_name("ray")


class RayCluster:
    """A running cluster.

    Attributes:
        address: What the setting `cluster` is given.
    """

    def __init__(self, address: str, process: "subprocess.Popen[str]") -> None:
        self.address, self._process = address, process

    def kill_a_worker(self) -> None:
        """Kill a process that parses, as the kernel does; there must be one."""
        workers = [
            pid
            for pid in descendants(self._process.pid)
            if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::parse")
        ]
        os.kill(workers[0], signal.SIGKILL)


@contextmanager
def ray_cluster(environment: Mapping[str, str]) -> Iterator[RayCluster]:
    """Start a cluster whose workers see `environment` and nothing else of ours."""
    (port,) = free_ports(1)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        process = subprocess.Popen(
            [
                *(RAY, "start", "--head", "--block", "--num-cpus", "2", "--disable-usage-stats"),
                *("--node-ip-address", "127.0.0.1", "--port", str(port), "--temp-dir", folder),
                "--include-dashboard=false",
            ],
            cwd=folder,
            env={**kept, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            encoding="utf-8",
        )
        try:
            assert process.stdout is not None
            told = next((line for line in process.stdout if STARTED in line), None)
            assert told, "Ray did not start"
            yield RayCluster(f"127.0.0.1:{port}", process)
        finally:
            below = descendants(process.pid)
            process.terminate()
            process.communicate(timeout=PATIENCE_S)
            for pid in below:
                if Path(f"/proc/{pid}").exists():
                    os.kill(pid, signal.SIGKILL)
