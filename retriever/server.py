"""The process around the service: uvicorn on one address."""

import uvicorn

from retriever.options import RetrieverOptions
from retriever.service import create_app

GRACE_S = 30  # how long requests that are under way may take after a request to stop


def serve(options: RetrieverOptions) -> None:
    """Serve until interrupted; requests that are under way are finished first.

    Raises:
        UsageError: The store's address is of no known kind.
    """
    uvicorn.run(
        create_app(options),
        host=options.host,
        port=options.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
