"""Forgetting texts takes their vectors out of every part and leaves all others bit for bit."""

import pytest

from index_store.artifacts import sha256_hex
from index_store.embedding_parts import forget_texts, read_part
from index_store.embeddings import EmbeddingStore
from index_store.errors import CorruptArtifactError
from index_store.ids import text_hash
from index_store.layout import embeddings_key
from index_store.storage.memory import MemoryStorage
from tests.index_store.store_builders import DIMENSION, SPEC, vectors

TEXTS = [f"text {number}" for number in range(20)]


def hashes(texts: list[str]) -> list[bytes]:
    return [text_hash(text) for text in texts]


def stored(storage: MemoryStorage) -> EmbeddingStore:
    store = EmbeddingStore(storage, SPEC.id, DIMENSION)
    store.refresh()
    return store


@pytest.fixture
def storage() -> MemoryStorage:
    """Three parts: ten texts, the other ten, and two that stand in both."""
    storage = MemoryStorage("parts")
    store = EmbeddingStore(storage, SPEC.id, DIMENSION)
    for texts in (TEXTS[:10], TEXTS[10:], [TEXTS[3], TEXTS[13]]):
        store.add(hashes(texts), vectors(texts))
    return storage


def test_vectors_go_from_every_part_and_the_others_stay(storage: MemoryStorage):
    assert forget_texts(storage, set(hashes([TEXTS[3], TEXTS[13], "unknown"]))) == (4, 3)
    found, known = stored(storage).find(hashes(TEXTS))
    assert [TEXTS[row] for row in range(20) if not found[row]] == [TEXTS[3], TEXTS[13]]
    assert (known[found] == vectors(TEXTS)[found]).all()
    assert len(list(storage.list("embeddings/"))) == 2


def test_parts_without_the_texts_are_left_alone(storage: MemoryStorage):
    storage.put("embeddings/readme.txt", b"not a part")
    before = {entry.key: storage.read(entry.key) for entry in storage.list("")}
    assert forget_texts(storage, set(hashes(["unknown"]))) == (0, 0)
    assert forget_texts(storage, set()) == (0, 0)
    assert {entry.key: storage.read(entry.key) for entry in storage.list("")} == before


def test_a_damaged_part_is_told(storage: MemoryStorage):
    entry = next(iter(storage.list("embeddings/")))
    storage.put(entry.key, storage.read(entry.key)[:-1])
    with pytest.raises(CorruptArtifactError, match=rf"{entry.key}: expected"):
        forget_texts(storage, set(hashes(TEXTS)))


def test_a_part_that_is_no_table_is_told(storage: MemoryStorage):
    key = embeddings_key(SPEC.id, sha256_hex(b"no table"))
    storage.put(key, b"no table")
    (entry,) = storage.list(key)
    with pytest.raises(CorruptArtifactError, match=r"expected stored embeddings"):
        read_part(storage, entry)
