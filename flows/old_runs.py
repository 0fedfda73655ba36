"""Runs that a temporary Prefect server has kept long enough.

A server that runs by itself deletes old runs, when it is told to; a temporary one deletes events
alone. Its database is the person's, and may hold flows of theirs.

Invariants: only runs that bear our tag are deleted; a few in one go, so that no night waits for a
year of them; a server that refuses stops no night.
"""

import contextlib
import logging
from datetime import UTC, datetime

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.settings import get_current_settings

MARK = "nightpress"
"""Tag of a run with a temporary server, by which it is found when it is old."""
AT_ONCE = 10  # runs; a night makes one, and one takes 0.3 s on a busy machine

logger = logging.getLogger("nightpress.old_runs")


def forget_old_runs() -> None:
    """Delete what Prefect's settings say is old: `server.services.db_vacuum`.

    Nothing is done when they do not name `flow_runs` among what is to be deleted.
    """
    told = get_current_settings().server.services.db_vacuum
    if "flow_runs" not in told.enabled_vacuum_types:
        return
    try:
        _delete_runs(before=datetime.now(UTC) - told.retention_period)
    except (httpx.HTTPError, PrefectException, RuntimeError) as error:
        logger.warning("old runs could not be deleted from Prefect's database: %s", error)


def _delete_runs(*, before: datetime) -> None:
    """Delete runs of ours that began before a time; one that was killed has no end."""
    with get_client(sync_client=True) as client:
        old = client.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate(
                {"tags": {"all_": [MARK]}, "start_time": {"before_": before}}
            ),
            limit=AT_ONCE,
        )
        for run in old:
            with contextlib.suppress(ObjectNotFound):  # another process deletes it, too
                _delete(client, run)


def _delete(client: SyncPrefectClient, run: FlowRun) -> None:
    """Delete a run; its artifacts first, because nothing tells of them when it is gone."""
    chosen = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
    while artifacts := client.read_artifacts(flow_run_filter=chosen):
        for artifact in artifacts:
            client.delete_artifact(artifact.id)
    client.delete_flow_run(run.id)
