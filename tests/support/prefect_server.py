"""One real Prefect server for all tests of a session, so that each run starts quickly."""

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import httpx

DEADLINE_S = 240  # patience with a busy machine, not an expectation
QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
}


@cache
def shared_server() -> str:
    """Start the server on the first call and return the address of its API."""
    home = tempfile.mkdtemp(prefix="nightpress-prefect-")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            Path(sys.executable).with_name("prefect"),
            "server",
            "start",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ],
        env={**os.environ, **QUIET, "PREFECT_HOME": home},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    atexit.register(_stop, process, home)
    url = f"http://127.0.0.1:{port}/api"
    _wait(url, process)
    return url


def ask(url: str, path: str, body: Mapping[str, object]) -> list[dict[str, object]]:
    """Ask the server for all rows of a filter, page by page."""
    rows: list[dict[str, object]] = []
    while True:
        reply = httpx.post(
            f"{url}/{path}/filter", json={**body, "limit": 200, "offset": len(rows)}, timeout=60
        )
        page = reply.raise_for_status().json()
        rows += page
        if len(page) < 200:
            return rows


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    pause, deadline = threading.Event(), time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/health").is_success:
                return
        except httpx.TransportError:
            pass  # it does not listen yet
        pause.wait(0.2)
    raise RuntimeError("the Prefect server never became ready")


def _stop(process: "subprocess.Popen[bytes]", home: str) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    shutil.rmtree(home, ignore_errors=True)
