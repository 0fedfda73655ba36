"""Manifests as bytes and back; pure.

Invariants: the bytes are JSON with sorted keys, so that equal manifests are equal bytes; parsing
lists all problems at once.
"""

import orjson

from index_store.embedder import EmbedderSpec
from index_store.errors import CorruptArtifactError, UsageError
from index_store.fields import HEX_64, Fields, parse_object, raise_problems
from index_store.layout import COLLECTION_NAME
from index_store.log_records import artifact_object, parse_artifact
from index_store.manifest import (
    MANIFEST_FORMAT_VERSION,
    CatalogPart,
    Counts,
    HnswSettings,
    LexicalFiles,
    Manifest,
    SearchMode,
    ShardEntry,
    ShardSearch,
    consistency_problems,
)


def to_bytes(manifest: Manifest) -> bytes:
    """Return the canonical bytes of a manifest.

    Raises:
        UsageError: It contradicts itself, or would not come back as it is.
    """
    what = f"manifest of {manifest.collection}"
    try:
        data = orjson.dumps(
            _manifest_object(manifest),
            option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
        )
        parsed = parse_manifest(data)
    except orjson.JSONEncodeError as error:
        raise UsageError(f"{what}: {error}") from error
    except CorruptArtifactError as error:
        raise UsageError(str(error)) from error
    if parsed != manifest:
        raise UsageError(f"{what}: a value does not survive being written, such as a NaN")
    return data


def parse_manifest(data: bytes) -> Manifest:
    """Parse the bytes of a manifest.

    Raises:
        CorruptArtifactError: It is damaged or contradicts itself; the message lists every problem.
        UsageError: It was written by a newer nightpress.
    """
    problems: list[str] = []
    fields = Fields(parse_object(data, "manifest"), "", problems)
    format_version = fields.whole("format_version", minimum=1)
    if format_version > MANIFEST_FORMAT_VERSION:
        raise UsageError(
            f"manifest has format version {format_version}, this nightpress reads up to "
            f"{MANIFEST_FORMAT_VERSION}; upgrade it"
        )
    manifest = _parse_fields(fields, format_version)
    if not problems:
        problems = consistency_problems(manifest)
    raise_problems(f"manifest of {manifest.collection or 'an unnamed collection'}", problems)
    return manifest


def _manifest_object(manifest: Manifest) -> dict[str, object]:
    counts = manifest.counts
    relocations = manifest.relocations
    return {
        **manifest.extra,
        "format_version": manifest.format_version,
        "collection": manifest.collection,
        "parent": manifest.parent,
        "run": manifest.run,
        "created_at_ms": manifest.created_at_ms,
        "embedder": _embedder_object(manifest.embedder),
        "chunker": manifest.chunker,
        "shards": [_shard_object(shard) for shard in manifest.shards],
        "catalog": [
            {**artifact_object(part.artifact), "rows": part.rows} for part in manifest.catalog
        ],
        "counts": {
            "documents": counts.documents,
            "rejected": counts.rejected,
            "chunks_live": counts.chunks_live,
            "chunks_dead": counts.chunks_dead,
            "tokens": counts.tokens,
        },
        "relocations": None if relocations is None else artifact_object(relocations),
        "quality": dict(manifest.quality),
        "cost": dict(manifest.cost),
        "settings": dict(manifest.settings),
    }


def _embedder_object(spec: EmbedderSpec) -> dict[str, object]:
    return {
        "id": spec.id,
        "provider": spec.provider,
        "model": spec.model,
        "revision": spec.revision,
        "dimension": spec.dimension,
        "tokenizer": spec.tokenizer,
        "max_input_tokens": spec.max_input_tokens,
        "price_per_million_tokens": spec.price_per_million_tokens,
    }


def _shard_object(shard: ShardEntry) -> dict[str, object]:
    return {
        **shard.extra,
        **({} if shard.search is None else {"search": _search_object(shard.search)}),
        **({} if shard.documents is None else {"documents": artifact_object(shard.documents)}),
        **({} if shard.lexical is None else {"lexical": lexical_object(shard.lexical)}),
        "id": shard.id,
        "rows": shard.rows,
        "dead": shard.dead,
        "dimension": shard.dimension,
        "metric": shard.metric,
        "storage": shard.storage,
        "hnsw": {
            "m": shard.hnsw.m,
            "ef_construction": shard.hnsw.ef_construction,
            "ef_search": shard.hnsw.ef_search,
        },
        "index": artifact_object(shard.index),
        "chunks": artifact_object(shard.chunks),
        "deletions": None if shard.deletions is None else artifact_object(shard.deletions),
    }


def lexical_object(lexical: LexicalFiles) -> dict[str, object]:
    """Return what a manifest says about a lexical index."""
    return {
        "analysis": lexical.analysis,
        "languages": list(lexical.languages),
        "files": [artifact_object(file) for file in lexical.files],
    }


def parse_lexical(fields: Fields | None) -> LexicalFiles | None:
    """Read what `lexical_object` returned; problems go to the list of `fields`."""
    if fields is None:
        return None
    return LexicalFiles(
        analysis=fields.text("analysis"),
        languages=fields.texts("languages"),
        files=tuple(parse_artifact(item) for item in fields.children("files")),
    )


def _search_object(search: ShardSearch) -> dict[str, object]:
    return {
        "mode": search.mode.value,
        "ef_search": search.ef_search,
        "recall": search.recall,
        "built_recall": search.built_recall,
        "dead": search.dead,
    }


def _parse_fields(fields: Fields, format_version: int) -> Manifest:
    relocations = fields.child_or_none("relocations")
    return Manifest(
        format_version=format_version,
        collection=fields.text("collection", pattern=COLLECTION_NAME),
        parent=fields.text_or_none("parent", pattern=HEX_64),
        run=fields.text("run"),
        created_at_ms=fields.whole("created_at_ms"),
        embedder=_parse_embedder(fields.child("embedder")),
        chunker=fields.text("chunker"),
        shards=tuple(_parse_shard(item) for item in fields.children("shards")),
        catalog=tuple(
            CatalogPart(artifact=parse_artifact(item), rows=item.whole("rows"))
            for item in fields.children("catalog")
        ),
        counts=_parse_counts(fields.child("counts")),
        relocations=None if relocations is None else parse_artifact(relocations),
        quality=fields.free_form("quality"),
        cost=fields.free_form("cost"),
        settings=fields.free_form("settings"),
        extra=fields.rest(),
    )


def _parse_embedder(fields: Fields) -> EmbedderSpec:
    spec = EmbedderSpec(
        provider=fields.text("provider"),
        model=fields.text("model"),
        revision=fields.text("revision"),
        dimension=fields.whole("dimension", minimum=1),
        tokenizer=fields.text("tokenizer"),
        max_input_tokens=fields.whole("max_input_tokens", minimum=1),
        price_per_million_tokens=fields.real("price_per_million_tokens"),
    )
    if fields.text("id", pattern=HEX_64) != spec.id:
        fields.problem("id", f"expected {spec.id} as the other fields say")
    return spec


def _parse_counts(fields: Fields) -> Counts:
    return Counts(
        documents=fields.whole("documents"),
        rejected=fields.whole("rejected"),
        chunks_live=fields.whole("chunks_live"),
        chunks_dead=fields.whole("chunks_dead"),
        tokens=fields.whole("tokens"),
    )


def _parse_shard(fields: Fields) -> ShardEntry:
    deletions = fields.child_or_none("deletions")
    documents = fields.child_or_none("documents")
    hnsw = fields.child("hnsw")
    return ShardEntry(
        id=fields.text("id", pattern=HEX_64),
        rows=fields.whole("rows", minimum=1),
        dead=fields.whole("dead"),
        dimension=fields.whole("dimension", minimum=1),
        metric=fields.text("metric"),
        storage=fields.text("storage"),
        hnsw=HnswSettings(
            m=hnsw.whole("m", minimum=1),
            ef_construction=hnsw.whole("ef_construction", minimum=1),
            ef_search=hnsw.whole("ef_search", minimum=1),
        ),
        index=parse_artifact(fields.child("index")),
        chunks=parse_artifact(fields.child("chunks")),
        deletions=None if deletions is None else parse_artifact(deletions),
        search=_parse_search(fields.child_or_none("search")),
        documents=None if documents is None else parse_artifact(documents),
        lexical=parse_lexical(fields.child_or_none("lexical")),
        extra=fields.rest(),
    )


def _parse_search(fields: Fields | None) -> ShardSearch | None:
    if fields is None:
        return None
    modes = {mode.value: mode for mode in SearchMode}
    mode = fields.text("mode")
    if mode not in modes:
        fields.problem("mode", f"expected one of {', '.join(modes)}, found {mode!r}")
    return ShardSearch(
        mode=modes.get(mode, SearchMode.EXACT),
        ef_search=fields.whole("ef_search", minimum=1),
        recall=fields.real("recall"),
        built_recall=fields.real_or_none("built_recall"),
        dead=fields.whole("dead"),
    )
