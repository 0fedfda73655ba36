"""A plan of deployments, made so on a Prefect server.

Invariant: each thing is compared with what is there and written only when it differs.
"""

import importlib
import json
from collections.abc import Mapping
from http import HTTPStatus
from importlib.resources import files
from typing import Any
from uuid import UUID

from httpx import HTTPStatusError
from prefect.blocks.core import Block
from prefect.blocks.notifications import SlackWebhook
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import (
    DeploymentScheduleCreate,
    WorkPoolCreate,
    WorkPoolUpdate,
)
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.events import AutomationCore
from prefect.exceptions import ObjectNotFound
from prefect.flows import Flow
from prefect.utilities.callables import parameter_schema
from pydantic import SecretStr

from flows.deployment_changes import CREATE, KEEP, UPDATE, Change
from flows.deployment_plan import DeploymentPlan, PlannedDeployment, PlannedPool, laid_over
from index_store.errors import UsageError

TEMPLATES = "collections_data/views/aggregate-worker-metadata.json"
BLOCKS: Mapping[str, type[Block]] = {"webhook": Webhook, "slack-webhook": SlackWebhook}


def apply_plan(client: SyncPrefectClient, plan: DeploymentPlan, *, dry_run: bool) -> list[Change]:
    """Make a plan so.

    Args:
        client: Of the server.
        plan: What there shall be.
        dry_run: Whether only to tell what would be changed.

    Returns:
        Every thing of the plan, with what was done to it.
    """
    changes = [
        _make_pool(client, plan.pool, dry_run=dry_run),
        _make_queue(client, plan.pool.name, plan.queue, dry_run=dry_run),
        *[_make_deployment(client, plan, each, dry_run=dry_run) for each in plan.deployments],
    ]
    ids: dict[str, UUID] = {}
    for name, address in plan.blocks.items():
        changes.append(_make_block(name, address, ids, dry_run=dry_run))
    changes += [_make_automation(client, each, ids, dry_run=dry_run) for each in plan.automations]
    return changes


def base_template(pool: PlannedPool) -> dict[str, Any]:
    """Return Prefect's own template for a kind of work pool, with ours laid over it.

    Raises:
        UsageError: Prefect has no such kind.
    """
    text = files("prefect.server.api").joinpath(TEMPLATES).read_text(encoding="utf-8")
    kinds = {
        kind: worker for workers in json.loads(text).values() for kind, worker in workers.items()
    }
    if pool.kind not in kinds:
        raise UsageError(f"work pool type {pool.kind!r} is unknown; there are: {' '.join(kinds)}")
    template = kinds[pool.kind]["default_base_job_configuration"]
    properties = template["variables"]["properties"]
    for name, value in pool.job_variables.items():
        if name not in properties:
            raise UsageError(f"a work pool of type {pool.kind!r} has no variable {name!r}")
        properties[name]["default"] = value
    merged: dict[str, Any] = laid_over(
        template, {"job_configuration": dict(pool.job_configuration)}
    )
    return merged


def _make_pool(client: SyncPrefectClient, pool: PlannedPool, *, dry_run: bool) -> Change:
    template = base_template(pool)
    try:
        there = client.read_work_pool(pool.name)
    except ObjectNotFound:
        if not dry_run:
            client.create_work_pool(
                WorkPoolCreate(name=pool.name, type=pool.kind, base_job_template=template)
            )
        return Change(kind="work pool", name=pool.name, action=CREATE, detail=pool.kind)
    if there.type != pool.kind:
        raise UsageError(
            f"work pool {pool.name!r} is of type {there.type!r}, not {pool.kind!r}; "
            "choose another name with --pool, or its type with --pool-type"
        )
    if there.base_job_template == template:
        return Change(kind="work pool", name=pool.name, action=KEEP, detail=pool.kind)
    if not dry_run:
        client.update_work_pool(pool.name, WorkPoolUpdate(base_job_template=template))
    return Change(kind="work pool", name=pool.name, action=UPDATE, detail="template of jobs")


def _make_queue(client: SyncPrefectClient, pool: str, queue: str, *, dry_run: bool) -> Change:
    """Make the queue of a collection, with a limit of one run whatever the flow."""
    name, where = f"{pool}/{queue}", f"/work_pools/{pool}/queues"
    try:
        there = client.request("GET", f"{where}/{queue}").json()  # type: ignore[arg-type]
    except HTTPStatusError as error:
        if error.response.status_code != HTTPStatus.NOT_FOUND:
            raise
        there = None
    if there is None:
        if not dry_run:
            client.request("POST", f"{where}", json={"name": queue, "concurrency_limit": 1})  # type: ignore[arg-type]
        return Change(kind="work queue", name=name, action=CREATE, detail="one run at a time")
    if there["concurrency_limit"] == 1:
        return Change(kind="work queue", name=name, action=KEEP, detail="one run at a time")
    if not dry_run:
        client.request("PATCH", f"{where}/{queue}", json={"concurrency_limit": 1})  # type: ignore[arg-type]
    return Change(kind="work queue", name=name, action=UPDATE, detail="one run at a time")


def _make_deployment(
    client: SyncPrefectClient, plan: DeploymentPlan, planned: PlannedDeployment, *, dry_run: bool
) -> Change:
    flow = _load(planned.entrypoint)
    name = f"{flow.name}/{planned.name}"
    wanted = _wanted(plan, planned, flow)
    try:
        there = _there(client.read_deployment_by_name(name))
    except ObjectNotFound:
        there = None
    changed = [] if there is None else [key for key in wanted if wanted[key] != there[key]]
    if there is not None and not changed:
        return Change(kind="deployment", name=name, action=KEEP)
    if not dry_run:
        _create_deployment(client, plan, planned, flow, wanted)
    return Change(
        kind="deployment",
        name=name,
        action=CREATE if there is None else UPDATE,
        detail=", ".join(changed),
    )


def _load(entrypoint: str) -> "Flow[..., Any]":
    module, _, function = entrypoint.rpartition(".")
    try:
        loaded = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"entrypoint {entrypoint!r} is no flow: {error}") from error
    if not isinstance(loaded, Flow):
        raise UsageError(f"entrypoint {entrypoint!r} is no flow")
    return loaded


def _wanted(
    plan: DeploymentPlan, planned: PlannedDeployment, flow: "Flow[..., Any]"
) -> dict[str, Any]:
    """Return what a deployment shall be, in the words in which `_there` says what it is."""
    return {
        "entrypoint": planned.entrypoint,
        "description": planned.description,
        "tags": sorted(planned.tags),
        "parameters": dict(planned.parameters),
        "schedules": sorted(planned.schedules),
        "limit": planned.limit,
        "collision": planned.collision,
        "job_variables": dict(planned.job_variables),
        "work_pool": plan.pool.name,
        "work_queue": plan.queue,
        "form": parameter_schema(flow).model_dump(mode="json", exclude_none=True),
    }


def _there(found: DeploymentResponse) -> dict[str, Any]:
    limit, options = found.global_concurrency_limit, found.concurrency_options
    return {
        "entrypoint": found.entrypoint,
        "description": found.description,
        "tags": sorted(found.tags),
        "parameters": found.parameters,
        "schedules": sorted(
            (each.schedule.cron, each.schedule.timezone)
            for each in found.schedules
            if isinstance(each.schedule, CronSchedule)
        ),
        "limit": None if limit is None else limit.limit,
        "collision": None if options is None else options.collision_strategy.value,
        "job_variables": found.job_variables,
        "work_pool": found.work_pool_name,
        "work_queue": found.work_queue_name,
        "form": found.parameter_openapi_schema,
    }


def _create_deployment(
    client: SyncPrefectClient,
    plan: DeploymentPlan,
    planned: PlannedDeployment,
    flow: "Flow[..., Any]",
    wanted: Mapping[str, Any],
) -> None:
    """Create a deployment; one of its name is replaced, and its schedules with it."""
    client.create_deployment(
        flow_id=client.create_flow_from_name(flow.name),
        name=planned.name,
        entrypoint=planned.entrypoint,
        description=planned.description,
        tags=list(planned.tags),
        parameters=dict(planned.parameters),
        schedules=[
            DeploymentScheduleCreate(schedule=CronSchedule(cron=cron, timezone=zone))
            for cron, zone in planned.schedules
        ],
        concurrency_limit=planned.limit,
        concurrency_options=ConcurrencyOptions(
            collision_strategy=ConcurrencyLimitStrategy(planned.collision)
        ),
        job_variables=dict(planned.job_variables),
        work_pool_name=plan.pool.name,
        work_queue_name=plan.queue,
        parameter_openapi_schema=wanted["form"],
        enforce_parameter_schema=True,
    )


def _make_block(name: str, address: str, ids: dict[str, UUID], *, dry_run: bool) -> Change:
    """Keep an address in a block; its id is noted, that of one that is yet to be made is zero."""
    slug, _, document = name.partition("/")
    block = BLOCKS[slug]
    try:
        there = block.load(document)
    except ValueError:
        there = None
    if there is not None and there.url.get_secret_value() == address:  # type: ignore[union-attr]
        ids[name] = there._block_document_id  # type: ignore[union-attr]
        return Change(kind="block", name=name, action=KEEP)
    ids[name] = UUID(int=0)
    if not dry_run:
        saved = block(url=SecretStr(address)).save(document, overwrite=True)
        ids[name] = saved  # type: ignore[assignment]
    return Change(kind="block", name=name, action=CREATE if there is None else UPDATE)


def _make_automation(
    client: SyncPrefectClient, told: Mapping[str, Any], ids: Mapping[str, UUID], *, dry_run: bool
) -> Change:
    wanted = AutomationCore.model_validate({**told, "actions": _with_ids(told["actions"], ids)})
    there = client.read_automations_by_name(wanted.name)
    if not there:
        if not dry_run:
            client.create_automation(wanted)
        return Change(kind="automation", name=wanted.name, action=CREATE)
    if _comparable(there[0]) == _comparable(wanted):
        return Change(kind="automation", name=wanted.name, action=KEEP)
    if not dry_run:
        client.update_automation(there[0].id, wanted)
    return Change(kind="automation", name=wanted.name, action=UPDATE)


def _with_ids(actions: list[dict[str, Any]], ids: Mapping[str, UUID]) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in action.items() if key != "block"}
        | ({"block_document_id": str(ids[action["block"]])} if "block" in action else {})
        for action in actions
    ]


def _comparable(automation: AutomationCore) -> dict[str, Any]:
    plain = automation.model_dump(mode="json", include=set(AutomationCore.model_fields))
    trigger = plain["trigger"]
    trigger.pop("id", None)  # the server's
    for name in ("after", "expect"):  # sets
        trigger[name] = sorted(trigger.get(name, ()))
    return plain
