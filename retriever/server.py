"""The process around the service: uvicorn on one address."""

import socket
from contextlib import suppress

import uvicorn

from index_store.errors import UsageError
from retriever.options import RetrieverOptions
from retriever.service import create_app

GRACE_S = 30  # how long requests that are under way may take after a signal to stop


def serve(options: RetrieverOptions) -> None:
    """Serve until interrupted; requests that are under way are finished first.

    Raises:
        UsageError: The address cannot be listened on, or the store's is of no known kind.
    """
    server = build_server(options)
    with listen(options) as listening, suppress(KeyboardInterrupt):
        server.run(sockets=[listening])


def build_server(options: RetrieverOptions) -> uvicorn.Server:
    """Return the server that `serve` runs, so that a caller can stop it.

    Raises:
        UsageError: The store's address is of no known kind.
    """
    config = uvicorn.Config(
        create_app(options),
        log_level="warning",
        access_log=False,  # it would show addresses of people
        server_header=False,
        ws="websockets-sansio",
        timeout_graceful_shutdown=GRACE_S,
    )
    return uvicorn.Server(config)


def listen(options: RetrieverOptions) -> socket.socket:
    """Return a socket that listens where the options say.

    Raises:
        UsageError: The name is unknown, or the address is taken, foreign or reserved.
    """
    where = f"{options.host}:{options.port}"
    # Named as TCP, or asyncio would leave every answer waiting 40 ms for an acknowledgement.
    tcp = {"type": socket.SOCK_STREAM, "proto": socket.IPPROTO_TCP}
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(options.host, options.port, **tcp)[
            0
        ]
    except OSError as error:
        raise UsageError(f"cannot listen on {where}: {error.strerror}") from error
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()
    except OSError as error:
        listening.close()
        raise UsageError(f"cannot listen on {where}: {error.strerror}") from error
    return listening
