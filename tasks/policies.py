"""Retries, time-outs and names of every task, in one place.

Invariants: only errors that may pass are retried; no task run is answered from Prefect's cache,
our own content keys decide what is done already. Task runs bear no tags: Prefect asks its server
for a slot per tag before each run, which cost more than some batches; the flow run bears them.
"""

from typing import Any

from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task, exponential_backoff

from index_store.errors import TransientError

RETRIES = 4
BACKOFF_S = 2.0  # 2, 4, 8, 16 s, each plus up to the same again
JITTER = 1.0


def may_pass(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001
    """Tell whether a failed task run is worth another try."""
    return isinstance(state.data, TransientError)


def policy(stage: str, *, run_name: str, retried: bool = True) -> dict[str, Any]:
    """Return the options of a task.

    Args:
        stage: Name of the stage, which becomes the task's name.
        run_name: Name of one run, with parameters in braces.
        retried: Whether errors that may pass are retried.
    """
    options: dict[str, Any] = {
        "name": stage,
        "task_run_name": run_name,
        "cache_policy": NO_CACHE,
        "persist_result": False,
    }
    if retried:
        options |= {
            "retries": RETRIES,
            "retry_delay_seconds": exponential_backoff(backoff_factor=BACKOFF_S),
            "retry_jitter_factor": JITTER,
            "retry_condition_fn": may_pass,
        }
    return options
