"""How shards are built and measured, and the id that follows from it; pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from index_store.chunk_table import chunk_ids_hash
from index_store.errors import UsageError
from index_store.ids import SHARD_SCHEME, hex_digest
from index_store.manifest import STORAGES, HnswSettings

BUILD_REVISION = "faiss-1.15-hnsw"  # changes when the same rows would give other bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardKind:
    """What FAISS calls a way to store vectors.

    Attributes:
        index: Type of the graph.
        storage: Type of what it stores vectors in.
        quantizer: Name of its quantizer, None when values are stored as they come.
    """

    index: str
    storage: str
    quantizer: str | None = None


# By the name in the manifest; no other types are ever read.
SHARD_KINDS = {
    "flat": ShardKind(index="IndexHNSWFlat", storage="IndexFlatIP"),
    "fp16": ShardKind(index="IndexHNSWSQ", storage="IndexScalarQuantizer", quantizer="QT_fp16"),
    "sq8": ShardKind(index="IndexHNSWSQ", storage="IndexScalarQuantizer", quantizer="QT_8bit"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardOptions:
    """Settings of a build; all but `threads` are part of the shard's identity.

    Attributes:
        hnsw: Parameters of the graph.
        add_batch_rows: Rows added at once, at least 1; another number gives another graph.
        threads: Threads that build; one, unless cores are known to be free.
        storage: How vectors are stored: `flat` and `fp16` keep them as they are, `sq8` rounds them
            to 8 bits within bounds learned from the first batch of rows.
    """

    hnsw: HnswSettings = field(default_factory=HnswSettings)
    add_batch_rows: int = 5000
    threads: int = 1
    storage: str = "flat"

    def __post_init__(self) -> None:
        """Check the bounds.

        Raises:
            UsageError: A number is out of its bounds, or the storage is not known.
        """
        if self.storage not in STORAGES:
            raise UsageError(
                f"shard storage must be one of {', '.join(STORAGES)}, found {self.storage!r}"
            )
        for name, value, lowest, highest in (
            ("m", self.hnsw.m, 2, 256),
            ("ef_construction", self.hnsw.ef_construction, 1, 4096),
            ("ef_search", self.hnsw.ef_search, 1, 4096),
            ("add_batch_rows", self.add_batch_rows, 1, 1_000_000),
            ("threads", self.threads, 1, 1024),
        ):
            if not lowest <= value <= highest:
                raise UsageError(f"{name} must be in [{lowest}, {highest}], found {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallOptions:
    """How recall is measured and what it must be.

    Attributes:
        least: The gate, in [0, 1]: a graph below it is not used.
        hits: Nearest rows looked for.
        questions: Questions asked, at least 1.
        max_ef_search: Candidates looked at in the graph at most.
    """

    least: float = 0.95
    hits: int = 10
    questions: int = 200
    max_ef_search: int = 1024

    def __post_init__(self) -> None:
        """Check the bounds.

        Raises:
            UsageError: A number is out of its bounds.
        """
        if not 0.0 <= self.least <= 1.0:
            raise UsageError(f"least recall must be in [0, 1], found {self.least}")
        if min(self.hits, self.questions, self.max_ef_search) < 1:
            raise UsageError("hits, questions and max_ef_search must be at least 1")


def shard_id(
    embedder_id: str, options: ShardOptions, chunk_ids: Iterable[bytes], documents: str = ""
) -> str:
    """Return the id of the shard that holds these chunks in this order.

    Args:
        embedder_id: Identity of the embedder of its vectors.
        options: How it is built.
        chunk_ids: 32 bytes each.
        documents: What stands for its documents and for how texts became words, so that rights
            and titles never come from a shard that was made of the same texts before; empty for
            a shard without a document table.

    Returns:
        64 hexadecimal characters.
    """
    return hex_digest(
        SHARD_SCHEME,
        f"{BUILD_REVISION}-{options.storage}",
        embedder_id,
        options.hnsw.m,
        options.hnsw.ef_construction,
        options.hnsw.ef_search,
        options.add_batch_rows,
        chunk_ids_hash(chunk_ids),
        *([documents] if documents else []),
    )
