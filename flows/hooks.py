"""What a person finds in the Prefect UI after a run that did not end well.

Invariant: a hook never raises; the state of the run stands whatever the server answers.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any

import httpx
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import PrefectException
from prefect.flows import Flow

from flows.advice import advice_markdown

logger = logging.getLogger("nightpress.hooks")


def collection_of(parameters: Mapping[str, Any]) -> str:
    """Return the collection that a flow run's parameters name, be they settings or their values."""
    told = parameters.get("settings", parameters.get("options"))
    if isinstance(told, Mapping):
        return str(told.get("collection", "documents"))
    return str(getattr(told, "collection", "documents"))


def tell_what_to_do(flow: "Flow[..., Any]", run: FlowRun, state: "State[Any]") -> None:
    """Write an artifact that says what happened to a run and what to do about it."""
    collection = collection_of(run.parameters)
    try:
        create_markdown_artifact(
            key=re.sub(r"[^a-z0-9]+", "-", f"{collection}-{flow.name}-ended-early".lower()),
            markdown=advice_markdown(
                flow=flow.name,
                collection=collection,
                state=state.name or state.type.value.title(),
                reason=state.message or "",
            ),
            description="Why the run did not end well, and what to do",
        )
    except (httpx.HTTPError, PrefectException, RuntimeError) as error:
        logger.warning("the artifact about the end of the run could not be written: %s", error)
