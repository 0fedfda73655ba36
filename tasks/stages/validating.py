"""Check a version before anybody may see it; all findings are told at once.

Invariants: nothing is written; a finding says what was expected and what was found. Damage is no
finding: a version that nobody could open is never published.
"""

from contextlib import closing
from dataclasses import dataclass

from index_store.catalog_look import catalog_totals
from index_store.chunk_table import ChunkTable
from index_store.embeddings import EmbeddingStore
from index_store.local_files import LocalFiles
from index_store.log_records import PublishedVersion
from index_store.manifest import Manifest, ShardEntry
from index_store.snapshot import Snapshot, SnapshotOptions
from index_store.storage.base import Storage
from tasks.stages.reporting import Finding

SAMPLE_ROWS = 32  # rows of each new shard that are asked for by their own vector
OWN_SCORE = 0.999  # cosine of a vector with itself, rounded to float16


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """What a new version lacks of the one before, and how much it may.

    Attributes:
        before: Documents of the version before.
        chunks_before: Searchable chunks of the version before.
        lost: Documents that had chunks before and have none now.
        allowed: Whether any loss is allowed.
        share: Largest share of documents that may be lost, in [0, 1].
        min_documents: Lost documents below which the share is not looked at.
    """

    before: int = 0
    chunks_before: int = 0
    lost: int = 0
    allowed: bool = False
    share: float = 0.2
    min_documents: int = 2


def validate(
    storage: Storage,
    candidate: PublishedVersion,
    losses: Losses,
    proven: frozenset[str],
    vectors: EmbeddingStore,
    *,
    exact_rows: int,
) -> tuple[Finding, ...]:
    """Open a version that is not promoted yet and try it.

    Args:
        storage: The store.
        candidate: Where its manifest is.
        losses: What it lacks of the version before.
        proven: Ids of shards that are in production, and need no second trial.
        vectors: Stored vectors.
        exact_rows: Live rows up to which search is exact.

    Returns:
        One finding per check.

    Raises:
        CorruptArtifactError: A file is damaged, so that no reader could open the version.
    """
    options = SnapshotOptions(verify=True, exact_rows=exact_rows)
    with Snapshot.open_published(storage, candidate, options=options) as snapshot:
        manifest = snapshot.manifest
        findings = [
            Finding(
                check="files",
                passed=True,
                message=f"{sum(1 for _ in manifest.artifacts)} files have their size and hash",
                protects="Readers open the bytes that were written, or none.",
            ),
            _check_rows(storage, manifest),
            _check_text_left(manifest, losses),
            _check_losses(losses),
            *_told_recall(manifest),
        ]
        findings += [
            _check_self_search(storage, entry, snapshot, vectors)
            for entry in manifest.shards
            if entry.id not in proven
        ]
    return tuple(findings)


def _check_rows(storage: Storage, manifest: Manifest) -> Finding:
    totals, counts = catalog_totals(storage, manifest.catalog), manifest.counts
    found = (totals.chunks, totals.documents, totals.rejected, totals.tokens)
    told = (counts.chunks_live, counts.documents, counts.rejected, counts.tokens)
    message = f"documents lay claim to {totals.chunks} chunks, {counts.chunks_live} are searchable"
    if found[1:] != told[1:]:
        message += f"; documents, rejected and tokens expected {told[1:]}, found {found[1:]}"
    return Finding(
        check="catalog",
        passed=found == told,
        message=message,
        protects="What is counted, searched and erased is the same set of documents.",
    )


def _check_text_left(manifest: Manifest, losses: Losses) -> Finding:
    now = manifest.counts.chunks_live
    return Finding(
        check="text",
        passed=now > 0 or losses.chunks_before == 0 or losses.allowed,
        message=f"{now} searchable chunks, {losses.chunks_before} in the version before",
        protects="A collection that could answer never becomes one that holds nothing.",
    )


def _check_losses(losses: Losses) -> Finding:
    """Look at documents that fell silent for any reason: gone, rejected, emptied."""
    few = losses.lost < losses.min_documents or losses.lost <= losses.share * losses.before
    return Finding(
        check="losses",
        passed=few or losses.allowed,
        message=f"{losses.lost} of {losses.before} documents have no text any more, "
        f"{losses.share:.0%} may",
        protects="Documents do not fall silent in numbers, be they gone, rejected or emptied.",
    )


def _told_recall(manifest: Manifest) -> list[Finding]:
    """Say how each shard is searched; a graph below the gate stops nothing, it is not used."""
    findings = []
    for entry in manifest.shards:
        if entry.search is not None:
            how = "searched exactly until it is compacted" if entry.searched_exactly else "used"
            findings.append(
                Finding(
                    check=f"recall {entry.id[:12]}",
                    passed=True,
                    message=f"{entry.search.recall} at efSearch {entry.ef_search}, {how}",
                    protects="A graph answers only where it finds what exact search finds.",
                )
            )
    return findings


def _check_self_search(
    storage: Storage, entry: ShardEntry, snapshot: Snapshot, vectors: EmbeddingStore
) -> Finding:
    """Ask for rows by their own vector: a row of the same vector has to come back.

    A row whose vector is not stored any more, as may be after a compaction, is not asked for.
    """
    with closing(LocalFiles(storage, None)) as files:
        table = ChunkTable.open(files.path(entry.chunks), rows=entry.rows)
        step = max(1, entry.rows // SAMPLE_ROWS)
        sample = table.take(range(0, entry.rows, step)[:SAMPLE_ROWS])
    found, own = vectors.find([stored.text_hash for stored in sample])
    asked = own[found]
    lost = 0
    for vector in asked:
        hits = snapshot.nearest(vector, 1)
        lost += not (hits and hits[0].score >= OWN_SCORE)
    return Finding(
        check=f"self-search {entry.id[:12]}",
        passed=lost == 0,
        message=f"{len(asked) - lost} of {len(asked)} sampled chunks are found by their vector",
        protects="Every chunk of a new shard can be reached by a search.",
    )
