"""A backlog runs once: what piled up while no worker was there is one run, not many.

Every run of a deployment does all that is due, so that of several with the same parameters one is
enough; the first that starts takes the others with it. Runs that were asked for with other
parameters are left alone.
"""

import logging
from datetime import UTC, datetime

from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.context import FlowRunContext
from prefect.states import Cancelled

SKIPPED = "Skipped"

logger = logging.getLogger("nightpress.backlog")


def skip_what_is_due_too() -> int:
    """End the other runs of this deployment that are due and would do the same.

    Returns:
        How many there were; 0 outside of a deployment.
    """
    context = FlowRunContext.get()
    mine = None if context is None else context.flow_run
    if mine is None or mine.deployment_id is None:
        return 0
    with get_client(sync_client=True) as client:
        due = client.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate(
                {
                    "deployment_id": {"any_": [mine.deployment_id]},
                    "state": {"type": {"any_": [StateType.SCHEDULED]}},
                    "expected_start_time": {"before_": datetime.now(UTC)},
                }
            )
        )
        others = same_work(mine, due)
        for other in others:
            told = f"the run {mine.name} does what was due"
            client.set_flow_run_state(other.id, Cancelled(name=SKIPPED, message=told), force=True)
    if others:
        logger.info("%d runs that were due too are skipped, this one does their work", len(others))
    return len(others)


def same_work(mine: FlowRun, due: list[FlowRun]) -> list[FlowRun]:
    """Return which runs would do what this one does."""
    return [run for run in due if run.id != mine.id and run.parameters == mine.parameters]
