"""Call a flow from the command line: start Prefect quietly, and tell what is wrong with it."""

import logging
import os
from collections.abc import Callable
from typing import TypeVar

from flows.console import PROGRESS
from flows.local_server import start_server
from flows.prefect_environment import prepare_prefect
from index_store.errors import UsageError

Options = TypeVar("Options")
Report = TypeVar("Report")


def call_flow(load: Callable[[], Callable[[Options], Report]], options: Options) -> Report:
    """Call a flow against the configured Prefect server, or against one of its own.

    Args:
        load: Imports the flow and returns it; called after the environment is prepared.
        options: What the flow is given.

    Returns:
        What the flow returns.

    Raises:
        UsageError: The configured server cannot be reached.
        TransientError: The server of its own did not start in time.
        IndexStoreError: Whatever stopped the flow.
    """
    logging.getLogger(PROGRESS).info("start     Prefect")
    prepare_prefect(os.environ)
    server = start_server(os.environ)
    flow = load()
    if server is not None:
        server.wait_until_ready()
    try:
        return flow(options)
    except RuntimeError as error:  # Prefect has no type of its own for this
        if "Failed to reach API" in str(error):
            url = os.environ.get("PREFECT_API_URL", "")
            raise UsageError(
                f"the Prefect server at {url} cannot be reached; start it or unset PREFECT_API_URL"
            ) from error
        raise
