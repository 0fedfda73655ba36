"""The command `nightpress run`: start Prefect, run the flow, print the report."""

import time
from collections.abc import Callable
from dataclasses import replace

import click

from flows.console import print_json, print_table, visible
from flows.prefect_session import call_flow
from flows.run_settings import new_run_id, run_options
from flows.settings import Settings
from index_store.embedders.prices import FREE_OF_CHARGE
from index_store.storage.opening import open_storage
from tasks.stages.concluding import NO_SOURCE
from tasks.stages.reporting import RunReport, money, price_line
from tasks.stages.spending import RunCost
from tasks.stages.workshop import open_run_embedder

SHOWN_REJECTIONS = 20


def run_flow(settings: Settings, *, as_json: bool) -> None:
    """Run the flow once and print what it did.

    Raises:
        IndexStoreError: Whatever stopped the run.
    """
    # A person's mistake is told before Prefect starts.
    options = run_options(settings, new_run_id())
    open_storage(settings.store)
    open_run_embedder(options.embed).close()
    started = time.time()
    tags = (f"collection:{settings.collection}", f"embedder:{settings.embedder}")
    report = call_flow(_load, settings, tags=tags)
    start = max(0.0, report.began_at_ms / 1000 - started)
    report = replace(report, seconds={"start": start, **report.seconds})
    wall = time.time() - started
    if as_json:
        print_json(report.as_json())
    else:
        _print(report, wall)


def _load() -> Callable[[Settings], RunReport]:
    from flows.reindex import reindex  # noqa: PLC0415 - reads the environment of Prefect

    return reindex


def _print(report: RunReport, wall: float) -> None:
    if report.unchanged:
        click.echo(f"nothing changed; version {_short(report.version)} stays")
        if NO_SOURCE in report.warnings:
            click.echo(f"{NO_SOURCE}, and the embedder is the one that made it")
    else:
        state = "is in production" if report.promoted else "is a candidate"
        click.echo(f"version {_short(report.version)} {state}")
    documents = ", ".join(f"{count} {name}" for name, count in report.documents.items())
    click.echo(f"documents: {documents}")
    chunks = report.chunks
    click.echo(f"chunks: {chunks['total']} searchable, {chunks['new']} new, {chunks['dead']} dead")
    embedding = report.embedding
    click.echo(
        f"embedding: {embedding['texts']} texts, {embedding['tokens']} tokens in "
        f"{embedding['requests']} requests, {embedding['reused']} vectors reused"
    )
    if report.cost.price != FREE_OF_CHARGE:
        _print_cost(report.cost)
    stages = ", ".join(f"{stage} {spent:.1f}" for stage, spent in report.seconds.items())
    click.echo(f"seconds: {stages}; {wall:.1f} in all")
    if report.without_chunks:
        click.echo(
            f"{len(report.without_chunks)} documents gave no chunk: "
            "see without_chunks in --json, and the setting chunker"
        )
    if report.rejections:
        click.echo("rejected:")
        rows = [
            (f"  {entry.uri}", entry.reason, entry.detail)
            for entry in report.rejections[:SHOWN_REJECTIONS]
        ]
        print_table(("  document", "reason", "detail"), rows)
        if len(report.rejections) > SHOWN_REJECTIONS:
            click.echo("  … all of them: nightpress rejected")


def _print_cost(cost: RunCost) -> None:
    total = cost.total
    click.echo(
        f"cost: {money(cost.spent)} for {total.tokens} tokens, {total.told} of them counted by the "
        f"provider and {total.tokens - total.told} estimated"
    )
    click.echo(price_line(cost))
    if len(cost.sources) > 1:
        rows = [
            (f"  {visible(name)}", f"{each.tokens:,}", money(each.cost(cost.price)))
            for name, each in sorted(cost.sources.items())
        ]
        print_table(("  source or folder", "billed tokens", "spent"), rows)


def _short(version: str | None) -> str:
    return "none" if version is None else version[:12]
