"""Verification: is everything that the open versions refer to there, whole, and of use?

Invariants: nothing is written; all problems are found, not only the first; what a damaged file
would be needed for is not reported a second time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from pyroaring import BitMap

from index_store.artifacts import Artifact, read_artifact, verify_artifact
from index_store.catalog import Catalog
from index_store.catalog_files import load_catalog
from index_store.chunk_table import ChunkTable
from index_store.collections import check_format, load_manifest
from index_store.deletions import decode_deletions
from index_store.embedder import EmbedderSpec, Vectors
from index_store.embeddings import EmbeddingStore
from index_store.errors import CorruptArtifactError
from index_store.local_files import LocalFiles
from index_store.log import CommitLog
from index_store.log_records import LogState, PublishedVersion, resolve_version
from index_store.manifest import Manifest, ShardEntry
from index_store.relocations import decode_relocations
from index_store.shard import ShardReader
from index_store.storage.base import Storage
from index_store.verification_search import check_words

CANARIES = 5  # stored vectors per shard that are searched for
CANARY_SCORE = 0.98  # vectors of 8 bits are not exact

Dead = Mapping[str, BitMap]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is not as it should be.

    Attributes:
        version: The version in which it was found first, None for the log.
        message: What was expected and what was found; it names the file.
    """

    version: str | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a verification looked at and found.

    Attributes:
        versions: The versions that were looked at.
        artifacts: Number of different files they refer to.
        size_bytes: Size of these files.
        deep: Whether every byte was read.
        problems: All that is wrong.
    """

    versions: tuple[str, ...]
    artifacts: int
    size_bytes: int
    deep: bool
    problems: tuple[Problem, ...]


def verify_collection(
    storage: Storage, collection: str, *, version: str | None = None, deep: bool = False
) -> Verification:
    """Look at every file that open versions refer to.

    Args:
        storage: The store.
        collection: Name of the collection.
        version: Beginning of the id of the only version to look at; None for all open ones.
        deep: Whether every byte is read and hashed, the documents of every chunk compared, and
            shards searched for stored embeddings.

    Raises:
        NotFoundError: There is no such collection or version.
        UsageError: The version is no id, or something was written by a newer nightpress.
        TransientError: The store could not be read.
    """
    check_format(storage, collection)
    log = CommitLog(storage, collection)
    verifier = _Verifier(storage, collection, deep=deep)
    try:
        state = log.audit().state
    except CorruptArtifactError as error:
        verifier.note(None, error)
        state = LogState()
    if version is None or verifier.problems:
        published = list(state.versions.values())
    else:
        published = [resolve_version(state, version=version)]
    try:
        for each in published:
            verifier.look_at(each)
    finally:
        verifier.close()
    return Verification(
        versions=tuple(each.version for each in published),
        artifacts=len(verifier.seen),
        size_bytes=sum(artifact.size_bytes for artifact in verifier.seen),
        deep=deep,
        problems=tuple(verifier.problems),
    )


class _Verifier:
    """Looks at one version after another, at a shared file once."""

    def __init__(self, storage: Storage, collection: str, *, deep: bool) -> None:
        self._storage = storage
        self._deep = deep
        self._files = LocalFiles(storage, None)
        self._sizes = {entry.key: entry.size_bytes for entry in storage.list(f"{collection}/")}
        self._bad: set[str] = set()
        self._stores: dict[str, EmbeddingStore] = {}
        self._opened: set[tuple[Artifact, Artifact | None]] = set()
        self.seen: set[Artifact] = set()
        self.problems: list[Problem] = []

    def close(self) -> None:
        self._files.close()

    def note(self, version: str | None, problem: CorruptArtifactError | str) -> None:
        self.problems.append(Problem(version=version, message=str(problem)))

    def look_at(self, published: PublishedVersion) -> None:
        version = published.version
        self._check_files(version, [published.manifest])
        if published.manifest.key in self._bad:
            return
        try:
            manifest = load_manifest(self._storage, published)
        except CorruptArtifactError as error:
            self.note(version, error)
            return
        self._check_files(version, manifest.artifacts)
        dead = self._dead_rows(version, manifest)
        catalog = self._catalog(version, manifest)
        if catalog is not None:
            for problem in catalog_problems(catalog, manifest, dead):
                self.note(version, f"catalog: {problem}")
        self._check_relocations(version, manifest)
        for entry in manifest.shards:
            self._check_shard(version, entry, dead.get(entry.id), manifest.embedder)
            if self._deep and catalog is not None:
                self._check_uris(version, entry, catalog)

    def _check_files(self, version: str, artifacts: Iterable[Artifact]) -> None:
        for artifact in artifacts:
            if artifact in self.seen:
                continue
            self.seen.add(artifact)
            try:
                self._check_file(artifact)
            except CorruptArtifactError as error:
                self._bad.add(artifact.key)
                self.note(version, error)

    def _check_file(self, artifact: Artifact) -> None:
        found = self._sizes.get(artifact.key)
        if found != artifact.size_bytes:
            shown = "nothing" if found is None else str(found)
            raise CorruptArtifactError(
                f"{artifact.key}: expected {artifact.size_bytes} bytes, found {shown}"
            )
        if self._deep:
            verify_artifact(self._storage, artifact)

    def _dead_rows(self, version: str, manifest: Manifest) -> dict[str, BitMap]:
        """Return the dead rows of every shard whose deletion vector can be read."""
        dead = {}
        for entry in manifest.shards:
            try:
                dead[entry.id] = self._deletions(entry)
            except CorruptArtifactError as error:
                if entry.deletions is not None and entry.deletions.key not in self._bad:
                    self.note(version, error)
        return dead

    def _deletions(self, entry: ShardEntry) -> BitMap:
        if entry.deletions is None:
            return BitMap()
        data = read_artifact(self._storage, entry.deletions)
        dead = decode_deletions(data, entry.rows, entry.deletions.key)
        if len(dead) != entry.dead:
            raise CorruptArtifactError(
                f"{entry.deletions.key}: dead rows expected {entry.dead}, found {len(dead)}"
            )
        return dead

    def _catalog(self, version: str, manifest: Manifest) -> Catalog | None:
        if any(part.artifact.key in self._bad for part in manifest.catalog):
            return None
        try:
            return load_catalog(self._storage, manifest)
        except CorruptArtifactError as error:
            self.note(version, error)
            return None

    def _check_relocations(self, version: str, manifest: Manifest) -> None:
        artifact = manifest.relocations
        if artifact is None or artifact.key in self._bad:
            return
        rows = {entry.id: entry.rows for entry in manifest.shards}
        try:
            moved = decode_relocations(read_artifact(self._storage, artifact), artifact.key)
        except CorruptArtifactError as error:
            self.note(version, error)
            return
        for each in moved:
            if not 0 <= each.row_start < each.row_end <= rows.get(each.shard, 0):
                self.note(version, f"{artifact.key}: rows of {each.uri} are in no shard")

    def _check_shard(
        self, version: str, entry: ShardEntry, dead: BitMap | None, embedder: EmbedderSpec
    ) -> None:
        """Open the files of a shard and search it, once for each set of dead rows."""
        which = (entry.index, entry.deletions)
        if dead is None or which in self._opened:
            return
        if self._bad & {file.key for file in entry.files}:
            return
        self._opened.add(which)
        try:
            chunks = ChunkTable.open(self._files.path(entry.chunks), rows=entry.rows)
            path = self._files.path(entry.index)
            reader = ShardReader.open(path, entry, dead=dead, verify=self._deep)
            rows = [row for row in _spread(entry.rows) if row not in dead]
            _search_canaries(reader, entry, self._canaries(reader, chunks, rows, embedder))
            check_words(self._files, entry, chunks, rows)
        except CorruptArtifactError as error:
            self._bad.add(entry.index.key)
            self.note(version, f"shard {entry.id}: {error}")

    def _canaries(
        self, reader: ShardReader, chunks: ChunkTable, rows: list[int], embedder: EmbedderSpec
    ) -> dict[int, Vectors]:
        """Return what to search for by row: its stored embedding in a deep look, if there is one.

        The vector in the shard itself shows only that a search works.
        """
        canaries = {row: reader.vectors(row, row + 1) for row in rows}
        if not self._deep or not rows:
            return canaries
        hashes = [chunks.text_hashes(row, row + 1)[0] for row in rows]
        found, vectors = self._embeddings(embedder).find(hashes)
        return canaries | {
            row: vectors[place : place + 1] for place, row in enumerate(rows) if found[place]
        }

    def _embeddings(self, embedder: EmbedderSpec) -> EmbeddingStore:
        if embedder.id not in self._stores:
            store = EmbeddingStore(self._storage, embedder.id, embedder.dimension)
            store.refresh()
            self._stores[embedder.id] = store
        return self._stores[embedder.id]

    def _check_uris(self, version: str, entry: ShardEntry, catalog: Catalog) -> None:
        """Compare the names in the chunk table with those that the catalog says are there."""
        if self._bad & {entry.index.key, entry.chunks.key}:
            return
        chunks = ChunkTable.open(self._files.path(entry.chunks), rows=entry.rows)
        written = {start: (uri, end) for uri, start, end in chunks.documents()}
        for record in catalog.records():
            if record.shard != entry.id or not record.chunks:
                continue
            if written.get(record.row_start) != (record.shard_uri, record.row_end):
                self.note(
                    version,
                    f"{entry.chunks.key}: rows {record.row_start} to {record.row_end} are not "
                    f"those of {record.shard_uri}",
                )


def catalog_problems(catalog: Catalog, manifest: Manifest, dead: Dead) -> list[str]:
    """Return what in a catalog does not fit the shards of its version.

    Args:
        catalog: The catalog.
        manifest: The version's manifest.
        dead: Dead rows by shard; shards that are left out are not looked at.
    """
    entries = {entry.id: entry for entry in manifest.shards}
    problems = []
    claimed = 0
    for record in catalog.records():
        claimed += record.chunks
        if not record.chunks:
            continue
        entry = entries.get(record.shard or "")
        if entry is None or not 0 <= record.row_start < record.row_end <= entry.rows:
            problems.append(f"rows of {record.uri} are in no shard of the version")
        elif entry.id in dead and dead[entry.id].range_cardinality(
            record.row_start, record.row_end
        ):
            problems.append(f"rows of {record.uri} are dead in shard {entry.id}")
    live = manifest.counts.chunks_live
    if claimed != live:
        problems.append(f"documents have {claimed} chunks, {live} rows are live")
    documents = len(catalog) - catalog.rejected()
    if documents != manifest.counts.documents:
        problems.append(f"{documents} documents, the manifest says {manifest.counts.documents}")
    return problems


def _search_canaries(
    reader: ShardReader, entry: ShardEntry, canaries: Mapping[int, Vectors]
) -> None:
    """Search for vectors that should be there: each must find itself, or one just as near.

    Raises:
        CorruptArtifactError: One does not.
    """
    for row, vector in canaries.items():
        query = (vector / np.linalg.norm(vector)).astype(np.float32)
        for exact in (True, False):
            scores, rows = reader.search(query, 1, exact=exact)
            if rows[0, 0] < 0 or (exact and scores[0, 0] < CANARY_SCORE):
                raise CorruptArtifactError(
                    f"{entry.index.key}: the vector of row {row} is not found: expected a score "
                    f"of 1, found {scores[0, 0]:.4f}"
                )


def _spread(rows: int) -> list[int]:
    """Return a few row numbers, the first and the last among them."""
    return sorted({round(place * (rows - 1) / (CANARIES - 1)) for place in range(CANARIES)})
