"""Manifests: canonical bytes, all problems at once, unknown fields kept, newer ones refused."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from index_store.artifacts import Artifact
from index_store.errors import CorruptArtifactError, UsageError
from index_store.manifest import Manifest, version_id
from index_store.manifest_codec import parse_manifest, to_bytes
from index_store.storage.memory import MemoryStorage
from tests.index_store.store_builders import build_manifest


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    built = build_manifest(
        MemoryStorage("manifest"), {"a": ["alpha", "beta"]}, tmp_path, parent="1" * 64, dead=[1]
    )
    return replace(
        built,
        quality={"recall@10": 0.98, "set": "golden"},
        cost={"tokens": 12, "sum": 0.5},
        settings={"chunk_tokens": 512},
        relocations=Artifact(key="docs/relocations/x.arrow", size_bytes=3, sha256="2" * 64),
    )


def test_a_manifest_survives_the_way_to_bytes_and_back(manifest: Manifest):
    assert parse_manifest(to_bytes(manifest)) == manifest


def test_equal_manifests_are_equal_bytes_and_the_id_is_their_hash(manifest: Manifest):
    data = to_bytes(manifest)
    assert to_bytes(parse_manifest(data)) == data
    assert len(version_id(data)) == 64
    assert version_id(data) != version_id(to_bytes(replace(manifest, run="other")))


def test_unknown_fields_survive(manifest: Manifest):
    value = orjson.loads(to_bytes(manifest))
    value["later"] = {"nested": [1, 2]}
    value["shards"][0]["later"] = "graph of entities"
    again = orjson.loads(to_bytes(parse_manifest(orjson.dumps(value))))
    assert again == value


def test_a_newer_format_is_refused_by_its_number(manifest: Manifest):
    value = orjson.loads(to_bytes(manifest)) | {"format_version": 2}
    with pytest.raises(UsageError, match="format version 2, this nightpress reads up to 1"):
        parse_manifest(orjson.dumps(value))


def test_all_problems_are_listed_at_once(manifest: Manifest):
    value = orjson.loads(to_bytes(manifest))
    value["collection"] = "../docs"
    value["created_at_ms"] = -1
    value["counts"] = []
    value["run"] = None
    value["cost"] = []
    value["quality"] = {"recall": [1]}
    value["shards"][0]["rows"] = True
    value["shards"][0]["index"]["sha256"] = "short"
    value["embedder"]["price_per_million_tokens"] = "free"
    del value["catalog"]
    with pytest.raises(CorruptArtifactError, match="manifest of") as caught:
        parse_manifest(orjson.dumps(value))
    for problem in (
        "collection: expected",
        "created_at_ms: expected an integer of at least 0, found -1",
        "counts: expected an object, found []",
        "cost: expected an object, found []",
        "counts.tokens: expected an integer",
        "run: expected a string, found nothing",
        "quality: recall must be a string or a number",
        "shards[0].rows: expected an integer of at least 1, found True",
        "shards[0].index.sha256: expected",
        "embedder.price_per_million_tokens: expected a number, found 'free'",
        "catalog: expected a list, found nothing",
    ):
        assert problem in str(caught.value)


def test_a_number_without_bounds_is_refused(manifest: Manifest):
    data = to_bytes(manifest).replace(
        b'"price_per_million_tokens": 0.0', b'"price_per_million_tokens": 1e999'
    )
    with pytest.raises(CorruptArtifactError, match="manifest"):
        parse_manifest(data)


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b'"text"', b"\xff", b"null"])
def test_what_is_no_object_is_refused(data: bytes):
    with pytest.raises(CorruptArtifactError, match="manifest: expected"):
        parse_manifest(data)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("counts", "chunks_live"), 5, "chunks_live: expected 1 as the shards have, found 5"),
        (("counts", "chunks_dead"), 0, "chunks_dead: expected 1 as the shards have, found 0"),
        (("embedder", "dimension"), 8, "embedder.id: expected"),
        (("shards", 0, "dimension"), 8, "dimension expected 16 as the embedder has, found 8"),
        (("shards", 0, "deletions"), None, "a deletion vector goes with dead rows"),
        (("shards", 0, "dead"), 3, "3 of 2 rows are dead"),
        (("shards", 0, "metric"), "l2", "metric 'l2' is not known"),
        (("shards", 0, "storage"), "int4", "storage 'int4' is not known"),
        (("shards", 0, "index", "key"), "other/index.faiss", "is not inside docs/"),
        (("shards", 0, "index", "key"), "docs/../x", "is not inside docs/"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(
    manifest: Manifest, path: tuple[str | int, ...], value: object, message: str
):
    document = orjson.loads(to_bytes(manifest))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(CorruptArtifactError, match=message):
        parse_manifest(orjson.dumps(document))


def test_the_same_shard_twice_is_refused(manifest: Manifest):
    counts = replace(manifest.counts, chunks_live=2, chunks_dead=2)
    doubled = replace(manifest, shards=manifest.shards * 2, counts=counts)
    with pytest.raises(UsageError, match="the same shard is listed twice"):
        to_bytes(doubled)


def test_every_file_is_listed(manifest: Manifest):
    folders = sorted(artifact.key.split("/")[1] for artifact in manifest.artifacts)
    assert folders == ["catalog", "deletions", "relocations", *["shards"] * 9]


def test_many_problems_are_cut_off(manifest: Manifest):
    document = orjson.loads(to_bytes(manifest))
    document["catalog"] = [{} for _ in range(50)]
    with pytest.raises(CorruptArtifactError, match="and 180 more"):
        parse_manifest(orjson.dumps(document))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quality": {"recall": float("nan")}}, "does not survive being written, such as a NaN"),
        ({"quality": {"recall": {"nested": 1}}}, "recall must be a string or a number"),
        ({"quality": {"recall": object()}}, "manifest of docs: Type is not JSON serializable"),
        ({"run": "\ud800"}, "surrogates"),
        ({"created_at_ms": -1}, "created_at_ms: expected an integer of at least 0"),
    ],
)
def test_a_manifest_that_no_reader_would_accept_is_not_written(
    manifest: Manifest, change: dict[str, object], message: str
):
    with pytest.raises(UsageError, match=message):
        to_bytes(replace(manifest, **change))
