"""What every flow shares at its entry, be it called here or run from a deployment.

A deployment hands over plain values; here they become settings. Its parameters win over the
environment of the worker, and that over the worker's `nightpress.toml`: so keys stay with the
worker, and a form shows what a run is told.

Invariants: a run that a gate, the tripwire or the budget stopped ends in the state "Blocked", which
is told apart from "Failed"; a run from a deployment takes older ones that are due with it; no task
run bears a tag.
"""

import functools
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext, TagsContext
from prefect.runtime import flow_run
from prefect.states import Failed

from flows.backlog import skip_what_is_due_too
from flows.hooks import collection_of, tell_what_to_do
from flows.settings import NightSettings, load_settings
from index_store.errors import StoppedError

BLOCKED = "Blocked"

More = ParamSpec("More")
Report = TypeVar("Report")

logger = logging.getLogger("nightpress.entry")


def flow_policy(name: str) -> dict[str, Any]:
    """Return the options of a flow; those of its tasks are in `tasks.policies`.

    Flows are not retried: what may pass is retried by tasks, and the next run goes on where one
    was killed.

    Args:
        name: Name of the flow, with which the names of its runs begin.
    """
    return {
        "name": name,
        "flow_run_name": lambda: f"{name}-{collection_of(flow_run.get_parameters())}",
        "persist_result": False,
        "validate_parameters": False,  # by our own settings, which read the environment too
        "on_failure": [tell_what_to_do],
        "on_crashed": [tell_what_to_do],
        "on_cancellation": [tell_what_to_do],
    }


def entry(
    function: Callable[Concatenate[NightSettings, More], Report],
) -> Callable[Concatenate[NightSettings, More], Report]:
    """Give a flow's function its settings, and let it end as blocked when something stopped it."""

    @functools.wraps(function)
    def enter(settings: NightSettings, *args: More.args, **kwargs: More.kwargs) -> Report:
        try:
            told = told_settings(settings, os.environ)
            skip_what_is_due_too()
            # Task runs would take over the tags of the flow run, and wait for a slot for each.
            with TagsContext(current_tags=set()):
                return function(told, *args, **kwargs)
        except StoppedError as error:
            if FlowRunContext.get() is None:
                raise
            blocked: State[Any] = Failed(name=BLOCKED, message=str(error), data=error)
            return cast("Report", blocked)  # Prefect takes it as the state; its caller gets `error`

    return cast("Callable[Concatenate[NightSettings, More], Report]", enter)


def told_settings(
    given: NightSettings | Mapping[str, object], environment: Mapping[str, str]
) -> NightSettings:
    """Return settings as they are, or read those that a deployment gives.

    Args:
        given: Settings, or the values of some of them.
        environment: Environment of this process, which says the rest.

    Raises:
        UsageError: A name is unknown or a value is refused; every problem is listed.
    """
    if isinstance(given, NightSettings):
        return given
    logging.getLogger("nightpress").setLevel(logging.INFO)  # for the log in the Prefect UI
    loaded = load_settings(given, environment)
    for notice in loaded.notices:
        logger.warning("%s", notice)
    return loaded.settings
