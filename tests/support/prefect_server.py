"""One real Prefect server for all tests of a session, so that each run starts quickly."""

import contextlib
import fcntl
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

from flows.prefect_environment import prepare_prefect

PATIENCE_S = 240  # with a busy machine, not an expectation


@contextlib.contextmanager
def shared_server(folder: Path) -> Iterator[str]:
    """Start the server of a folder unless one of the processes that share it did so already.

    The server ends when the last of them has let go of it: all hold its standard input open.

    Yields:
        The address of its API.
    """
    folder.mkdir(exist_ok=True)
    pipe, address = folder / "pipe", folder / "address"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not address.exists():
            os.mkfifo(pipe)
        hold = os.open(pipe, os.O_RDWR)
        if not address.exists():
            address.write_text(_start(pipe, folder))
        # A FIFO that this process could read as well would never end for the server.
        keep = os.open(pipe, os.O_WRONLY)
        os.close(hold)
    try:
        yield address.read_text()
    finally:
        os.close(keep)


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


def _start(pipe: Path, folder: Path) -> str:
    environment = {**os.environ, "PREFECT_HOME": str(folder), "PREFECT_UI_ENABLED": "0"}
    prepare_prefect(environment)
    with socket.create_server(("127.0.0.1", 0)) as listener, pipe.open("rb") as its_end:
        server = [sys.executable, "-m", "flows.local_server", str(listener.fileno())]
        subprocess.run(
            ["setsid", "--fork", *server],  # a child of nobody, as it may outlive who starts it
            stdin=its_end,
            stdout=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            env=environment,
            check=True,
        )
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
    urllib.request.urlopen(f"{url}/health", timeout=PATIENCE_S).close()  # noqa: S310 - our own
    return url
