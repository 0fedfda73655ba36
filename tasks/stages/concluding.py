"""Gather what a run has to say once its version stands.

Invariants: counts come from the catalog and the plan; nothing is written here but the report.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

import orjson

from index_store.artifacts import read_artifact
from index_store.catalog_look import CatalogOutcomes, look_at_outcomes
from index_store.embedders.prices import FREE_OF_CHARGE, Price
from index_store.layout import report_key
from index_store.log import CommitLog
from index_store.log_records import PRODUCTION
from index_store.manifest import Manifest
from index_store.manifest_codec import parse_manifest
from index_store.records import DocumentRecord
from index_store.storage.base import Storage
from tasks.stages.checkpoints import DocumentOutcome
from tasks.stages.compacting import CompactOptions, compaction_due
from tasks.stages.diffing import Action
from tasks.stages.embedding import EmbeddingCounts
from tasks.stages.reporting import Finding, RejectedDocument, RunReport
from tasks.stages.run_files import StoredPlan
from tasks.stages.run_options import RunOptions
from tasks.stages.spending import RunCost
from tasks.stages.stretches import Stretch

SHOWN_WARNINGS = 50
NO_SOURCE = "no source was read: stored_text takes every text from the last version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a run did on the way to its version.

    Attributes:
        outcomes: What became of every parsed document.
        embedded: What embedding came to.
        price: What a million tokens cost.
        new_chunks: Chunks in new shards.
        findings: Results of the checks.
        seconds: Wall-clock seconds per stage.
        began_at_ms: When the run began, milliseconds since the epoch.
        timeline: When each stage was at work.
        figures: Measured quality by name.
    """

    outcomes: Sequence[DocumentOutcome] = ()
    embedded: EmbeddingCounts = field(default_factory=EmbeddingCounts)
    price: Price = FREE_OF_CHARGE
    new_chunks: int = 0
    findings: tuple[Finding, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    began_at_ms: int = 0
    timeline: tuple[Stretch, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)


def conclude(
    storage: Storage, options: RunOptions, stored: StoredPlan, version: str | None, work: Work
) -> RunReport:
    """Build the report of a run.

    Args:
        storage: The store.
        options: What the run was told.
        stored: Its plan.
        version: The version that stands now; None when there is none.
        work: What the run did.

    Returns:
        The report.
    """
    state = CommitLog(storage, options.collection).read()
    manifest = None
    if version is not None:
        manifest = parse_manifest(read_artifact(storage, state.versions[version].manifest))
    outcomes = look_at_outcomes(storage, () if manifest is None else manifest.catalog)
    rejections = rejected_documents(outcomes)
    return RunReport(
        run=options.run,
        began_at_ms=work.began_at_ms,
        collection=options.collection,
        version=version,
        parent=None if version is None else state.versions[version].parent,
        unchanged=stored.plan.is_empty,
        documents=_documents(stored, {record.uri for record in rejections}),
        chunks=_chunks(manifest, work.new_chunks),
        embedding={
            "texts": work.embedded.texts,
            "tokens": work.embedded.tokens,
            "requests": work.embedded.requests,
            "reused": work.embedded.reused,
        },
        cost=RunCost(
            price=work.price,
            sources=work.embedded.spends,
            refused=work.embedded.refused,
            pooled=work.embedded.pooled,
        ),
        seconds=work.seconds,
        promoted=version is not None and state.channels.get(PRODUCTION) == version,
        rejections=rejections,
        without_chunks=documents_without_chunks(outcomes),
        quality=outcomes.quality,
        poor=outcomes.poor,
        skipped=tuple((entry.uri, entry.reason) for entry in stored.skipped),
        warnings=(*_told_to(options), *_due(manifest, options), *_warnings(work.outcomes)),
        findings=work.findings,
        timeline=work.timeline,
        figures=work.figures,
    )


def store_report(storage: Storage, report: RunReport) -> None:
    """Keep the report beside its version."""
    if report.version is not None:
        data = orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
        storage.put(report_key(report.collection, report.version), data)


def rejected_documents(outcomes: CatalogOutcomes) -> tuple[RejectedDocument, ...]:
    """Return the standing rejections of a version, sorted by uri."""
    return tuple(_rejected(record) for record in outcomes.notable if record.rejection is not None)


def documents_without_chunks(outcomes: CatalogOutcomes) -> tuple[str, ...]:
    """Return the documents of which the chunker kept nothing, sorted by uri."""
    return tuple(record.uri for record in outcomes.notable if record.rejection is None)


def _rejected(record: DocumentRecord) -> RejectedDocument:
    rejection = record.rejection
    if rejection is None:
        raise ValueError(f"{record.uri} is not rejected")
    kept = "; its last good chunks serve" if record.chunks else ""
    return RejectedDocument(
        uri=record.uri,
        reason=rejection.reason.value,
        detail=f"{rejection.detail}{kept}",
        attempts=rejection.attempts,
    )


def _documents(stored: StoredPlan, rejected: Set[str]) -> dict[str, int]:
    """Count documents; all but `removed` add up to what was listed."""
    counts = stored.plan.counts()
    done = dict.fromkeys(Action, 0)
    for item in stored.plan.items:
        done[item.action] += item.uri not in rejected
    listed = stored.kept + sum(counts[a.value] for a in Action if a not in _NOT_LISTED_AGAIN)
    worked = {
        "added": done[Action.ADDED],
        "changed": done[Action.CHANGED] + done[Action.RETRY],
        "moved": counts[Action.MOVED.value],
        "reembedded": done[Action.REEMBEDDED],
    }
    return {
        **worked,
        "removed": counts[Action.REMOVED.value],
        "kept": max(0, listed - sum(worked.values()) - len(rejected)),
        "rejected": len(rejected),
    }


# Kept documents are counted by the plan as a whole, removed ones are not in the listing.
_NOT_LISTED_AGAIN = (Action.KEPT, Action.REMOVED)


def _chunks(manifest: Manifest | None, new_chunks: int) -> dict[str, int]:
    if manifest is None:
        return {"total": 0, "new": 0, "dead": 0}
    counts = manifest.counts
    return {"total": counts.chunks_live, "new": new_chunks, "dead": counts.chunks_dead}


def _told_to(options: RunOptions) -> tuple[str, ...]:
    return (NO_SOURCE,) if options.change.stored_text else ()


def _due(manifest: Manifest | None, options: RunOptions) -> tuple[str, ...]:
    if manifest is None:
        return ()
    build = options.build
    bounds = CompactOptions(max_rows=build.max_shard_rows, least_recall=build.recall.least)
    return compaction_due(manifest.shards, bounds)


def _warnings(outcomes: Iterable[DocumentOutcome]) -> list[str]:
    told = [f"{outcome.uri}: {warning}" for outcome in outcomes for warning in outcome.warnings]
    more = len(told) - SHOWN_WARNINGS
    return told[:SHOWN_WARNINGS] + ([f"… and {more} more notes"] if more > 0 else [])
