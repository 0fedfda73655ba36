"""A shard of a version, opened: its files together, and which of its rows a search may return."""

from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyroaring import BitMap

from index_store.arrow_numpy import numbers_of
from index_store.attributes import DocumentAttributes
from index_store.chunk_table import ChunkTable
from index_store.deletions import decode_deletions
from index_store.document_table import DocumentTable
from index_store.errors import CorruptArtifactError
from index_store.filters import DocumentMask, agreeing, permitted
from index_store.lexical.analysis import ANALYSES
from index_store.lexical.indexing import document_key
from index_store.local_files import LocalFiles
from index_store.manifest import LexicalFiles, ShardEntry
from index_store.relocations import RelocationMap
from index_store.search_options import ANY_DOCUMENT, DocumentFilter
from index_store.shard import RowSelection, ShardReader

REMEMBERED_FILTERS = 16  # per shard, a byte a row each
REMEMBERED_DOCUMENTS = 4096  # per shard


@dataclass(frozen=True, slots=True)
class Accepted:
    """Which live rows of a shard a search may return.

    Attributes:
        among: The rows.
        places: Numbers of the documents that may; None when all may.
    """

    among: RowSelection
    places: npt.NDArray[np.int64] | None

    @property
    def rows(self) -> int:
        """Number of live rows that may."""
        return self.among.rows


class OpenShard:
    """The files of one shard, opened; safe for threads.

    Args:
        entry: What the manifest says about it.
        reader: Its vectors.
        chunks: Its texts.
        documents: Its document table, None when it has none.
        relocations: Names that documents of the version have now.
    """

    def __init__(
        self,
        entry: ShardEntry,
        reader: ShardReader,
        chunks: ChunkTable,
        documents: DocumentTable | None,
        relocations: RelocationMap,
    ) -> None:
        self.entry = entry
        self.reader = reader
        self.chunks = chunks
        self._documents = documents
        self._relocations = relocations
        self._relocated = relocations.concern(entry.id)
        self._all = reader.selection()
        self.accepted = lru_cache(REMEMBERED_FILTERS)(self._accepted)
        self.attributes = lru_cache(REMEMBERED_DOCUMENTS)(self._attributes)

    @cached_property
    def documents(self) -> DocumentTable:
        """Its documents; of a shard from before document tables nothing but their names."""
        return self._documents or DocumentTable.of_runs(self.chunks.documents())

    def uri_of(self, row: int, written: str) -> str:
        """Return the name of the document of a row that was written as `written`."""
        if not self._relocated:
            return written
        return self._relocations.uri_of(self.entry.id, row, written)

    def place_of(self, row: int) -> int:
        """Return the number of the document that a row belongs to."""
        return bisect_right(self._row_starts, row) - 1

    def rows_of(self, place: int) -> range:
        """Return the rows of a document."""
        return range(int(self._starts[place]), int(self._ends[place]))

    def document_keys(self, places: Sequence[int]) -> list[bytes]:
        """Return what documents go by in the lexical index."""
        return [document_key(uri) for uri in self.documents.table["uri"].take(places).to_pylist()]

    def _attributes(self, place: int) -> DocumentAttributes:
        return self.documents.attributes(place)

    def _accepted(
        self, asked: DocumentFilter, groups: frozenset[str] | None, *, all_groups: bool
    ) -> Accepted:
        """Return which rows agree with a filter and may be read with these groups."""
        may_read = None
        if self._documents is not None and not all_groups:
            may_read = permitted(self._documents.table, groups)
        agree = None
        if asked != ANY_DOCUMENT:
            agree = agreeing(self.documents.table, self._uris, asked)
        return self._expanded(may_read, agree)

    def _expanded(self, *masks: DocumentMask | None) -> Accepted:
        given = [mask for mask in masks if mask is not None]
        if not given:
            return Accepted(self._all, None)
        documents = np.logical_and.reduce(given)
        rows = np.repeat(documents, self._ends - self._starts)
        return Accepted(self.reader.selection(rows), np.flatnonzero(documents))

    @cached_property
    def _starts(self) -> npt.NDArray[np.int64]:
        starts: npt.NDArray[np.int64] = numbers_of(self.documents.table["row_start"])
        return starts

    @cached_property
    def _row_starts(self) -> Sequence[int]:
        """The same as numbers of Python, for looking up one at a time."""
        return array("q", self._starts.astype("<i8").tobytes())

    @cached_property
    def _ends(self) -> npt.NDArray[np.int64]:
        ends: npt.NDArray[np.int64] = numbers_of(self.documents.table["row_end"])
        return ends

    @cached_property
    def _uris(self) -> pa.Array:
        written = self.documents.table["uri"].combine_chunks()
        if not self._relocated:
            return written
        pairs = zip(self._starts.tolist(), written.to_pylist(), strict=True)
        return pa.array([self.uri_of(start, uri) for start, uri in pairs], pa.string())


def open_shard(
    entry: ShardEntry,
    files: LocalFiles,
    relocations: RelocationMap,
    *,
    verify: bool,
    threads: int,
) -> OpenShard:
    """Check the files of a shard and open them.

    Raises:
        CorruptArtifactError: A file is missing or is not what the manifest says.
        TransientError: The store could not be read.
    """
    dead: BitMap | None = None
    if entry.deletions is not None:
        data = files.read(entry.deletions)
        dead = decode_deletions(data, entry.rows, entry.deletions.key)
        if len(dead) != entry.dead:
            raise CorruptArtifactError(
                f"{entry.deletions.key}: dead rows expected {entry.dead}, found {len(dead)}"
            )
    index_path = files.checked_path(entry.index, verify=verify)
    reader = ShardReader.open(index_path, entry, dead=dead, verify=False, threads=threads)
    chunks_path = files.checked_path(entry.chunks, verify=verify)
    chunks = ChunkTable.open(chunks_path, rows=entry.rows)
    documents = None
    if entry.documents is not None:
        path = files.checked_path(entry.documents, verify=verify)
        documents = DocumentTable.open(path, rows=entry.rows)
    return OpenShard(entry, reader, chunks, documents, relocations)


def lexical_paths(
    lexical: LexicalFiles | None, files: LocalFiles, *, verify: bool
) -> Mapping[str, Path] | None:
    """Return checked files of a lexical index by suffix, or None when this program has no use.

    Raises:
        CorruptArtifactError: A file is missing or is not what the manifest says.
        TransientError: The store could not be read.
    """
    if lexical is None or lexical.analysis not in ANALYSES:
        return None
    return {
        PurePosixPath(file.key).suffix[1:]: files.checked_path(file, verify=verify)
        for file in lexical.files
    }
