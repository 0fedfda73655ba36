"""A version opened for reading: what a search runs on.

Invariants: every file was checked against the manifest before it is used; all answers come from
one version; a dead row is never returned; what is open is never modified, so a snapshot is safe
for threads.
"""

import logging
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType

import numpy as np
from pyroaring import BitMap

from index_store.cache import LocalCache
from index_store.chunk_table import ChunkTable, StoredChunk
from index_store.collections import check_format, load_manifest
from index_store.deletions import RowMask, decode_deletions
from index_store.embedder import Vectors
from index_store.errors import CorruptArtifactError, UsageError
from index_store.local_files import LocalFiles
from index_store.log import CommitLog
from index_store.log_records import PRODUCTION, PublishedVersion, resolve_version
from index_store.manifest import Manifest, ShardEntry
from index_store.ranking import Quotation, first_unique
from index_store.records import Hit, ScoreParts
from index_store.relocations import RelocationMap, decode_relocations
from index_store.search_options import Question, Retrieval, SearchOptions
from index_store.shard import ShardReader
from index_store.storage.base import Storage

EXACT_ROWS = 50_000  # up to here an exact search costs about a millisecond
MIN_CANDIDATES = 50  # hits looked at for repeated texts
# Hits looked at for verbatim quotations: of real sentences, 98 % of the chunks that hold them are
# among the first 50, and all but one in a thousand among the first 200.
QUOTATION_CANDIDATES = 200
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


class _OpenShard:
    """A shard's files, opened."""

    def __init__(self, entry: ShardEntry, reader: ShardReader, chunks: ChunkTable) -> None:
        self.entry = entry
        self.reader = reader
        self.chunks = chunks

    @cached_property
    def documents(self) -> list[tuple[str, int, int]]:
        """Runs of rows by the uri they were written under; read when a filter first needs them."""
        return self.chunks.documents()


_Place = tuple[float, _OpenShard, int]  # score, shard, row


class Snapshot:
    """One version, opened; close it when the last search has ended."""

    def __init__(
        self,
        published: PublishedVersion,
        manifest: Manifest,
        shards: list[_OpenShard],
        relocations: RelocationMap,
        files: LocalFiles,
        options: SnapshotOptions,
    ) -> None:
        self._published = published
        self._manifest = manifest
        self._shards = shards
        self._relocations = relocations
        self._options = options
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
        manifest = load_manifest(storage, published)
        _check_embedder(manifest, options.embedder_id)
        files = LocalFiles(storage, options.cache)
        try:
            shards = [_open_shard(entry, files, options) for entry in manifest.shards]
            relocations = _open_relocations(files, manifest)
        except BaseException:
            files.close()
            raise
        _logger.info(
            "opened version %s: %d shards, %d live rows",
            published.version,
            len(shards),
            manifest.counts.chunks_live,
        )
        return cls(published, manifest, shards, relocations, files, options)

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
        query = self._query(question, options.retrieval)
        quotation = Quotation(question.text)
        depth = QUOTATION_CANDIDATES if quotation.is_long_enough else MIN_CANDIDATES
        wanted = min(max(depth, 4 * options.most), max(self.rows, 1))
        found = self._nearest(query, wanted, options.filter.path_prefix)
        if not quotation.is_long_enough:
            return tuple(first_unique((self._hit(place) for place in found), options.k))
        told = [(place, quotation.is_in(place[1].chunks.text(place[2]))) for place in found]
        told.sort(key=lambda item: not item[1])  # stable: each group keeps its order
        hits = (self._hit(place, verbatim=said) for place, said in told)
        return tuple(first_unique(hits, options.k))

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

    def _query(self, question: Question, retrieval: Retrieval) -> Vectors:
        if self._closed:
            raise UsageError(f"version {self.version} is closed")
        if retrieval is Retrieval.LEXICAL:
            raise UsageError(f"version {self.version} has no lexical index; search it by vectors")
        if question.vector is None:
            raise UsageError("a search by vectors needs the question's vector")
        return _normalised(question.vector, self._manifest.embedder.dimension)

    def _nearest(self, query: Vectors, wanted: int, path_prefix: str) -> list[_Place]:
        """Return the best rows of all shards, best first."""
        exact = self.rows <= self._options.exact_rows
        found: list[_Place] = []
        for shard in self._shards:
            only = self._accepted_rows(shard, path_prefix) if path_prefix else None
            # A narrow filter starves the graph, and is cheap to search exactly.
            few = only is not None and int(only.sum()) <= self._options.exact_rows
            scores, rows = shard.reader.search(query, wanted, exact=exact or few, only=only)
            found += [
                (float(score), shard, int(row))
                for score, row in zip(scores[0], rows[0], strict=True)
                if row >= 0
            ]
        found.sort(key=lambda item: -item[0])
        return found[:wanted]

    def _accepted_rows(self, shard: _OpenShard, path_prefix: str) -> RowMask:
        accepted = np.zeros(shard.chunks.rows, np.bool_)
        for written, start, end in shard.documents:
            uri = self._relocations.uri_of(shard.entry.id, start, written)
            if uri.startswith(path_prefix):
                accepted[start:end] = True
        return accepted

    def _hit(self, place: _Place, *, verbatim: bool = False) -> Hit:
        score, shard, row = place
        stored: StoredChunk = shard.chunks.take([row])[0]
        cosine = min(1.0, max(-1.0, score))
        return Hit(
            score=cosine,
            parts=ScoreParts(dense=cosine),
            uri=self._relocations.uri_of(shard.entry.id, row, stored.uri),
            text=stored.chunk.text,
            citation=stored.chunk.citation,
            chunk=stored.chunk_id.hex(),
            verbatim=verbatim,
        )


def _open_shard(entry: ShardEntry, files: LocalFiles, options: SnapshotOptions) -> _OpenShard:
    dead: BitMap | None = None
    if entry.deletions is not None:
        data = files.read(entry.deletions)
        dead = decode_deletions(data, entry.rows, entry.deletions.key)
        if len(dead) != entry.dead:
            raise CorruptArtifactError(
                f"{entry.deletions.key}: dead rows expected {entry.dead}, found {len(dead)}"
            )
    index_path = files.checked_path(entry.index, verify=options.verify)
    reader = ShardReader.open(index_path, entry, dead=dead, verify=False, threads=options.threads)
    chunks_path = files.checked_path(entry.chunks, verify=options.verify)
    return _OpenShard(entry, reader, ChunkTable.open(chunks_path, rows=entry.rows))


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
    norm = float(np.linalg.norm(query))
    if not np.isfinite(norm) or norm == 0.0:
        raise UsageError(f"question vector must have a finite norm above 0, found {norm}")
    normalised: Vectors = (query / norm).astype(np.float32)[np.newaxis, :]
    return normalised
