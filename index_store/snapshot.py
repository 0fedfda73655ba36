"""A version opened for reading: what a search runs on.

Invariants: every file was checked against the manifest before it is used; all answers come from
one version; a dead row is never returned; what is open is never modified, so a snapshot is safe
for threads.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from index_store.cache import LocalCache
from index_store.candidates import Candidate, CandidateFinder
from index_store.chunk_table import ChunkTable
from index_store.collections import check_format
from index_store.context import joined_context
from index_store.embedder import Vectors
from index_store.errors import UsageError
from index_store.lexical.engine import LexicalReader
from index_store.local_files import LocalFiles
from index_store.log import CommitLog
from index_store.log_records import PRODUCTION, PublishedVersion, resolve_version
from index_store.manifest import Manifest
from index_store.manifest_codec import parse_manifest
from index_store.open_shard import OpenShard, lexical_paths, open_shard
from index_store.quotations import Quotation
from index_store.records import Hit, ScoreParts
from index_store.relocations import RelocationMap, decode_relocations
from index_store.search_options import Question, Retrieval, SearchOptions
from index_store.selection import Chosen, select, with_recency
from index_store.storage.base import Storage

EXACT_ROWS = 50_000  # up to here an exact search costs about a millisecond
MIN_CANDIDATES = 20  # rows looked at, because some may repeat others
MOST_CANDIDATES = 2000  # however many repetitions there are
WIDENING = 4  # times as many when repetitions leave too few
# Hits looked at for verbatim quotations: of real sentences, 98 % of the chunks that hold them are
# among the first 50, and all but one in a thousand among the first 200.
QUOTATION_CANDIDATES = 200
# For each of 1 335 real sentences a chunk that holds it is among the first 30 by words.
QUOTATIONS_BY_WORDS = 30
DEFAULT_SEARCH = SearchOptions()

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotOptions:
    """How a version is opened and searched.

    Attributes:
        verify: Whether the hash of every file is compared; sizes always are.
        exact_rows: Up to this many live rows every one is compared; above, the graph is walked.
        threads: Threads that one search may use.
        embedder_id: The embedder that will embed the questions; another one is refused. None: not
            checked.
        cache: Copies of a store that has no local files; None for temporary ones.
    """

    verify: bool = True
    exact_rows: int = EXACT_ROWS
    threads: int = 1
    embedder_id: str | None = None
    cache: LocalCache | None = None


class Snapshot:
    """One version, opened; close it when the last search has ended."""

    def __init__(
        self,
        published: PublishedVersion,
        manifest: Manifest,
        shards: Sequence[OpenShard],
        lexical: LexicalReader | None,
        files: LocalFiles,
        options: SnapshotOptions,
    ) -> None:
        self._published = published
        self._manifest = manifest
        self._shards = shards
        self._lexical = lexical
        self._finder = CandidateFinder(shards, lexical, options.exact_rows)
        self._files = files
        self._closed = False

    @classmethod
    def open(
        cls,
        storage: Storage,
        collection: str,
        *,
        version: str | None = None,
        channel: str = PRODUCTION,
        options: SnapshotOptions | None = None,
    ) -> "Snapshot":
        """Open a version.

        Args:
            storage: The store.
            collection: Name of the collection.
            version: Beginning of a version's id; None for the version that `channel` points to.
            channel: A channel, used when `version` is None.
            options: How to open it.

        Raises:
            NotFoundError: There is no such collection, version or channel.
            UsageError: The name is not valid, or the version needs another embedder or a newer
                nightpress.
            CorruptArtifactError: A file is missing or is not what the manifest says; the message
                names it.
            TransientError: The store could not be read.
        """
        check_format(storage, collection)
        state = CommitLog(storage, collection).read()
        published = resolve_version(state, version=version, channel=channel)
        return cls.open_published(storage, published, options=options)

    @classmethod
    def open_published(
        cls,
        storage: Storage,
        published: PublishedVersion,
        *,
        options: SnapshotOptions | None = None,
    ) -> "Snapshot":
        """Open a version that was found in the log; see `open`."""
        options = SnapshotOptions() if options is None else options
        files = LocalFiles(storage, options.cache)
        try:
            manifest = parse_manifest(files.read(published.manifest))
            _check_embedder(manifest, options.embedder_id)
            relocations = _open_relocations(files, manifest)
            shards = [
                open_shard(
                    entry, files, relocations, verify=options.verify, threads=options.threads
                )
                for entry in manifest.shards
            ]
            lexical = _open_lexical(manifest, files, verify=options.verify)
        except BaseException:
            files.close()
            raise
        _logger.info(
            "opened version %s: %d shards, %d live rows",
            published.version,
            len(shards),
            manifest.counts.chunks_live,
        )
        return cls(published, manifest, shards, lexical, files, options)

    @property
    def version(self) -> str:
        """The version's id."""
        return self._published.version

    @property
    def published_at_ms(self) -> int:
        """When it was published, milliseconds since the epoch."""
        return self._published.published_at_ms

    @property
    def manifest(self) -> Manifest:
        """The version's manifest."""
        return self._manifest

    @property
    def rows(self) -> int:
        """Number of chunks that a search may return."""
        return self._manifest.counts.chunks_live

    def retrieval_of(self, options: SearchOptions) -> Retrieval:
        """Return how a search with these options goes in this version.

        A hybrid one goes by vectors alone when the version was published without lexical indexes.
        """
        if self._lexical is None and options.retrieval is Retrieval.HYBRID:
            return Retrieval.DENSE
        return options.retrieval

    def search(
        self, question: Question, options: SearchOptions = DEFAULT_SEARCH
    ) -> tuple[Hit, ...]:
        """Find the chunks that answer a question best.

        Args:
            question: What is asked; a search by words needs its text, one by vectors its vector. A
                hybrid search goes by vectors alone when there is no text, or when the version was
                published without a lexical index.
            options: How to search, and on whose behalf.

        Returns:
            At most `options.most` hits: those that hold the question word for word first, then by
            score; a text of one uri only once.

        Raises:
            UsageError: The vector is missing or out of bounds, or the version has no lexical index
                and is to be searched by words.
        """
        query = self._query(question, options)
        quotation = Quotation(question.text)
        depth = max(2 * options.most, MIN_CANDIDATES)
        if quotation.is_long_enough and self.retrieval_of(options) is Retrieval.DENSE:
            depth = max(depth, QUOTATION_CANDIDATES)  # words would have found it among the first
        while True:
            found = self._finder.find(question.text, query, options, depth)
            chosen = select(_in_order(found, quotation, options), options, _uri_of)
            enough = len(chosen) >= options.k or options.min_score is not None
            if enough or len(found) < depth or depth >= MOST_CANDIDATES:
                return tuple(_hit(each, options.neighbours) for each in chosen)
            depth = min(depth * WIDENING, MOST_CANDIDATES)  # repetitions took the places of others

    def nearest(self, vector: Vectors, k: int) -> tuple[Hit, ...]:
        """Find the chunks nearest to a vector, whoever may read them: for gates and tests.

        Args:
            vector: float32, shape (dimension,), of any length but zero.
            k: Hits at most, at least 1.

        Raises:
            UsageError: `vector` or `k` is out of bounds.
        """
        options = SearchOptions(
            k=k, retrieval=Retrieval.DENSE, all_groups=True, near_duplicates=True
        )
        return self.search(Question(vector=vector), options)

    def chunk_tables(self) -> list[ChunkTable]:
        """Return the chunk table of every shard; rows that are dead stand in them too."""
        return [shard.chunks for shard in self._shards]

    def close(self) -> None:
        """Let go of all files; calling it twice is harmless."""
        self._closed = True
        self._shards = []
        self._finder = CandidateFinder([], None, 0)
        try:
            if self._lexical is not None:
                self._lexical.close()
        finally:
            self._files.close()

    def __enter__(self) -> "Snapshot":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _query(self, question: Question, options: SearchOptions) -> Vectors | None:
        """Return the question's vector, float32, shape (1, dimension), or None when none is used.

        Raises:
            UsageError: It is missing, or the version cannot be searched as asked.
        """
        if self._closed:
            raise UsageError(f"version {self.version} is closed")
        by_words = options.retrieval is Retrieval.LEXICAL
        if by_words and self._lexical is None:
            raise UsageError(
                f"version {self.version[:12]} has no lexical index; search it by vectors, or "
                "rewrite it with nightpress compact --rebuild-graph"
            )
        if by_words and not question.text.strip():
            raise UsageError("a search by words needs the question's text")
        if question.vector is not None:
            return _normalised(question.vector, self._manifest.embedder.dimension)
        if not by_words:
            raise UsageError("a search by vectors needs the question's vector")
        if options.needs_cosine:
            raise UsageError("a bound on cosine similarity needs the question's vector")
        return None


def _in_order(
    found: list[Candidate], quotation: Quotation, options: SearchOptions
) -> list[Candidate]:
    """Put quotations first, and newer documents before older ones if asked."""
    if quotation.is_long_enough:
        for each in _may_quote(found):
            each.verbatim = quotation.is_in(each.shard.chunks.text(each.row))
        found.sort(key=lambda each: not each.verbatim)  # stable: each group keeps its order
    if options.recency is not None:
        return with_recency(found, options.recency, _date_of)
    return found


def _may_quote(found: Sequence[Candidate]) -> Sequence[Candidate]:
    """Return the candidates that may hold the question word for word.

    Whoever says all of its words is among the first by words, if words were looked at.
    """
    by_words = [each for each in found if each.lexical is not None]
    by_words.sort(key=lambda each: -(each.lexical or 0.0))
    return by_words[:QUOTATIONS_BY_WORDS] or found


def _uri_of(candidate: Candidate) -> str:
    shard, row = candidate.shard, candidate.row
    return shard.uri_of(row, shard.chunks.uri(row))


def _date_of(candidate: Candidate) -> str:
    shard = candidate.shard
    return shard.attributes(shard.place_of(candidate.row)).date


def _hit(chosen: Chosen, neighbours: int) -> Hit:
    found = chosen.candidate
    cited = found.shard.chunks.cited(found.row)
    dense, score = found.dense, found.score
    if dense is not None and not -1.0 <= dense <= 1.0:  # by a rounding
        score = min(1.0, max(-1.0, dense)) if score == dense else score
        dense = min(1.0, max(-1.0, dense))
    return Hit(
        score=score,
        uri=chosen.uri,
        text=cited.text,
        citation=cited.citation,
        chunk=cited.chunk_id.hex(),
        verbatim=found.verbatim,
        parts=ScoreParts(dense=dense, lexical=found.lexical, fused=found.fused),
        attributes=found.shard.attributes(found.shard.place_of(found.row)),
        context=joined_context(found.shard, found.row, neighbours) if neighbours else "",
        also_in=tuple(chosen.also_in),
    )


def _open_lexical(manifest: Manifest, files: LocalFiles, *, verify: bool) -> LexicalReader | None:
    """Open the lexical indexes of all shards as one, or none when a shard has none."""
    opened = []
    for entry in manifest.shards:
        paths = lexical_paths(entry.lexical, files, verify=verify)
        if paths is None:
            _logger.info("shard %s has no lexical index: vectors alone are searched", entry.id)
            return None
        opened.append((paths, entry.rows))
    return LexicalReader(opened, [entry.id for entry in manifest.shards])


def _open_relocations(files: LocalFiles, manifest: Manifest) -> RelocationMap:
    artifact = manifest.relocations
    if artifact is None:
        return RelocationMap([])
    return RelocationMap(decode_relocations(files.read(artifact), artifact.key))


def _check_embedder(manifest: Manifest, embedder_id: str | None) -> None:
    spec = manifest.embedder
    if embedder_id is not None and embedder_id != spec.id:
        raise UsageError(
            f"collection {manifest.collection} was embedded with {spec.provider}/{spec.model} "
            f"(revision {spec.revision}, dimension {spec.dimension}); open that embedder"
        )


def _normalised(vector: Vectors, dimension: int) -> Vectors:
    """Return a query as float32 of shape (1, dimension) and norm 1."""
    if vector.shape != (dimension,):
        raise UsageError(f"question vector must have shape ({dimension},), found {vector.shape}")
    query = np.asarray(vector, np.float64)
    norm = math.sqrt(query.dot(query))
    if not math.isfinite(norm) or norm == 0.0:
        raise UsageError(f"question vector must have a finite norm above 0, found {norm}")
    normalised: Vectors = (query / norm).astype(np.float32)[np.newaxis, :]
    return normalised
