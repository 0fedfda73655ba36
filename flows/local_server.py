"""A Prefect server for one run, when none is configured.

Prefect would start one by itself, but that one shares our terminal, so Ctrl-C ends it before the
run has ended, and it outlives a run that is killed.

Invariants: the server is in a session of its own, where Ctrl-C does not reach it; it ends when the
pipe that this process holds is closed, also by a kill; it stops after Prefect has sent its last
events.
"""

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import MutableMapping

from flows.prefect_tables import make_tables
from index_store.errors import TransientError

PATIENCE = "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"
FAREWELL_S = 5.0  # what a server gets to end by itself
# No UI and no background services: what Prefect gives its own temporary server.
_TEMPORARY = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    # Larger batches of records cost the server a third of the processor time per task run, which
    # it takes from the parsers beside it.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE": "100",
}


class LocalServer:
    """A server process; it is stopped when this process exits."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        self._timeout_s = float(environment[PATIENCE])
        with socket.create_server(("127.0.0.1", 0)) as listener:
            descriptor = listener.fileno()
            self._url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-P", "-m", __name__, str(descriptor)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                pass_fds=[descriptor],
                start_new_session=True,
                env={**environment, **_TEMPORARY},
            )
        atexit.register(self.stop)

    @property
    def url(self) -> str:
        """Address of its API."""
        return self._url

    def wait_until_ready(self) -> None:
        """Wait for the first answer; the socket listens already, so that one question is enough.

        Raises:
            TransientError: It did not start, or not in time.
        """
        try:
            urllib.request.urlopen(f"{self._url}/health", timeout=self._timeout_s).close()  # noqa: S310 - our own address
        except (OSError, urllib.error.URLError) as error:
            raise TransientError(
                f"Prefect's temporary server did not start within {self._timeout_s:g} s ({error}); "
                f"run again, or give it more: {PATIENCE}=180"
            ) from error

    def stop(self) -> None:
        """Let go of the server and wait for its end; calling it twice is harmless."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(2 * FAREWELL_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def start_server(environment: MutableMapping[str, str]) -> LocalServer | None:
    """Start a server unless one is configured, and have Prefect use it.

    Args:
        environment: Variables of this process; `PREFECT_API_URL` is set in it.

    Returns:
        The server, or None when Prefect has an address already.
    """
    from prefect import __version__ as release  # noqa: PLC0415 - slow
    from prefect.context import refresh_global_settings_context  # noqa: PLC0415 - slow
    from prefect.settings import get_current_settings  # noqa: PLC0415 - slow

    settings = get_current_settings()
    if settings.api.url:
        return None
    database = settings.home / "prefect.db"
    url = settings.server.database.connection_url
    if url is not None and url.get_secret_value() == f"sqlite+aiosqlite:///{database}":
        make_tables(database, release=release)
    server = LocalServer(environment)
    environment["PREFECT_API_URL"] = server.url
    refresh_global_settings_context()
    return server


def _serve(descriptor: int) -> None:
    """Be the server, on a socket that listens already, until standard input ends."""
    import uvicorn  # noqa: PLC0415 - only the server process needs it

    threading.Thread(target=_end_with_owner, daemon=True).start()
    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        fd=descriptor,
        lifespan="on",
        log_level="error",
    )


def _end_with_owner() -> None:
    with contextlib.suppress(OSError):
        sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(FAREWELL_S)
    os._exit(1)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
