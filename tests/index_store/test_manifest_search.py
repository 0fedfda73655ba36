"""How a shard is searched, in the manifest."""

from dataclasses import replace

import orjson
import pytest

from index_store.errors import CorruptArtifactError, UsageError
from index_store.manifest import Manifest, SearchMode, ShardSearch
from index_store.manifest_codec import parse_manifest, to_bytes
from index_store.storage.memory import MemoryStorage
from tests.index_store.store_builders import build_manifest

SEARCH = ShardSearch(mode=SearchMode.EXACT, ef_search=512, recall=0.61, built_recall=0.97, dead=1)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    folder = tmp_path_factory.mktemp("built")
    documents = {"a.txt": ["one", "two"], "b.txt": ["three"]}
    return build_manifest(MemoryStorage("built"), documents, folder, dead=[1])


def searched(manifest: Manifest, search: ShardSearch | None) -> Manifest:
    return replace(manifest, shards=(replace(manifest.shards[0], search=search),))


@pytest.mark.parametrize("search", [None, SEARCH, replace(SEARCH, built_recall=None)])
def test_it_comes_back_as_it_was(manifest: Manifest, search: ShardSearch | None):
    written = searched(manifest, search)
    assert parse_manifest(to_bytes(written)) == written


def test_a_shard_that_nobody_measured_has_no_such_field(manifest: Manifest):
    body = orjson.loads(to_bytes(manifest))
    assert "search" not in body["shards"][0]
    assert manifest.shards[0].ef_search == manifest.shards[0].hnsw.ef_search
    assert not manifest.shards[0].searched_exactly


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (replace(SEARCH, recall=1.5), r"recall must be in \[0, 1\], found 1.5"),
        (replace(SEARCH, built_recall=-1.0), r"built_recall must be in \[0, 1\]"),
        (replace(SEARCH, ef_search=3), "ef_search expected at least 16 as it was built, found 3"),
        (replace(SEARCH, dead=2), "measured with 2 dead rows, has 1"),
    ],
)
def test_a_contradiction_is_refused(manifest: Manifest, search: ShardSearch, message: str):
    with pytest.raises(UsageError, match=message):
        to_bytes(searched(manifest, search))


def test_an_unknown_mode_or_storage_is_told_by_name(manifest: Manifest):
    body = orjson.loads(to_bytes(searched(manifest, SEARCH)))
    body["shards"][0]["search"]["mode"] = "guess"
    with pytest.raises(CorruptArtifactError, match="mode: expected one of hnsw, exact, found 'gu"):
        parse_manifest(orjson.dumps(body))
    body["shards"][0]["search"]["mode"] = "hnsw"
    body["shards"][0]["storage"] = "int4"
    with pytest.raises(CorruptArtifactError, match="storage 'int4' is not known"):
        parse_manifest(orjson.dumps(body))
