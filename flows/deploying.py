"""The command `nightpress deploy`: make a collection's deployments so on a Prefect server.

Invariants: what stands there already as it should is left alone, so that running it twice changes
nothing; nothing is written with `--dry-run`.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from flows.console import print_json, print_table
from flows.deployment_changes import Change
from flows.deployment_plan import SECRETS, DeploymentPlan, DeployOptions, plan_deployment
from flows.prefect_environment import prepare_prefect
from flows.run_settings import new_run_id, run_options
from flows.settings import Settings
from index_store.errors import UsageError

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient


def deploy(settings: Settings, options: DeployOptions, *, dry_run: bool, as_json: bool) -> None:
    """Make the deployments of a collection so, or say what would be changed.

    Raises:
        UsageError: A setting or a file is wrong, or no Prefect server is configured or reached.
    """
    run_options(settings, new_run_id())  # a person's mistake is told before anything is made
    plan = plan_deployment(settings, options)
    _warn_of_keys(settings)
    prepare_prefect(os.environ)
    from flows.deployment_server import apply_plan  # noqa: PLC0415 - loads Prefect

    with _server() as client:
        changes = apply_plan(client, plan, dry_run=dry_run)
    if as_json:
        print_json(_as_json(plan, changes, dry_run=dry_run))
    else:
        _print(plan, changes, dry_run=dry_run)


def _warn_of_keys(settings: Settings) -> None:
    given = [name for name in SECRETS if getattr(settings, name) is not None]
    for name in given:
        click.echo(
            f"nightpress: {name} is not written to Prefect; runs take it from the worker's "
            f"environment (NIGHTPRESS_{name.upper()}), from embed_key_file or embed_key_block",
            err=True,
        )


@contextmanager
def _server() -> Iterator["SyncPrefectClient"]:
    import httpx  # noqa: PLC0415 - slow
    from prefect import get_client  # noqa: PLC0415 - slow
    from prefect.settings import get_current_settings  # noqa: PLC0415 - slow

    url = get_current_settings().api.url
    if not url:
        raise UsageError(
            "no Prefect server is configured; set PREFECT_API_URL, such as "
            "http://127.0.0.1:4200/api"
        )
    try:
        with get_client(sync_client=True) as client:
            yield client
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise UsageError(
            f"the Prefect server at {url} cannot be reached: {error}; start it or correct "
            "PREFECT_API_URL"
        ) from error
    except RuntimeError as error:  # Prefect has no type of its own for this
        if "Failed to reach API" not in str(error):
            raise
        raise UsageError(
            f"the Prefect server at {url} cannot be reached; start it or correct PREFECT_API_URL"
        ) from error


def _as_json(plan: DeploymentPlan, changes: list[Change], *, dry_run: bool) -> Mapping[str, object]:
    return {
        "dry_run": dry_run,
        "work_pool": plan.pool.name,
        "work_queue": plan.queue,
        "changes": [
            {"kind": each.kind, "name": each.name, "action": each.action, "detail": each.detail}
            for each in changes
        ],
    }


def _print(plan: DeploymentPlan, changes: list[Change], *, dry_run: bool) -> None:
    rows = [(each.action, each.kind, each.name, each.detail) for each in changes]
    print_table(("action", "what", "name", "detail"), rows)
    for deployment in plan.deployments:
        for cron, zone in deployment.schedules:
            click.echo(f"{deployment.flow}/{deployment.name} runs at {cron!r}, {zone}")
    if dry_run:
        click.echo("nothing was changed; leave --dry-run away to make it so")
    else:
        click.echo(f"runs need a worker: prefect worker start --pool {plan.pool.name}")
