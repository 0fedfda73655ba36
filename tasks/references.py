"""What tasks hand to each other: keys and counts, never documents or vectors."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from index_store.log_records import PublishedVersion
from tasks.stages.checkpoints import ParsedBatch
from tasks.stages.embedding import EmbeddingCounts
from tasks.stages.reporting import Finding
from tasks.stages.stretches import Stretch, joined


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """When a task worked, seconds since the epoch."""

    start_s: float
    end_s: float


@dataclass(slots=True, kw_only=True)
class Timeline:
    """When each stage of a run worked; grows while the run goes on.

    Attributes:
        began_at_ms: When the run began, milliseconds since the epoch.
        spans: When tasks of each stage worked, by its name.
    """

    began_at_ms: int
    spans: dict[str, list[Span]] = field(default_factory=dict)

    def add(self, stage: str, span: Span) -> None:
        """Note when a task of a stage worked."""
        self.spans.setdefault(stage, []).append(span)

    def seconds(self) -> dict[str, float]:
        """Return the wall-clock seconds of each stage; stages may overlap."""
        return {
            stage: max(span.end_s for span in spans) - min(span.start_s for span in spans)
            for stage, spans in self.spans.items()
        }

    def stretches(self) -> tuple[Stretch, ...]:
        """Return when each stage was at work, from the beginning of the run."""
        began_s = self.began_at_ms / 1000
        return tuple(
            stretch
            for stage, spans in self.spans.items()
            for stretch in joined(
                Stretch(stage=stage, start_s=span.start_s - began_s, end_s=span.end_s - began_s)
                for span in spans
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingReference:
    """A stored listing.

    Attributes:
        key: Where it is.
        files: Number of documents in it.
        span: When it was made.
    """

    key: str
    files: int
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateReference:
    """A version that is not published yet; `key` holds its manifest.

    Attributes:
        key: Key of the manifest.
        sha256: Hash of the manifest.
        size_bytes: Its size.
        new_chunks: Chunks in new shards.
        lost: Documents that had chunks in the version before and have none now.
        span: When it was assembled.
    """

    key: str
    sha256: str
    size_bytes: int
    new_chunks: int
    span: Span
    lost: int = 0


def published_reference(published: PublishedVersion, span: Span) -> CandidateReference:
    """Return a reference to a version that is published but not promoted yet."""
    manifest = published.manifest
    return CandidateReference(
        key=manifest.key,
        sha256=manifest.sha256,
        size_bytes=manifest.size_bytes,
        new_chunks=0,
        span=span,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReference:
    """A stored plan.

    Attributes:
        key: Where it is.
        is_empty: Whether nothing has to be done.
        batches: Number of batches to parse.
        documents: Number of documents in them.
        counts: Documents per action.
        span: When it was made.
        waiting: The version that stands, when production has never been moved to it and shall be.
    """

    key: str
    is_empty: bool
    batches: int
    documents: int
    counts: dict[str, int]
    span: Span
    waiting: CandidateReference | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReference:
    """A finished batch.

    Attributes:
        number: Position in the run, from 0.
        key: Key of its checkpoint.
        documents: Documents in it.
        rejected: Documents refused.
        chunks: Chunks in it.
        span: When it was parsed.
    """

    number: int
    key: str
    documents: int
    rejected: int
    chunks: int
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedReference:
    """A batch whose chunks all have vectors.

    Attributes:
        number: Position in the run, from 0.
        counts: What embedding came to.
        span: When it was embedded.
        batch: What is built from: the parsed batch, or the one that took its place.
    """

    number: int
    counts: EmbeddingCounts
    span: Span
    batch: BatchReference


@dataclass(frozen=True, slots=True, kw_only=True)
class NightReference:
    """What was embedded at the night rate, before the batches were.

    Attributes:
        counts: What it came to.
        span: When.
    """

    counts: EmbeddingCounts
    span: Span


def kept_reference(batch: BatchReference, remaining: ParsedBatch) -> BatchReference:
    """Return a reference to the batch that takes the place of another."""
    return replace(
        batch,
        key=remaining.key,
        rejected=sum(document.rejection is not None for document in remaining.documents),
        chunks=sum(document.row_end - document.row_start for document in remaining.documents),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardReference:
    """A finished shard; `key` holds its entry and what is in it."""

    key: str
    rows: int
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationReference:
    """Results of the checks of a candidate.

    Attributes:
        findings: One for each check.
        span: When it was checked.
        figures: Measured quality by name, for the history of the collection.
    """

    findings: tuple[Finding, ...]
    span: Span
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether no check keeps the version out of production."""
        return not any(finding.blocks for finding in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionReference:
    """A published version."""

    version: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """What a run left behind on the way to its version.

    Attributes:
        batches: Finished batches, in order.
        embedded: What embedding came to.
        candidate: The version before it was published.
        validation: Results of its checks.
        published: The version.
    """

    batches: tuple[BatchReference, ...]
    embedded: EmbeddingCounts
    candidate: CandidateReference
    validation: ValidationReference
    published: VersionReference
