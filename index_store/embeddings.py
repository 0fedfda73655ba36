"""Vectors that were paid for, by text hash and embedder, so that no text is ever embedded twice.

Invariants: a part is an immutable file named by its own hash and is checked once before its
vectors are used; a vector is L2-normalised in float32 and rounded to float16 once, when it is
stored, and those values are what everything uses from then on; a part that cannot be read is an
error and never a silent gap.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from index_store.artifacts import (
    Artifact,
    check_file,
    read_artifact,
    sha256_hex,
    store_artifact,
)
from index_store.embedder import Vectors
from index_store.errors import CorruptArtifactError, UsageError
from index_store.layout import embeddings_key, embeddings_prefix
from index_store.storage.base import Storage, StoredObject

FORMAT = b"nightpress.embeddings.v1"
NORM_TOLERANCE = 1e-3
HASH_BYTES = 32
PART_NAME = re.compile(r"([0-9a-f]{64})\.arrow")

_Prefixes = npt.NDArray[np.uint64]
_Places = npt.NDArray[np.int64]
_Keys = npt.NDArray[np.uint8]
_Found = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """An index over some parts: beginnings of text hashes, sorted, and where the vectors are."""

    prefixes: _Prefixes
    part_of: _Places
    row_of: _Places

    def has(self, prefixes: _Prefixes, places: _Places) -> _Found:
        """Tell whether a beginning stands at its place."""
        same = np.zeros(len(prefixes), np.bool_)
        inside = places < len(self.prefixes)
        same[inside] = self.prefixes[places[inside]] == prefixes[inside]
        return same

    def first_places(self, prefixes: _Prefixes) -> _Places:
        """Return where each beginning stands or would stand."""
        return np.searchsorted(self.prefixes, prefixes).astype(np.int64)

    def joined(self, other: "_Run") -> "_Run":
        """Return one index over the parts of both."""
        prefixes = np.concatenate([self.prefixes, other.prefixes])
        order = np.argsort(prefixes, kind="stable")
        return _Run(
            prefixes=prefixes[order],
            part_of=np.concatenate([self.part_of, other.part_of])[order],
            row_of=np.concatenate([self.row_of, other.row_of])[order],
        )


class EmbeddingStore:
    """The stored vectors of one embedder; not shared between threads.

    It keeps 24 bytes per text in memory: the beginning of its hash and where its vector is.
    """

    def __init__(self, storage: Storage, embedder_id: str, dimension: int) -> None:
        self._storage = storage
        self._embedder_id = embedder_id
        self._dimension = dimension
        self._parts: list[Artifact] = []
        self._checked: set[str] = set()
        self._runs: list[_Run] = []  # each at least twice as long as the next, so there are few

    @property
    def texts(self) -> int:
        """Number of vectors that are known, counted once per part that holds them."""
        return sum(len(run.prefixes) for run in self._runs)

    def refresh(self) -> None:
        """Take notice of parts that were added since, by this or another process.

        Raises:
            CorruptArtifactError: A part is no file of vectors of this embedder.
            TransientError: The store could not be read.
        """
        known = {part.key for part in self._parts}
        prefix = embeddings_prefix(self._embedder_id)
        for entry in self._storage.list(prefix):
            name = PART_NAME.fullmatch(entry.key.removeprefix(prefix))
            if name and entry.key not in known:
                self._parts.append(_part(entry, name[1]))
        self._index_parts(len(known))

    def contains(self, hashes: Sequence[bytes]) -> _Found:
        """Tell which texts have a vector, without reading vectors.

        Returns:
            bool, shape (len(hashes),). Decided by the first 8 bytes of a hash, good enough for
            estimates.
        """
        prefixes = _prefixes_of(_as_keys(hashes))
        exists = np.zeros(len(prefixes), np.bool_)
        for run in self._runs:
            exists |= run.has(prefixes, run.first_places(prefixes))
        return exists

    def find(self, hashes: Sequence[bytes]) -> tuple[_Found, Vectors]:
        """Return the vectors that are stored.

        Args:
            hashes: 32-byte text hashes, in any order, repetitions allowed.

        Returns:
            bool, shape (n,): whether each has a vector; float32, shape (n, dimension): the
            vectors, rows L2-normalised up to their rounding to float16, zero where there is none.

        Raises:
            CorruptArtifactError: A part is missing or damaged.
            TransientError: The store could not be read.
        """
        keys = _as_keys(hashes)
        found = np.zeros(len(keys), np.bool_)
        vectors = np.zeros((len(keys), self._dimension), np.float32)
        prefixes = _prefixes_of(keys)
        for run in self._runs:
            places = run.first_places(prefixes)
            pending = ~found & run.has(prefixes, places)
            while pending.any():
                self._take(run, keys, places, pending, found, vectors)
                places = places + 1  # hashes that begin alike stand side by side
                pending &= ~found & run.has(prefixes, places)
        return found, vectors

    def add(self, hashes: Sequence[bytes], vectors: Vectors) -> str:
        """Store vectors as one part, durably, before it returns.

        Args:
            hashes: 32-byte text hashes; of a repeated one the first counts.
            vectors: float32, shape (len(hashes), dimension), rows L2-normalised.

        Returns:
            The key of the part.

        Raises:
            UsageError: Count, dimension, a value or a norm is wrong; nothing is stored.
            TransientError: The store could not be written.
        """
        _check(hashes, vectors, self._dimension)
        unique = {key: place for place, key in reversed(list(enumerate(hashes)))}
        order = sorted(unique)
        rounded = vectors[[unique[key] for key in order]].astype(np.float16)
        data = _encode(order, rounded, self._embedder_id)
        key = embeddings_key(self._embedder_id, sha256_hex(data))
        part = store_artifact(self._storage, key, data)
        if part not in self._parts:
            self._parts.append(part)
            self._checked.add(part.key)
            self._index_parts(len(self._parts) - 1)
        return key

    def _index_parts(self, start: int) -> None:
        """Enter the parts from number `start` on into the index."""
        for number in range(start, len(self._parts)):
            keys, _ = self._open(number)
            prefixes = _prefixes_of(keys)
            order = np.argsort(prefixes, kind="stable")
            run = _Run(
                prefixes=prefixes[order],
                part_of=np.full(len(keys), number, np.int64),
                row_of=order.astype(np.int64),
            )
            while self._runs and len(self._runs[-1].prefixes) < 2 * len(run.prefixes):
                run = self._runs.pop().joined(run)
            self._runs.append(run)

    def _take(
        self,
        run: _Run,
        keys: _Keys,
        places: _Places,
        pending: _Found,
        found: _Found,
        vectors: Vectors,
    ) -> None:
        """Fill in the vectors of pending keys whose whole hash stands at their place."""
        wanted = np.flatnonzero(pending)
        parts = run.part_of[places[wanted]]
        for number in np.unique(parts):
            here = wanted[parts == number]
            rows = run.row_of[places[here]]
            self._check_once(int(number))
            part_keys, part_vectors = self._open(int(number))
            same = (part_keys[rows] == keys[here]).all(axis=1)
            found[here[same]] = True
            vectors[here[same]] = part_vectors[rows[same]].astype(np.float32)

    def _check_once(self, number: int) -> None:
        part = self._parts[number]
        if part.key in self._checked:
            return
        path = self._storage.local_path(part.key)
        if path is None:
            read_artifact(self._storage, part)
        else:
            check_file(path, part, verify=True)
        self._checked.add(part.key)

    def _open(self, number: int) -> tuple[_Keys, npt.NDArray[np.float16]]:
        """Return the hashes and vectors of a part; a local file is mapped, and not kept open."""
        part = self._parts[number]
        path = self._storage.local_path(part.key)
        try:
            source = (
                pa.BufferReader(read_artifact(self._storage, part))
                if path is None
                else pa.memory_map(str(path))
            )
            batch = pa.ipc.open_file(source).get_batch(0)
        except (pa.ArrowInvalid, OSError) as error:
            raise CorruptArtifactError(
                f"{part.key}: expected stored embeddings, found {error}; "
                "delete it to have its texts embedded again"
            ) from error
        return _decode(batch, part.key, self._embedder_id, self._dimension)


def _part(entry: StoredObject, sha256: str) -> Artifact:
    return Artifact(key=entry.key, size_bytes=entry.size_bytes, sha256=sha256)


def _schema(dimension: int, embedder_id: str) -> pa.Schema:
    return pa.schema(
        [
            pa.field("text_hash", pa.binary(HASH_BYTES), nullable=False),
            pa.field("vector", pa.list_(pa.float16(), dimension), nullable=False),
        ],
        metadata={b"format": FORMAT, b"embedder": embedder_id.encode()},
    )


def _encode(hashes: Sequence[bytes], vectors: npt.NDArray[np.float16], embedder_id: str) -> bytes:
    schema = _schema(vectors.shape[1], embedder_id)
    values = pa.FixedSizeListArray.from_arrays(
        pa.array(vectors.ravel(), pa.float16()), type=schema.field("vector").type
    )
    batch = pa.record_batch([pa.array(hashes, pa.binary(HASH_BYTES)), values], schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


def _decode(
    batch: pa.RecordBatch, key: str, embedder_id: str, dimension: int
) -> tuple[_Keys, npt.NDArray[np.float16]]:
    expected = _schema(dimension, embedder_id)
    if not batch.schema.equals(expected) or batch.schema.metadata != expected.metadata:
        raise CorruptArtifactError(
            f"{key}: expected vectors of dimension {dimension} of embedder {embedder_id}"
        )
    rows = batch.num_rows
    keys = np.frombuffer(batch.column(0).buffers()[1], np.uint8, rows * HASH_BYTES)
    vectors = np.frombuffer(batch.column(1).values.buffers()[1], np.float16, rows * dimension)
    return keys.reshape(rows, HASH_BYTES), vectors.reshape(rows, dimension)


def _as_keys(hashes: Sequence[bytes]) -> _Keys:
    if any(len(key) != HASH_BYTES for key in hashes):
        raise UsageError(f"a text hash must have {HASH_BYTES} bytes")
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(len(hashes), HASH_BYTES)


def _prefixes_of(keys: _Keys) -> _Prefixes:
    return np.ascontiguousarray(keys[:, :8]).view(">u8").reshape(-1).astype(np.uint64)


def _check(hashes: Sequence[bytes], vectors: Vectors, dimension: int) -> None:
    if not len(hashes):
        raise UsageError("there are no vectors to store")
    _as_keys(hashes)
    if vectors.shape != (len(hashes), dimension) or vectors.dtype != np.float32:
        raise UsageError(
            f"embeddings must be float32 of shape ({len(hashes)}, {dimension}), "
            f"found {vectors.dtype} of shape {vectors.shape}"
        )
    norms = np.linalg.norm(vectors, axis=1)
    wrong = ~(np.abs(norms - 1.0) <= NORM_TOLERANCE)  # also true for values that are not numbers
    if wrong.any():
        row = int(np.argmax(wrong))
        raise UsageError(f"embedding {row} must have norm 1, found {norms[row]}")
