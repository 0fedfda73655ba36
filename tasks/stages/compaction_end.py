"""The end of a compaction: assemble the version, check it, publish it, say what was done.

Invariants: nothing is published before it was opened and tried; a stage that is repeated after a
lost reply publishes the same version; production moves only when every check passed.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from index_store.artifacts import Artifact, read_artifact, store_artifact
from index_store.catalog import Catalog
from index_store.catalog_files import load_catalog
from index_store.errors import StoppedError
from index_store.layout import run_key
from index_store.log import CommitLog
from index_store.log_records import PRODUCTION, LogState, PublishedVersion
from index_store.manifest import Manifest
from index_store.manifest_codec import parse_manifest, to_bytes
from index_store.publisher import promote, publish
from index_store.storage.base import Storage
from tasks.stages.assembly import VersionFacts, assemble
from tasks.stages.building import BuiltShard
from tasks.stages.compaction import changes_of, check_same_chunks
from tasks.stages.compaction_run import CompactionWork, CompactRunOptions
from tasks.stages.measuring import measure_search
from tasks.stages.reporting import Finding
from tasks.stages.shard_making import Site
from tasks.stages.validating import Losses, validate


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedCompaction:
    """A compacted version that was tried and is not published yet.

    Attributes:
        manifest: Where its manifest is; it holds what was found.
        findings: Results of the checks.
    """

    manifest: Artifact
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether every check holds."""
        return not any(finding.blocks for finding in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionReport:
    """Everything a compaction has to say.

    Attributes:
        collection: Name of the collection.
        parent: The version that was compacted.
        version: The version that stands after it; `parent` when nothing was due.
        promoted: Whether production is that version.
        merges: Why, one line per merge.
        shards_before: Shards of the parent.
        shards_after: Shards of the version, planned ones in a dry run.
        rows_written: Rows of new shards.
        bytes_written: Bytes of new shards; 0 in a dry run.
        findings: Results of the checks.
    """

    collection: str
    parent: str
    version: str
    promoted: bool
    merges: tuple[str, ...]
    shards_before: int
    shards_after: int
    rows_written: int
    bytes_written: int = 0
    findings: tuple[Finding, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the report as plain values."""
        return {
            "collection": self.collection,
            "parent": self.parent,
            "version": self.version,
            "promoted": self.promoted,
            "merges": list(self.merges),
            "shards_before": self.shards_before,
            "shards_after": self.shards_after,
            "rows_written": self.rows_written,
            "bytes_written": self.bytes_written,
            "checks": [
                {"check": entry.check, "passed": entry.passed, "message": entry.message}
                for entry in self.findings
            ],
        }


def stop_unless_passed(report: CompactionReport) -> None:
    """Raise when a check of the compacted version did not pass.

    Raises:
        StoppedError: The version stays a candidate; production is as it was.
    """
    failed = [finding for finding in report.findings if not finding.passed]
    if failed:
        told = "; ".join(f"{finding.check}: {finding.message}" for finding in failed)
        raise StoppedError(f"version {report.version[:12]} stays a candidate: {told}")


def check_compaction(
    site: Site,
    options: CompactRunOptions,
    work: CompactionWork,
    base: Manifest,
    built: Sequence[BuiltShard],
) -> CheckedCompaction:
    """Assemble the compacted version and try it; all findings are returned.

    Args:
        site: Where the shards were made.
        options: What the compaction is told.
        work: The plan.
        base: The version that is compacted.
        built: The new shards, of all merges.

    Raises:
        CorruptArtifactError: A file of the version before is damaged, or a chunk was lost.
        TransientError: The store is out of reach.
    """
    storage, catalog = site.storage, load_catalog(site.storage, base)
    manifest = _assemble(options, work, site, base, catalog, built)
    findings = (
        check_same_chunks(site, base, catalog, work.plan.merges, built),
        *validate(
            storage,
            _unpublished(options, work, _store(storage, options, manifest)),
            Losses(before=base.counts.documents, chunks_before=base.counts.chunks_live),
            frozenset(entry.id for entry in base.shards),
            site.vectors,
            exact_rows=options.build.exact_rows,
        ),
    )
    told = replace(manifest, quality={finding.check: finding.message for finding in findings})
    return CheckedCompaction(manifest=_store(storage, options, told), findings=findings)


def publish_compaction(
    storage: Storage, options: CompactRunOptions, work: CompactionWork, checked: CheckedCompaction
) -> CompactionReport:
    """Publish the version; promote it when its checks passed.

    Raises:
        ConflictError: Another version was published or promoted first; plan again.
        TransientError: The store is out of reach.
        UnknownOutcomeError: It may have been published; publish again to find out.
    """
    log, planned = CommitLog(storage, options.collection), LogState(channels=work.channels)
    manifest = parse_manifest(read_artifact(storage, checked.manifest))
    reason = "compaction" if checked.passed else "compaction: checks failed"
    done = publish(storage, log, manifest, planned, reason=reason)
    promoted = checked.passed and options.promote
    if promoted:
        promote(log, done.version, run=options.run, reason="compaction", expected=planned)
    kept = set(work.plan.kept)
    new = [entry for entry in manifest.shards if entry.id not in kept]
    return CompactionReport(
        collection=options.collection,
        parent=work.version,
        version=done.version,
        promoted=promoted,
        merges=tuple(merge.reason for merge in work.plan.merges),
        shards_before=_shards_before(work),
        shards_after=len(manifest.shards),
        rows_written=sum(entry.rows for entry in new),
        bytes_written=sum(file.size_bytes for entry in new for file in entry.files),
        findings=checked.findings,
    )


def planned_report(
    storage: Storage, options: CompactRunOptions, work: CompactionWork
) -> CompactionReport:
    """Return what a plan comes to; nothing is written."""
    channels = CommitLog(storage, options.collection).read().channels
    return CompactionReport(
        collection=options.collection,
        parent=work.version,
        version=work.version,
        promoted=channels.get(PRODUCTION) == work.version,
        merges=tuple(merge.reason for merge in work.plan.merges),
        shards_before=_shards_before(work),
        shards_after=work.plan.shards_after,
        rows_written=work.plan.rows,
    )


def compaction_markdown(report: CompactionReport) -> str:
    """Return the report as a page that is read in a minute."""
    state = "in production" if report.promoted else "a candidate, production is as it was"
    parts = [
        f"# {report.collection}: {report.version[:12]}, {state}",
        f"{report.shards_before} shards before, {report.shards_after} now; "
        f"{report.rows_written:,} rows and {report.bytes_written / 1e6:,.1f} MB written, "
        "no text embedded.",
        "\n".join(f"- {merge}" for merge in report.merges) or "Nothing is due.",
        "\n".join(
            f"- {'passed' if entry.passed else '**failed**'}: {entry.check}, {entry.message}"
            for entry in report.findings
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _shards_before(work: CompactionWork) -> int:
    return len(work.plan.kept) + sum(len(merge.shards) for merge in work.plan.merges)


def _assemble(
    options: CompactRunOptions,
    work: CompactionWork,
    site: Site,
    base: Manifest,
    catalog: Catalog,
    built: Sequence[BuiltShard],
) -> Manifest:
    storage = site.storage
    state = CommitLog(storage, options.collection).read()
    facts = VersionFacts(
        collection=options.collection,
        parent=work.version,
        run=options.run,
        created_at_ms=time.time_ns() // 1_000_000,
        embedder=base.embedder,
        chunker=base.chunker,
        settings=base.settings,
    )
    manifest = assemble(
        storage,
        facts,
        base,
        changes_of(catalog, work.plan.merges, built),
        [shard.entry for shard in built],
        dropped=frozenset(shard for merge in work.plan.merges for shard in merge.shards),
        avoid=state.forbidden_keys,
    )
    return measure_search(
        storage,
        manifest,
        base,
        exact_rows=options.build.exact_rows,
        options=options.build.recall,
        threads=options.build.threads,
    )


def _store(storage: Storage, options: CompactRunOptions, manifest: Manifest) -> Artifact:
    key = run_key(options.collection, options.run, "manifest.json")
    return store_artifact(storage, key, to_bytes(manifest))


def _unpublished(
    options: CompactRunOptions, work: CompactionWork, manifest: Artifact
) -> PublishedVersion:
    return PublishedVersion(
        version=manifest.sha256,
        manifest=manifest,
        parent=work.version,
        published_at_ms=0,
        run=options.run,
        seq=0,
    )
