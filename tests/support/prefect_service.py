"""A Prefect server with its services, a worker, and a receiver of notifications: all real."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from flows.prefect_environment import prepare_prefect
from tasks.stages.parsing.keeper import descendants
from tests.support.prefect_server import PATIENCE_S, ask
from tests.support.s3_servers import free_ports

PREFECT = Path(sys.executable).with_name("prefect")
POLL_S = 0.5


@dataclass(slots=True, kw_only=True)
class PrefectService:
    """A running server.

    Attributes:
        url: Of its API.
        folder: Where it, and the workers, keep what they keep.
        environment: What a client of it needs.
    """

    url: str
    folder: Path
    environment: dict[str, str]
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start_worker(self, pool: str = "nightpress") -> "subprocess.Popen[bytes]":
        """Start a worker in a session of its own."""
        words = ["worker", "start", "--pool", pool, "--type", "process"]
        with (self.folder / f"worker-{len(self.workers)}.log").open("wb") as log:
            worker = subprocess.Popen(
                [PREFECT, *words], cwd=self.folder, env=os.environ | self.environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.workers.append(worker)
        return worker

    def runs(self, **chosen: object) -> list[dict[str, Any]]:
        """Flow runs, in the order in which they were due."""
        rows = ask(self.url, "flow_runs", {"flow_runs": chosen, "sort": "EXPECTED_START_TIME_ASC"})
        return [dict(row) for row in rows]

    def states(self, deployment: str = "reindex/documents") -> list[str]:
        """Names of the states of the runs of a deployment."""
        with urllib.request.urlopen(f"{self.url}/deployments/name/{deployment}") as answer:  # noqa: S310
            found = json.load(answer)["id"]
        return [str(run["state_name"]) for run in self.runs(deployment_id={"any_": [found]})]

    def create_run(self, deployment: str, **body: object) -> str:
        """Ask for a run of a deployment; returns its id."""
        with urllib.request.urlopen(f"{self.url}/deployments/name/{deployment}") as answer:  # noqa: S310
            found = json.load(answer)["id"]
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{self.url}/deployments/{found}/create_flow_run",
            data=json.dumps({"idempotency_key": uuid4().hex, **body}).encode(),
            headers={"Content-Type": "application/json"},
        )
        made: list[str] = []
        wait_for(lambda: _asked(request, made), "a server whose database is not busy")
        return made[0]


@contextlib.contextmanager
def prefect_service(folder: Path, **more: str) -> Iterator[PrefectService]:
    """Start a server on a fresh database, with every service that a production server has."""
    folder.mkdir()
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/api"
    environment = {"PREFECT_HOME": str(folder), "PREFECT_API_URL": url, **more}
    prepare_prefect(environment)
    words = ["server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [PREFECT, *words], env=os.environ | environment, stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    service = PrefectService(url=url, folder=folder, environment=environment)
    try:
        wait_for(lambda: _answers(url), "the Prefect server to answer")
        yield service
    finally:
        for process in (*service.workers, server):
            kill_all(process)


def shipped_settings(root: Path) -> dict[str, str]:
    """What `deployments/compose.yaml` tells the services of its Prefect server."""
    read = yaml.safe_load((root / "deployments" / "compose.yaml").read_text())
    told: dict[str, str] = read["services"]["prefect"]["environment"]
    return {name: told[name] for name in told if name.startswith("PREFECT_SERVER_SERVICES_")}


class Receiver:
    """Takes what is posted to it, on a port of loopback."""

    def __init__(self) -> None:
        bodies: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                bodies.append(json.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.bodies = bodies
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/told"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def wait_for(holds: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Wait until something holds."""
    pause, deadline = threading.Event(), time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        pause.wait(POLL_S)


def kill_all(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process with everything that came from it, as a machine that is gone would."""
    children = descendants(process.pid) if process.poll() is None else []
    for each in (process.pid, *children):
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    process.wait()


def _asked(request: urllib.request.Request, made: list[str]) -> bool:
    """Ask once, as Prefect's own client does again after 503: its database was locked."""
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own server
            made.append(str(json.load(answer)["id"]))
    except urllib.error.HTTPError as error:
        if error.code != 503:
            raise
    return bool(made)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/health", timeout=5).close()  # noqa: S310 - our own
    except (urllib.error.URLError, OSError):
        return False
    return True
