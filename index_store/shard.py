"""Shards: immutable FAISS HNSW files. This module is the one door to FAISS.

Invariants: the same vectors and options give the same bytes, also when the build was interrupted
and resumed; a file is written through a callback that hashes it, fsynced, reopened and queried
before anybody hears of it; FAISS sees a file only after its size and hash agreed; FAISS errors do
not leave this module.
"""

import hashlib
import math
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from index_store.artifacts import Artifact, check_file
from index_store.deletions import RowMask, live_mask
from index_store.embedder import Vectors
from index_store.errors import CorruptArtifactError, TransientError, UsageError
from index_store.manifest import ShardEntry
from index_store.shard_options import SHARD_KINDS, ShardKind, ShardOptions

SQ8_MARGIN = 0.25  # bounds learned from the first rows are widened by this share on either side
NORM_TOLERANCE = 5e-3  # vectors were rounded to float16 after they were normalised
CANARY_HITS = 10

Scores = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

_FAISS: Any = faiss  # its own type stubs lack much of what is used here
_READ_LOCK = threading.Lock()  # FAISS keeps its limit for reading in a global variable


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardFile:
    """A FAISS file on local disk.

    Attributes:
        path: Where it is.
        rows: Rows in it.
        size_bytes: Its size.
        sha256: Its hash, 64 hexadecimal characters.
    """

    path: Path
    rows: int
    size_bytes: int
    sha256: str


class ShardBuilder:
    """Builds one shard in memory from vectors that arrive in any portions."""

    def __init__(self, options: ShardOptions, dimension: int) -> None:
        self._options = options
        self._dimension = dimension
        self._index = _new_index(options, dimension)
        self._pending: list[Vectors] = []
        self._pending_rows = 0

    @classmethod
    def resume(cls, options: ShardOptions, dimension: int, checkpoint: ShardFile) -> "ShardBuilder":
        """Go on from a checkpoint; rows from `checkpoint.rows` on must be added again.

        Raises:
            CorruptArtifactError: The file is not what `checkpoint` says.
        """
        builder = cls(options, dimension)
        builder._index = _read_checked(checkpoint, options, dimension, mapped=False)
        # FAISS does not save the generator of levels: without this the graph would differ.
        for _ in range(checkpoint.rows):
            builder._index.hnsw.random_level()
        return builder

    @property
    def rows(self) -> int:
        """Rows added so far."""
        return int(self._index.ntotal) + self._pending_rows

    def add(self, vectors: Vectors) -> None:
        """Append rows.

        Args:
            vectors: float32, shape (n, dimension), rows L2-normalised.

        Raises:
            UsageError: Shape, type, a value or a norm is wrong.
        """
        _check_rows(vectors, self._dimension)
        step = self._options.add_batch_rows
        position = 0
        while position < len(vectors):
            portion = vectors[position : position + step - self._pending_rows]
            self._pending.append(portion.copy())
            self._pending_rows += len(portion)
            position += len(portion)
            if self._pending_rows == step:
                self._flush()

    def checkpoint(self, path: Path) -> ShardFile:
        """Write what is indexed so far; rows that do not fill a batch yet are left out.

        Raises:
            TransientError: The file could not be written.
        """
        return _write(self._index, path)

    def finish(self, path: Path) -> ShardFile:
        """Write the shard, reopen it and compare its answers with those of the index in memory.

        Raises:
            UsageError: There are no rows.
            TransientError: The file could not be written.
            CorruptArtifactError: The file does not answer as the index in memory does.
        """
        if self._pending_rows:
            self._flush()
        if not self._index.ntotal:
            raise UsageError("a shard must have at least one row")
        file = _write(self._index, path)
        reopened = _read_checked(file, self._options, self._dimension, mapped=True)
        _compare_answers(self._index, reopened, path)
        return file

    def _flush(self) -> None:
        _set_threads(self._options.threads)
        rows = np.concatenate(self._pending)
        if not self._index.is_trained:
            self._index.train(rows)
        self._index.add(rows)
        self._pending = []
        self._pending_rows = 0


@dataclass(frozen=True, slots=True, eq=False)
class RowSelection:
    """Rows of one shard that a search may return.

    Attributes:
        mask: bool, shape (rows,).
        rows: How many they are.
        selector: The same for FAISS; None for all rows of the shard.
    """

    mask: RowMask
    rows: int
    selector: Any


class ShardReader:
    """A shard opened for reading, with the rows that are dead in one version; safe for threads.

    Attributes:
        live: bool, shape (rows,): rows that may be returned.
    """

    def __init__(self, index: Any, live: RowMask, entry: ShardEntry, threads: int) -> None:  # noqa: ANN401
        self._index = index
        self._flat = _flat_storage(index)
        self.live = live
        self._entry = entry
        self._threads = threads
        self._live_rows = int(live.sum())
        self._all = self.selection()
        self._parameters = _graph_parameters(self._all, entry.ef_search)

    @classmethod
    def open(
        cls,
        path: Path,
        entry: ShardEntry,
        *,
        dead: BitMap | None = None,
        verify: bool = True,
        threads: int = 1,
    ) -> "ShardReader":
        """Map a local file.

        Args:
            path: The file; it is never modified in place.
            entry: What the manifest says about it.
            dead: Rows that are never returned.
            verify: Whether the hash is compared; the size always is.
            threads: Threads that one search may use.

        Raises:
            CorruptArtifactError: The file is not what `entry` says.
        """
        check_file(path, entry.index, verify=verify)
        index = _read_index(path, entry.index, mapped=True)
        expected = ShardOptions(hnsw=entry.hnsw, storage=entry.storage)
        _compare_index(index, entry.index.key, entry.rows, entry.dimension, expected)
        return cls(index, live_mask(dead, entry.rows), entry, threads)

    @property
    def rows(self) -> int:
        """Number of rows, dead ones included."""
        return len(self.live)

    @property
    def ef_search(self) -> int:
        """Candidates that a search looks at in the graph."""
        return self._entry.ef_search

    def search(
        self,
        queries: Vectors,
        k: int,
        *,
        exact: bool,
        ef_search: int | None = None,
        among: RowSelection | None = None,
    ) -> tuple[Scores, Rows]:
        """Find the live rows with the largest inner product.

        A walk through the graph that comes back with fewer rows than there are, because it was
        lost among dead ones, is made up for by comparing every live row.

        Args:
            queries: float32, shape (n, dimension), rows L2-normalised.
            k: Results per query, at least 1.
            exact: Whether every live row is compared, instead of walking the graph; also done when
                the manifest says that the graph is not good enough.
            ef_search: Candidates looked at in the graph, None for the shard's own number.
            among: What `selection` returned: rows that may be returned; None for all live ones.

        Returns:
            float32 scores and int64 rows, both of shape (n, k), best first; places without a
            result hold -inf and -1.

        Raises:
            UsageError: `queries` or `k` is out of bounds.
        """
        _check_rows(queries, self._entry.dimension)
        if k < 1:
            raise UsageError(f"k must be at least 1, found {k}")
        wanted = self._all if among is None else among
        _set_threads(self._threads)
        found = min(k, self.rows)
        if exact or self._entry.searched_exactly:
            scores, rows = self._compare_all(queries, found, wanted)
            complete = bool(rows[:, -1].min() >= 0)
        else:
            parameters = self._graph_parameters(wanted, ef_search, found)
            scores, rows = self._index.search(queries, found, params=parameters)
            complete = bool(rows[:, -1].min() >= 0)
            if not complete:
                short = (rows >= 0).sum(axis=1) < min(found, wanted.rows)
                if short.any():
                    scores[short], rows[short] = self._compare_all(queries[short], found, wanted)
                    complete = bool(rows[:, -1].min() >= 0)
        if found == k and complete:
            return scores, rows
        scores = np.where(rows < 0, np.float32(-np.inf), scores)
        padding = ((0, 0), (0, k - found))
        return (
            np.pad(scores, padding, constant_values=-np.inf).astype(np.float32),
            np.pad(rows, padding, constant_values=-1).astype(np.int64),
        )

    def vectors(self, start: int, end: int) -> Vectors:
        """Return the vectors of the rows [start, end): float32, shape (end - start, dimension)."""
        if not 0 <= start <= end <= self.rows:
            raise UsageError(f"rows [{start}, {end}) are not in [0, {self.rows})")
        vectors: Vectors = self._flat.reconstruct_n(start, end - start)
        return vectors

    def vectors_of(self, rows: Sequence[int]) -> Vectors:
        """Return the vectors of single rows: float32, shape (len(rows), dimension)."""
        vectors: Vectors = self._flat.reconstruct_batch(np.asarray(rows, np.int64))
        return vectors

    def selection(self, only: RowMask | None = None) -> RowSelection:
        """Return live rows in the form that FAISS asks about; worth keeping for many searches.

        Args:
            only: bool, shape (rows,): rows that may be returned, None for all live ones.
        """
        if only is None and self._live_rows == self.rows:
            return RowSelection(self.live, self.rows, None)
        mask = self.live if only is None else self.live & only
        bits = np.packbits(mask, bitorder="little")
        return RowSelection(mask, int(mask.sum()), _FAISS.IDSelectorBitmap(bits))

    def _compare_all(self, queries: Vectors, k: int, wanted: RowSelection) -> tuple[Scores, Rows]:
        parameters = _FAISS.SearchParameters(sel=wanted.selector)
        scores, rows = self._flat.search(queries, k, params=parameters)
        return scores, rows

    def _graph_parameters(self, wanted: RowSelection, ef_search: int | None, hits: int) -> Any:  # noqa: ANN401
        ef = max(self._entry.ef_search if ef_search is None else ef_search, hits)
        if wanted.selector is None and ef == self._entry.ef_search:
            return self._parameters
        return _graph_parameters(wanted, ef)


def _graph_parameters(wanted: RowSelection, ef_search: int) -> Any:  # noqa: ANN401
    return _FAISS.SearchParametersHNSW(sel=wanted.selector, efSearch=ef_search)


def _new_index(options: ShardOptions, dimension: int) -> Any:  # noqa: ANN401
    if not 1 <= dimension <= 65_536:
        raise UsageError(f"dimension must be in [1, 65536], found {dimension}")
    kind, m = SHARD_KINDS[options.storage], options.hnsw.m
    if kind.quantizer is None:
        index = _FAISS.IndexHNSWFlat(dimension, m, _FAISS.METRIC_INNER_PRODUCT)
    else:
        quantizer = getattr(_FAISS.ScalarQuantizer, kind.quantizer)
        index = _FAISS.IndexHNSWSQ(dimension, quantizer, m, _FAISS.METRIC_INNER_PRODUCT)
        _flat_storage(index).sq.rangestat_arg = SQ8_MARGIN
    index.hnsw.efConstruction = options.hnsw.ef_construction
    index.hnsw.efSearch = options.hnsw.ef_search
    return index


def _flat_storage(index: Any) -> Any:  # noqa: ANN401
    return _FAISS.downcast_index(index.storage)


def _set_threads(threads: int) -> None:
    _FAISS.omp_set_num_threads(threads)  # holds for the calling thread alone


def _write(index: Any, path: Path) -> ShardFile:  # noqa: ANN401
    """Write through a callback: FAISS's own writer can report success on a full disk."""
    hasher = hashlib.sha256()
    failures: list[OSError] = []

    def write(data: bytes) -> int:
        try:
            file.write(data)
        except OSError as error:  # FAISS would say no more than that the callback failed
            failures.append(error)
            raise
        hasher.update(data)
        return len(data)

    try:
        with path.open("wb") as file:
            _FAISS.write_index(index, _FAISS.PyCallbackIOWriter(write))
            file.flush()
            os.fsync(file.fileno())
            size_bytes = file.tell()
    except (OSError, RuntimeError, SystemError) as error:
        cause = failures[0] if failures else error
        raise TransientError(f"write {path}: {cause}") from error
    return ShardFile(
        path=path, rows=int(index.ntotal), size_bytes=size_bytes, sha256=hasher.hexdigest()
    )


def _read_checked(file: ShardFile, options: ShardOptions, dimension: int, *, mapped: bool) -> Any:  # noqa: ANN401
    """Read a file that this module wrote after comparing its hash."""
    name = file.path.name
    expected = Artifact(key=name, size_bytes=file.size_bytes, sha256=file.sha256)
    check_file(file.path, expected, verify=True)
    index = _read_index(file.path, expected, mapped=mapped)
    _compare_index(index, name, file.rows, dimension, options)
    return index


def _read_index(path: Path, artifact: Artifact, *, mapped: bool) -> Any:  # noqa: ANN401
    flags = _FAISS.IO_FLAG_MMAP_IFC if mapped else 0
    try:
        with _READ_LOCK:
            _FAISS.set_deserialization_vector_byte_limit(artifact.size_bytes)
            return _FAISS.read_index(str(path), flags)
    except (RuntimeError, MemoryError) as error:
        raise CorruptArtifactError(
            f"{artifact.key}: expected a FAISS index, found {str(error).splitlines()[0]}"
        ) from error


def _compare_index(
    index: Any,  # noqa: ANN401
    name: str,
    rows: int,
    dimension: int,
    options: ShardOptions,
) -> None:
    kind, hnsw = SHARD_KINDS[options.storage], options.hnsw
    if type(index).__name__ != kind.index:
        raise CorruptArtifactError(
            f"{name}: type expected {kind.index}, found {type(index).__name__}"
        )
    storage = _flat_storage(index)
    if type(storage).__name__ != kind.storage:
        raise CorruptArtifactError(
            f"{name}: storage expected {kind.storage}, found {type(storage).__name__}"
        )
    for what, expected, found in (
        ("rows", rows, index.ntotal),
        ("dimension", dimension, index.d),
        ("metric", _FAISS.METRIC_INNER_PRODUCT, index.metric_type),
        ("m", hnsw.m, index.hnsw.nb_neighbors(1)),
        ("ef_construction", hnsw.ef_construction, index.hnsw.efConstruction),
        ("stored rows", rows, storage.ntotal),
        ("stored dimension", dimension, storage.d),
        ("quantizer", _quantizer_of(kind), storage.sq.qtype if kind.quantizer else None),
    ):
        if expected != found:
            raise CorruptArtifactError(f"{name}: {what} expected {expected}, found {found}")


def _quantizer_of(kind: ShardKind) -> object:
    return getattr(_FAISS.ScalarQuantizer, kind.quantizer) if kind.quantizer else None


def _compare_answers(built: Any, reopened: Any, path: Path) -> None:  # noqa: ANN401
    """Ask both indexes the same questions: the first, a middle and the last row."""
    rows = int(built.ntotal)
    canaries = sorted({0, rows // 2, rows - 1})
    queries = np.stack([built.reconstruct(row) for row in canaries])
    k = min(CANARY_HITS, rows)
    expected_scores, expected_rows = built.search(queries, k)
    scores, found_rows = reopened.search(queries, k)
    if not (np.array_equal(expected_rows, found_rows) and np.array_equal(expected_scores, scores)):
        raise CorruptArtifactError(f"{path}: does not answer as the index that was written")


def _check_rows(vectors: Vectors, dimension: int) -> None:
    if vectors.ndim != 2 or vectors.shape[1] != dimension or vectors.dtype != np.float32:
        raise UsageError(
            f"vectors must be float32 of shape (n, {dimension}), "
            f"found {vectors.dtype} of shape {vectors.shape}"
        )
    if len(vectors) == 1 and abs(math.sqrt(vectors[0].dot(vectors[0])) - 1.0) <= NORM_TOLERANCE:
        return  # the usual case, at a third of the price
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    wrong = ~(np.abs(norms - 1.0) <= NORM_TOLERANCE)  # also true for values that are not numbers
    if wrong.any():
        row = int(np.argmax(wrong))
        raise UsageError(f"vector {row} must have norm 1, found {norms[row]}")
