"""The process around the service: uvicorn on one address, and how it ends.

Told to stop (SIGTERM), it says on `/readyz` that nothing should be sent any more, and asks whoever
has a connection to close it, but goes on answering for a while; then it takes no more connections,
finishes what is under way, and ends. A second signal skips the while; Ctrl-C does so at once.
"""

import asyncio
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FrameType
from typing import cast

import uvicorn

from index_store.errors import UsageError
from retriever.options import RetrieverOptions
from retriever.patience import PatientHttp, protocols
from retriever.service import create_app

GRACE_S = 30  # how long requests that are under way may take after that
KEEP_ALIVE_S = 75  # longer than the proxies' own, or they send into a connection that closes


class DrainingServer(uvicorn.Server):
    """uvicorn, going on for a while after it was told to stop.

    Args:
        config: As uvicorn takes it.
        drain_s: How long the while is.
        tell: Has the service say that it ends.
    """

    def __init__(self, config: uvicorn.Config, drain_s: float, tell: Callable[[], None]) -> None:
        super().__init__(config)
        self._drain_s = drain_s
        self._tell = tell
        self._drained_at: float | None = None

    def drain(self) -> None:
        """Begin to stop."""
        if self._drained_at is None:
            self._tell()
            self._drained_at = time.monotonic() + self._drain_s

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if sig == signal.SIGTERM and self._drained_at is None and self.started:
            self.drain()
            return
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take what the system has accepted already, then end; see uvicorn."""
        accepted = [each for listening in sockets or [] for each in _accepted(listening)]
        joining = asyncio.gather(*map(self._join, accepted))
        await super().shutdown(sockets)  # stops to listen before anything else can happen
        await joining

    async def _join(self, connection: socket.socket) -> None:
        """Have the only request of a connection answered."""
        known = {"server_state": self.server_state, "app_state": self.lifespan.state}
        protocol = self.config.http_protocol_class(config=self.config, **known)  # type: ignore[call-arg]
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: protocol, connection)
        cast("PatientHttp", protocol).shutdown()

    async def on_tick(self, counter: int) -> bool:
        """Tell, ten times a second, whether it is time to end."""
        if self._drained_at is not None and time.monotonic() >= self._drained_at:
            self.should_exit = True
        return await super().on_tick(counter)


def _accepted(listening: socket.socket) -> Iterator[socket.socket]:
    """Yield the connections that wait to be taken."""
    listening.setblocking(False)  # noqa: FBT003 - the standard library's own
    with suppress(OSError):  # none is left
        while True:
            connection, _ = listening.accept()
            connection.setblocking(False)  # noqa: FBT003 - likewise
            yield connection


def serve(options: RetrieverOptions) -> None:
    """Serve until interrupted; requests that are under way are finished first.

    Raises:
        UsageError: The address cannot be listened on, or the store's is of no known kind.
    """
    server = build_server(options)
    with listen(options) as listening, suppress(KeyboardInterrupt):
        server.run(sockets=[listening])


def build_server(options: RetrieverOptions) -> DrainingServer:
    """Return the server that `serve` runs, so that a caller can stop it.

    Raises:
        UsageError: The store's address is of no known kind.
    """
    http, websocket = protocols(options.patience)
    app = create_app(options)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # it would show addresses of people
        server_header=False,
        proxy_headers=False,  # nothing here goes by an address
        http=http,
        ws=websocket,
        ws_max_size=options.max_chat_bytes,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    return DrainingServer(config, options.drain_s, app.state.drain)


def listen(options: RetrieverOptions) -> socket.socket:
    """Return a socket that listens where the options say.

    Raises:
        UsageError: The name is unknown, or the address is taken, foreign or reserved.
    """
    where = f"{options.host}:{options.port}"
    # Named as TCP, or asyncio would leave every answer waiting 40 ms for an acknowledgement.
    tcp = {"type": socket.SOCK_STREAM, "proto": socket.IPPROTO_TCP}
    try:
        found = socket.getaddrinfo(options.host, options.port, **tcp)
        family, kind, protocol, _, address = found[0]
    except OSError as error:
        raise UsageError(f"cannot listen on {where}: {error.strerror}") from error
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(1024)
    except OSError as error:
        listening.close()
        raise UsageError(f"cannot listen on {where}: {error.strerror}") from error
    return listening
