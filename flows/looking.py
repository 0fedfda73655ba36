"""The commands that only look: plan, search, status, rejected. None of them writes."""

import textwrap
from collections.abc import Mapping, Sequence

import click

from flows.console import print_json, print_table, visible
from flows.excerpts import excerpt
from flows.links import link_options
from flows.run_settings import (
    available_cores,
    cache_options,
    new_run_id,
    remote_options,
    run_options,
)
from flows.settings import Settings
from index_store.cache import LocalCache
from index_store.catalog_look import look_at_outcomes
from index_store.clock import system_clock_ms
from index_store.collections import (
    CollectionStatus,
    check_format,
    collection_status,
    last_move,
    list_collections,
    load_manifest,
)
from index_store.embedder import EmbedderSpec
from index_store.embedders.prices import FREE_OF_CHARGE, Price
from index_store.embedders.registry import open_embedder, spec_string
from index_store.errors import UsageError
from index_store.log import CommitLog
from index_store.log_records import CANDIDATE, PRODUCTION, LogRecord, resolve_version
from index_store.records import Hit
from index_store.search_options import Question, SearchOptions
from index_store.snapshot import Snapshot, SnapshotOptions
from index_store.storage.base import Storage
from index_store.storage.opening import open_storage
from index_store.storage.verdicts import read_fitness
from retriever.answers import hit_json, hit_url
from retriever.links import LinkOptions
from tasks.stages.concluding import documents_without_chunks, rejected_documents
from tasks.stages.diffing import Action
from tasks.stages.estimating import Estimate, billed_per_token, estimate
from tasks.stages.morning.words import moment
from tasks.stages.planning import Base, Planned, choose_base, list_sources, make_plan
from tasks.stages.remedies import remedy
from tasks.stages.reporting import price_line
from tasks.stages.spending import RunCost
from tasks.stages.workshop import open_run_embedder, run_price

SHOWN_ITEMS = 50
EXCERPT_CHARS = 300
WIDTH = 96  # columns of an excerpt


def plan_only(settings: Settings, *, as_json: bool) -> None:
    """Print what a run would do."""
    options = run_options(settings, new_run_id())
    storage = open_storage(settings.store)
    embedder = open_run_embedder(options.embed)
    base = choose_base(storage, settings.collection)
    planned = make_plan(options, base, list_sources(options), embedder.spec)
    price = run_price(embedder, options.embed)
    cost = estimate(
        planned.plan.work(),
        base.records(),
        max_chunk_tokens=settings.max_chunk_tokens,
        price_per_million_tokens=price.per_million_tokens,
        night=options.embed.night,
        billed_per_token=_billed_per_token(base, embedder.spec),
    )
    if as_json:
        print_json(_plan_object(planned, cost, price))
    else:
        _print_plan(planned, cost, price)


def search_once(
    settings: Settings,
    question: str,
    asked: SearchOptions,
    *,
    version: str | None,
    channel: str,
    as_json: bool,
) -> None:
    """Open a version, ask it one question and print the hits."""
    if not question.strip():
        raise UsageError("the question is empty")
    options = SnapshotOptions(
        exact_rows=settings.exact_rows,
        threads=available_cores(),
        cache=LocalCache(cache_options(settings)),
    )
    storage = open_storage(settings.store)
    with Snapshot.open(
        storage, settings.collection, version=version, channel=channel, options=options
    ) as snapshot:
        embedder = open_embedder(
            spec_string(snapshot.manifest.embedder), threads=1, remote=remote_options(settings)
        )
        try:
            vector = embedder.embed_question(question)
        finally:
            embedder.close()
        hits = snapshot.search(Question(text=question, vector=vector), asked)
        links = link_options(settings)
        if as_json:
            found = [hit_json(hit, links) for hit in hits]
            mode = snapshot.retrieval_of(asked).value
            print_json({"version": snapshot.version, "mode": mode, "hits": found})
        else:
            _print_hits(hits, links, question)


def show_status(settings: Settings, *, only: bool, as_json: bool) -> None:
    """Print how the collections of a store stand."""
    storage = open_storage(settings.store)
    names = [settings.collection] if only else list_collections(storage)
    now_ms = system_clock_ms()
    found = [collection_status(storage, name, now_ms=now_ms) for name in names]
    moves = {name: _production_move(storage, name) for name in names}
    fitness = read_fitness(storage)
    if as_json:
        print_json(
            {
                "store": storage.url,
                "fit": None if fitness is None else fitness.fit,
                "single_writer": fitness is not None and fitness.single_writer,
                "collections": [_status_object(each, moves[each.name]) for each in found],
            }
        )
    elif not found:
        click.echo(f"{storage.url} holds no collection yet; make one with nightpress run")
    else:
        _print_status(found, moves)
    if not as_json and fitness is not None and fitness.single_writer:
        click.echo(f"single writer on request, the store is unfit: {'; '.join(fitness.broken)}")


def show_rejected(settings: Settings, *, as_json: bool) -> None:
    """Print the standing rejections of a collection."""
    storage = open_storage(settings.store)
    check_format(storage, settings.collection)
    state = CommitLog(storage, settings.collection).read()
    channel = PRODUCTION if PRODUCTION in state.channels else CANDIDATE
    published = resolve_version(state, channel=channel)
    outcomes = look_at_outcomes(storage, load_manifest(storage, published).catalog)
    rejected, silent = rejected_documents(outcomes), documents_without_chunks(outcomes)
    if as_json:
        rows = [entry.as_json() for entry in rejected]
        print_json(
            {"version": published.version, "rejections": rows, "without_chunks": list(silent)}
        )
        return
    if silent:
        click.echo(f"{len(silent)} documents gave no chunk, --json lists them")
    if not rejected:
        click.echo("no document is rejected")
        return
    print_table(
        ("document", "reason", "attempts", "detail"),
        [(entry.uri, entry.reason, str(entry.attempts), entry.detail) for entry in rejected],
    )
    click.echo("what helps:")
    reasons = sorted({entry.reason for entry in rejected})
    print_table(("  reason", "remedy"), [(f"  {reason}", remedy(reason)) for reason in reasons])
    click.echo("try them again: nightpress run --retry-rejected")


def _billed_per_token(base: Base, embedder: EmbedderSpec) -> float:
    manifest = base.manifest
    is_known = manifest is not None and manifest.embedder.id == embedder.id
    return billed_per_token(manifest.cost) if manifest is not None and is_known else 1.0


def _plan_object(planned: Planned, cost: Estimate, price: Price) -> dict[str, object]:
    grouped: dict[str, list[dict[str, str]]] = {action.value: [] for action in Action}
    for item in planned.plan.items:
        row = {"uri": item.uri, "reason": item.reason}
        if item.previous_uri:
            row["from"] = item.previous_uri
        grouped[item.action.value].append(row)
    return {
        "version": planned.base.version,
        "rebuild": planned.plan.rebuild or None,
        "counts": planned.plan.counts(),
        **grouped,
        "skipped": [
            {"uri": entry.uri, "reason": entry.reason} for entry in planned.listing.skipped
        ],
        "estimate": {
            "chunks": cost.chunks,
            "tokens": cost.tokens,
            "cost": cost.cost,
            "price_per_million_tokens": price.per_million_tokens,
            "price_from": price.origin,
            "at_night_rate": cost.at_night_rate,
            "sources": {
                name: {"tokens": each.tokens, "cost": each.cost}
                for name, each in cost.sources.items()
            },
        },
    }


def _print_plan(planned: Planned, cost: Estimate, price: Price) -> None:
    counts = planned.plan.counts()
    click.echo(", ".join(f"{count} {action}" for action, count in counts.items()))
    rate = " at the night rate" if cost.at_night_rate else ""
    click.echo(
        f"about {cost.chunks} chunks, {cost.tokens} tokens and a cost of {_money(cost.cost)} to "
        f"embed{rate}"
    )
    if price != FREE_OF_CHARGE:
        click.echo(price_line(RunCost(price=price)))
    if len(cost.sources) > 1:
        by_source = [
            (visible(name), f"{each.tokens:,}", _money(each.cost))
            for name, each in cost.sources.items()
        ]
        print_table(("source or folder", "tokens", "cost"), by_source)
    told = [item for item in planned.plan.items if item.action is not Action.KEPT]
    if told:
        rows = [(item.action.value, item.uri, item.reason) for item in told[:SHOWN_ITEMS]]
        print_table(("action", "document", "reason"), rows)
    if len(told) > SHOWN_ITEMS:
        click.echo(f"… and {len(told) - SHOWN_ITEMS} more; --json lists all")


def _money(amount: float | None) -> str:
    return "unknown" if amount is None else f"{amount:.2f}"


def _print_hits(hits: Sequence[Hit], links: LinkOptions, question: str) -> None:
    if not hits:
        click.echo("nothing found")
    for number, hit in enumerate(hits, start=1):
        place = _place(hit)
        click.echo(f"{number}. {visible(hit.uri)}{place}  (score {hit.score:.2f})")
        if hit.attributes.title:
            click.echo(f"   {visible(hit.attributes.title)}")
        url = hit_url(hit, links)
        if url:
            click.echo(f"   {visible(url)}")
        shown = visible(excerpt(hit.context or hit.text, question, max_chars=EXCERPT_CHARS))
        for line in textwrap.wrap(shown, WIDTH, initial_indent="   ", subsequent_indent="   "):
            click.echo(line)


def _place(hit: Hit) -> str:
    cited = hit.citation
    told = [
        f"page {cited.page}" if cited.page is not None else "",
        f"slide {cited.slide}" if cited.slide is not None else "",
        f"sheet {cited.sheet}" if cited.sheet is not None else "",
        f"rows {cited.row_start}-{cited.row_end - 1}"
        if cited.row_start is not None and cited.row_end is not None
        else "",
        " › ".join(cited.section),
    ]
    return "".join(f", {visible(part)}" for part in told if part)


def _production_move(storage: Storage, name: str) -> LogRecord | None:
    log = CommitLog(storage, name)
    return last_move(log, log.read(), PRODUCTION)


def _status_object(status: CollectionStatus, move: LogRecord | None) -> dict[str, object]:
    counts = status.counts
    return {
        "collection": status.name,
        "channels": dict(status.channels),
        "production_since_ms": None if move is None else move.at_ms,
        "production_reason": None if move is None else move.change.reason,
        "versions": status.versions,
        "version": status.version,
        "published_at_ms": status.published_at_ms,
        "age_s": None if status.age_ms is None else status.age_ms / 1000,
        "documents": None if counts is None else counts.documents,
        "rejected": None if counts is None else counts.rejected,
        "chunks": None if counts is None else counts.chunks_live,
        "dead_chunks": None if counts is None else counts.chunks_dead,
        "size_bytes": status.size_bytes,
        "shards": status.shards,
        "embedder": status.embedder,
    }


def _print_status(found: list[CollectionStatus], moves: Mapping[str, LogRecord | None]) -> None:
    rows = []
    for status in found:
        counts = status.counts
        rows.append(
            (
                status.name,
                (status.version or "none")[:12],
                "none" if status.age_ms is None else _age(status.age_ms),
                "0" if counts is None else str(counts.documents),
                "0" if counts is None else str(counts.rejected),
                "0" if counts is None else str(counts.chunks_live),
                f"{status.size_bytes / (1 << 20):.1f} MiB",
                str(status.versions),
                status.embedder,
            )
        )
    head = ("collection", "version", "age", "documents", "rejected", "chunks", "size", "versions")
    print_table((*head, "embedder"), rows)
    for status in found:
        for channel, version in sorted(status.channels.items()):
            click.echo(f"{status.name}: {channel} is {version}")
        move = moves[status.name]
        if move is not None:
            told = visible(move.change.reason) or "no reason given"
            click.echo(f"{status.name}: in production since {moment(move.at_ms)}: {told}")


def _age(age_ms: int) -> str:
    minutes = age_ms // 60_000
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"
