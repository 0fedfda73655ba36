"""The process around the service: uvicorn on one address."""

import uvicorn

from retriever.options import RetrieverOptions
from retriever.service import create_app

GRACE_S = 30  # how long requests that are under way may take after a signal to stop


def serve(options: RetrieverOptions) -> None:
    """Serve until interrupted; requests that are under way are finished first.

    Raises:
        UsageError: The store's address is of no known kind.
    """
    build_server(options).run()


def build_server(options: RetrieverOptions) -> uvicorn.Server:
    """Return the server that `serve` runs, so that a caller can give it a socket and stop it.

    Raises:
        UsageError: The store's address is of no known kind.
    """
    config = uvicorn.Config(
        create_app(options),
        host=options.host,
        port=options.port,
        log_level="warning",
        access_log=False,  # it would show addresses of people
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=GRACE_S,
    )
    return uvicorn.Server(config)
