"""The manifest: a version's passport, which lists every file it consists of; pure.

Invariants: a version's id is the SHA-256 of its manifest's bytes; every file is listed with size
and hash; a parsed manifest agrees with itself (rows, dimensions, counts); fields that this
nightpress does not know survive being read and written again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from index_store.artifacts import Artifact, sha256_hex
from index_store.embedder import EmbedderSpec
from index_store.fields import FreeForm

MANIFEST_FORMAT_VERSION = 1
METRIC = "inner-product"  # of L2-normalised vectors, so cosine similarity
STORAGES = ("flat", "fp16", "sq8")  # 32, 16 and 8 bits a value; only the last one loses anything


@dataclass(frozen=True, slots=True, kw_only=True)
class HnswSettings:
    """How a shard's graph was built and is searched.

    Attributes:
        m: Neighbours per row and level.
        ef_construction: Candidates looked at while a row was added.
        ef_search: Candidates looked at while searching.
    """

    m: int = 32
    ef_construction: int = 100
    ef_search: int = 64


class SearchMode(Enum):
    """How a shard of a version that is too large for exact search is searched."""

    HNSW = "hnsw"
    EXACT = "exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSearch:
    """How a shard is searched in this version, as measured against exact search.

    Attributes:
        mode: By the graph, or exactly when the graph does not reach the recall that is asked for.
        ef_search: Candidates looked at in the graph, never fewer than the settings of the shard.
        recall: Share of the nearest live rows that the graph finds at least, in [0, 1].
        built_recall: The same when no row was dead yet, None when that is not known.
        dead: Dead rows when it was measured.
    """

    mode: SearchMode
    ef_search: int
    recall: float
    built_recall: float | None
    dead: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LexicalFiles:
    """The lexical index of a shard.

    Attributes:
        analysis: How texts became words; an index of another analysis is not searched.
        languages: Languages that its rows were analysed in, sorted; empty text for whole words.
        files: Its files, in order of suffix.
    """

    analysis: str
    languages: tuple[str, ...]
    files: tuple[Artifact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardEntry:
    """One shard of a version.

    Attributes:
        id: Content-derived id, 64 hexadecimal characters.
        rows: Rows in its files, dead ones included, at least 1.
        dead: Rows that its deletion vector names.
        dimension: Length of its vectors.
        hnsw: Parameters of its graph.
        index: The FAISS file.
        chunks: The chunk table.
        deletions: The deletion vector, None when no row is dead.
        metric: How two vectors are compared; always METRIC now.
        storage: How vectors are stored, one of STORAGES.
        search: How it is searched; None when nobody measured, then by the graph as it was built.
        documents: The document table, None in a shard from before there were any.
        lexical: The lexical index, None in a shard from before there were any.
        extra: Unknown fields, kept.
    """

    id: str
    rows: int
    dead: int
    dimension: int
    hnsw: HnswSettings
    index: Artifact
    chunks: Artifact
    deletions: Artifact | None = None
    metric: str = METRIC
    storage: str = "flat"
    search: ShardSearch | None = None
    documents: Artifact | None = None
    lexical: LexicalFiles | None = None
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def files(self) -> Iterator[Artifact]:
        """The files that were written with it, all but the deletion vector."""
        yield self.index
        yield self.chunks
        if self.documents is not None:
            yield self.documents
        if self.lexical is not None:
            yield from self.lexical.files

    @property
    def live(self) -> int:
        """Number of rows that a search may return."""
        return self.rows - self.dead

    @property
    def ef_search(self) -> int:
        """Candidates that a search looks at in the graph."""
        return self.hnsw.ef_search if self.search is None else self.search.ef_search

    @property
    def searched_exactly(self) -> bool:
        """Whether the graph is not good enough in this version."""
        return self.search is not None and self.search.mode is SearchMode.EXACT


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogPart:
    """One file of the catalog.

    Attributes:
        artifact: The Parquet file.
        rows: Lines in it, tombstones included.
    """

    artifact: Artifact
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a version holds.

    Attributes:
        documents: Documents with serving chunks or none needed, rejected ones excluded.
        rejected: Documents whose observed content is refused.
        chunks_live: Chunks that a search may return.
        chunks_dead: Rows that are still in shards but never returned.
        tokens: Tokens of the live chunks.
    """

    documents: int
    rejected: int
    chunks_live: int
    chunks_dead: int
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything about a version but its id, which is the hash of this.

    Attributes:
        collection: Name of the collection.
        parent: Version it was built on, None for the first.
        run: Run that built it.
        created_at_ms: When, milliseconds since the epoch.
        embedder: Identity of the embedder of every vector.
        chunker: Identity of the chunker.
        shards: In a fixed order, possibly none.
        catalog: Parts of the catalog, oldest first; a later line overrides an earlier one.
        counts: What the version holds.
        relocations: List of moved documents, None when none moved.
        quality: Measured figures, by name; free form.
        cost: What the run consumed and paid, by name; free form.
        settings: Settings of the run that people may want to look up; free form.
        format_version: Of this file.
        extra: Unknown fields, kept.
    """

    collection: str
    parent: str | None
    run: str
    created_at_ms: int
    embedder: EmbedderSpec
    chunker: str
    shards: tuple[ShardEntry, ...]
    catalog: tuple[CatalogPart, ...]
    counts: Counts
    relocations: Artifact | None = None
    quality: FreeForm = field(default_factory=dict)
    cost: FreeForm = field(default_factory=dict)
    settings: FreeForm = field(default_factory=dict)
    format_version: int = MANIFEST_FORMAT_VERSION
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def artifacts(self) -> Iterator[Artifact]:
        """Every file the version consists of, the manifest itself excepted."""
        for shard in self.shards:
            yield from shard.files
            if shard.deletions is not None:
                yield shard.deletions
        for part in self.catalog:
            yield part.artifact
        if self.relocations is not None:
            yield self.relocations


def version_id(manifest_bytes: bytes) -> str:
    """Return the id of the version that these bytes describe, 64 hexadecimal characters."""
    return sha256_hex(manifest_bytes)


def consistency_problems(manifest: Manifest) -> list[str]:
    """Return what in a manifest contradicts itself, one line each."""
    problems = []
    live = sum(shard.live for shard in manifest.shards)
    dead = sum(shard.dead for shard in manifest.shards)
    for name, counted, found in (
        ("counts.chunks_live", manifest.counts.chunks_live, live),
        ("counts.chunks_dead", manifest.counts.chunks_dead, dead),
    ):
        if counted != found:
            problems.append(f"{name}: expected {found} as the shards have, found {counted}")
    if len({shard.id for shard in manifest.shards}) != len(manifest.shards):
        problems.append("shards: the same shard is listed twice")
    for shard in manifest.shards:
        problems += _shard_problems(shard, manifest.embedder.dimension)
    for artifact in manifest.artifacts:
        inside = artifact.key.startswith(f"{manifest.collection}/")
        if not inside or {"", ".", ".."} & set(artifact.key.split("/")):
            problems.append(f"key {artifact.key!r} is not inside {manifest.collection}/")
    return problems


def _shard_problems(shard: ShardEntry, dimension: int) -> list[str]:
    problems = []
    if shard.dead > shard.rows:
        problems.append(f"shard {shard.id}: {shard.dead} of {shard.rows} rows are dead")
    if (shard.deletions is None) != (shard.dead == 0):
        problems.append(
            f"shard {shard.id}: a deletion vector goes with dead rows, and only with them"
        )
    if shard.dimension != dimension:
        problems.append(
            f"shard {shard.id}: dimension expected {dimension} as the embedder has, "
            f"found {shard.dimension}"
        )
    if shard.metric != METRIC:
        problems.append(f"shard {shard.id}: metric {shard.metric!r} is not known")
    if shard.storage not in STORAGES:
        problems.append(f"shard {shard.id}: storage {shard.storage!r} is not known")
    if shard.search is not None:
        problems += _search_problems(shard, shard.search)
    return problems


def _search_problems(shard: ShardEntry, search: ShardSearch) -> list[str]:
    problems = []
    for name, value in (("recall", search.recall), ("built_recall", search.built_recall)):
        if value is not None and not 0.0 <= value <= 1.0:
            problems.append(f"shard {shard.id}: {name} must be in [0, 1], found {value}")
    if search.ef_search < shard.hnsw.ef_search:
        problems.append(
            f"shard {shard.id}: ef_search expected at least {shard.hnsw.ef_search} as it was "
            f"built, found {search.ef_search}"
        )
    if search.dead > shard.dead:
        problems.append(
            f"shard {shard.id}: measured with {search.dead} dead rows, has {shard.dead}"
        )
    return problems
