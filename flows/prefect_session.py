"""Call a flow from the command line: start Prefect quietly, and tell what is wrong with it."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from flows.console import PROGRESS
from flows.local_server import start_server
from flows.prefect_environment import prepare_prefect
from index_store.errors import UsageError

Options = TypeVar("Options")
Report = TypeVar("Report")


def call_flow(
    load: Callable[[], Callable[[Options], Report]],
    options: Options,
    *,
    tags: tuple[str, ...] = (),
) -> Report:
    """Call a flow against the configured Prefect server, or against one of its own.

    Args:
        load: Imports the flow and returns it; called after the environment is prepared.
        options: What the flow is given.
        tags: Tags of the flow run.

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
        tags = (*tags, *_mark_after_forgetting())
    try:
        with surroundings(tags, is_temporary=server is not None):
            return flow(options)
    except RuntimeError as error:  # Prefect has no type of its own for this
        if "Failed to reach API" in str(error):
            url = os.environ.get("PREFECT_API_URL", "")
            raise UsageError(
                f"the Prefect server at {url} cannot be reached; start it or unset PREFECT_API_URL"
            ) from error
        raise


@contextmanager
def surroundings(named: tuple[str, ...], *, is_temporary: bool) -> Iterator[None]:
    """Give a flow run its tags, and spare it heartbeats that no server is left to miss.

    Args:
        named: Tags of the flow run.
        is_temporary: Whether the Prefect server ends with this process; ending the thread of
            heartbeats takes up to a second.
    """
    from prefect import tags  # noqa: PLC0415 - slow
    from prefect.settings import (  # noqa: PLC0415 - slow
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        temporary_settings,
    )

    updates = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None} if is_temporary else {}
    with temporary_settings(updates), tags(*named):
        yield


def _mark_after_forgetting() -> tuple[str, ...]:
    """Forget old runs of a temporary server, and return the tag by which this one is found."""
    from flows.old_runs import MARK, forget_old_runs  # noqa: PLC0415 - needs the environment

    forget_old_runs()
    return (MARK,)
