"""The record beside a shard's files that says it is finished; pure.

Invariant: it lists every file of the shard, so who finds it finds them.
"""

from collections.abc import Mapping, Sequence

import orjson

from index_store.artifacts import Artifact
from index_store.errors import CorruptArtifactError
from index_store.manifest import HnswSettings, LexicalFiles, ShardEntry

FORMAT_VERSION = 1


def encode_shard_record(entry: ShardEntry) -> bytes:
    """Return the bytes of `shard.json`; what a shard has not is left out."""
    body: dict[str, object] = {
        "format_version": FORMAT_VERSION,
        "id": entry.id,
        "rows": entry.rows,
        "dimension": entry.dimension,
        "index": artifact_row(entry.index),
        "chunks": artifact_row(entry.chunks),
    }
    if entry.documents is not None:
        body["documents"] = artifact_row(entry.documents)
    if entry.lexical is not None:
        body["lexical"] = {
            "analysis": entry.lexical.analysis,
            "languages": list(entry.lexical.languages),
            "files": [artifact_row(file) for file in entry.lexical.files],
        }
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


def decode_shard_record(data: bytes, shard: str, hnsw: HnswSettings, storage: str) -> ShardEntry:
    """Read what `encode_shard_record` returned.

    Args:
        data: The bytes.
        shard: Id that it must be of.
        hnsw: How the graph was built; the id follows from it, so it is not written again.
        storage: How vectors are stored, likewise.

    Raises:
        CorruptArtifactError: It is damaged, or of another shard.
    """
    try:
        body = orjson.loads(data)
        documents = body.get("documents")
        entry = ShardEntry(
            id=str(body["id"]),
            rows=int(body["rows"]),
            dead=0,
            dimension=int(body["dimension"]),
            hnsw=hnsw,
            index=artifact_from_row(body["index"]),
            chunks=artifact_from_row(body["chunks"]),
            documents=None if documents is None else artifact_from_row(documents),
            lexical=_lexical(body.get("lexical")),
            storage=storage,
        )
        format_version = int(body["format_version"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptArtifactError(f"shard {shard}: its record is damaged: {error}") from error
    if (format_version, entry.id) != (FORMAT_VERSION, shard):
        raise CorruptArtifactError(
            f"shard {shard}: its record is of format version {format_version} and shard {entry.id}"
        )
    return entry


def artifact_row(artifact: Artifact) -> list[str | int]:
    """Return an artifact as a JSON array."""
    return [artifact.key, artifact.size_bytes, artifact.sha256]


def artifact_from_row(row: Sequence[object]) -> Artifact:
    """Read an artifact from the array that `artifact_row` made.

    Raises:
        ValueError: The array has another shape.
    """
    key, size_bytes, sha256 = row
    return Artifact(key=str(key), size_bytes=int(str(size_bytes)), sha256=str(sha256))


def _lexical(body: Mapping[str, Sequence[object]] | None) -> LexicalFiles | None:
    if body is None:
        return None
    files: Sequence[Sequence[object]] = body["files"]  # type: ignore[assignment]
    return LexicalFiles(
        analysis=str(body["analysis"]),
        languages=tuple(str(each) for each in body["languages"]),
        files=tuple(artifact_from_row(row) for row in files),
    )
