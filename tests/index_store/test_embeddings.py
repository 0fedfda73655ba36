"""Stored embeddings: found by hash in any later process, checked, never silently lost."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from index_store.embedder import Vectors
from index_store.embeddings import EmbeddingStore
from index_store.errors import CorruptArtifactError, UsageError
from index_store.layout import embeddings_prefix
from index_store.storage.base import Storage
from index_store.storage.folder import FolderStorage
from index_store.storage.memory import MemoryStorage

EMBEDDER = "e" * 64
DIMENSION = 8


def key(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def rows(numbers: list[int]) -> Vectors:
    drawn = np.stack([np.random.default_rng(number).normal(size=DIMENSION) for number in numbers])
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def stored(numbers: list[int]) -> Vectors:
    return rows(numbers).astype(np.float16).astype(np.float32)


def opened(storage: Storage) -> EmbeddingStore:
    store = EmbeddingStore(storage, EMBEDDER, DIMENSION)
    store.refresh()
    return store


@pytest.fixture(params=["folder", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return FolderStorage(tmp_path / "store")
    return MemoryStorage("embeddings")


def fill(store: EmbeddingStore, parts: list[range]) -> None:
    for part in parts:
        numbers = list(part)
        store.add([key(number) for number in numbers], rows(numbers))


def test_nothing_is_found_in_an_empty_store(storage: Storage):
    found, vectors = opened(storage).find([key(1), key(2)])
    assert not found.any()
    assert not vectors.any()
    assert opened(storage).texts == 0
    assert opened(storage).find([])[1].shape == (0, DIMENSION)


def test_what_was_stored_is_found_by_the_writer_and_by_later_ones(storage: Storage):
    writer = opened(storage)
    fill(writer, [range(10), range(10, 13), range(13, 40)])
    asked = [39, 0, 100, 12, 0, 101, 10]
    for store in (writer, opened(storage)):
        assert store.texts == 40
        found, vectors = store.find([key(number) for number in asked])
        assert found.tolist() == [True, True, False, True, True, False, True]
        assert np.array_equal(vectors[found], stored([39, 0, 12, 0, 10]))
        assert not vectors[~found].any()
        assert store.contains([key(5), key(500)]).tolist() == [True, False]


def test_values_are_rounded_once(storage: Storage):
    store = opened(storage)
    fill(store, [range(5)])
    _, vectors = store.find([key(number) for number in range(5)])
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors.astype(np.float16).astype(np.float32), vectors)
    assert np.abs(vectors - rows(list(range(5)))).max() < 1e-3


def test_refresh_takes_in_what_others_stored(storage: Storage):
    one, two = opened(storage), opened(storage)
    fill(one, [range(3)])
    assert not two.find([key(1)])[0].any()
    two.refresh()
    two.refresh()
    assert two.find([key(1)])[0].all()
    assert two.texts == 3


def test_the_order_and_repetitions_do_not_change_the_file(storage: Storage):
    store = opened(storage)
    hashes = [key(number) for number in range(6)]
    vectors = rows(list(range(6)))
    name = store.add(hashes, vectors)
    assert store.add(hashes[::-1], vectors[::-1]) == name
    assert store.add([*hashes, hashes[0]], np.vstack([vectors, vectors[3:4]])) == name
    assert store.texts == 6
    assert len(list(storage.list(embeddings_prefix(EMBEDDER)))) == 1


def test_a_text_in_two_parts_is_found(storage: Storage):
    fill(opened(storage), [range(5), range(3, 9)])
    found, vectors = opened(storage).find([key(number) for number in range(9)])
    assert found.all()
    assert np.array_equal(vectors, stored(list(range(9))))


def test_many_small_parts_are_found(storage: Storage):
    writer = opened(storage)
    fill(writer, [range(number, number + 1) for number in range(70)])
    for store in (writer, opened(storage)):
        assert store.texts == 70
        found, vectors = store.find([key(number) for number in range(72)])
        assert found.tolist() == [True] * 70 + [False] * 2
        assert np.array_equal(vectors[:70], stored(list(range(70))))


def test_hashes_that_begin_alike_are_told_apart(storage: Storage):
    store = opened(storage)
    alike = [b"\1" * 8 + bytes([number]) * 24 for number in range(4)]
    store.add([alike[0], alike[2]], rows([0, 2]))
    store.add([alike[3]], rows([3]))
    found, vectors = store.find(alike)
    assert found.tolist() == [True, False, True, True]
    assert np.array_equal(vectors[found], stored([0, 2, 3]))


@pytest.mark.parametrize(
    ("hashes", "vectors", "message"),
    [
        ([], rows([1]), "no vectors to store"),
        ([key(1)], rows([1, 2]), r"shape \(1, 8\), found float32 of shape \(2, 8\)"),
        ([key(1)], rows([1])[:, :7], r"found float32 of shape \(1, 7\)"),
        ([key(1)], rows([1]).astype(np.float64), "found float64"),
        ([b"short"], rows([1]), "a text hash must have 32 bytes"),
        ([key(1), key(2)], np.vstack([rows([1]), rows([2]) * 1.01]), "embedding 1 must have norm"),
        ([key(1)], np.zeros((1, DIMENSION), np.float32), "norm 1, found 0"),
        ([key(1)], np.full((1, DIMENSION), np.nan, np.float32), "norm 1, found nan"),
        ([key(1)], np.full((1, DIMENSION), np.inf, np.float32), "norm 1, found inf"),
    ],
)
def test_wrong_vectors_are_not_stored(
    storage: Storage, hashes: list[bytes], vectors: np.ndarray, message: str
):
    store = opened(storage)
    with pytest.raises(UsageError, match=message):
        store.add(hashes, vectors)
    assert not list(storage.list(""))


def test_every_flipped_byte_of_a_part_is_noticed(storage: Storage):
    numbers = list(range(4))
    name = opened(storage).add([key(number) for number in numbers], rows(numbers))
    data = storage.read(name)
    for place in range(0, len(data), 7):
        storage.put(name, data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])
        try:
            found, vectors = opened(storage).find([key(number) for number in numbers])
        except CorruptArtifactError as error:
            assert name in str(error)  # noqa: PT017
            continue
        assert not vectors[found].any()  # a damaged hash is only a text that is not found


@pytest.mark.parametrize("cut", [0, 10, 100, -1])
def test_a_torn_part_is_named(storage: Storage, cut: int):
    name = opened(storage).add([key(1)], rows([1]))
    storage.put(name, storage.read(name)[:cut])
    with pytest.raises(CorruptArtifactError, match=name):
        opened(storage).find([key(1)])


def test_a_part_of_another_embedder_is_refused(storage: Storage):
    name = opened(storage).add([key(1)], rows([1]))
    other = "f" * 64
    storage.put(name.replace(EMBEDDER, other), storage.read(name))
    with pytest.raises(CorruptArtifactError, match=f"dimension 8 of embedder {other}"):
        EmbeddingStore(storage, other, DIMENSION).refresh()


def test_other_files_are_left_alone(storage: Storage):
    storage.put(f"{embeddings_prefix(EMBEDDER)}README.md", b"hello")
    assert opened(storage).texts == 0
