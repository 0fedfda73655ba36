"""Chunks of a published version, read again so that they can get other vectors.

Invariants: every file is compared with its hash before its first row is read; each is opened once
in a process, however many batches ask for it; a document that goes by another name now has the
chunk ids of that name.
"""

import threading
from collections.abc import Mapping

from index_store.chunk_table import ChunkTable, StoredChunk, stored_chunk
from index_store.errors import CorruptArtifactError
from index_store.local_files import LocalFiles
from index_store.manifest import Manifest, ShardEntry
from index_store.storage.base import Storage
from tasks.stages.work_items import StoredRows


class StoredText:
    """The chunks of one version; safe for threads, close it when no more is read."""

    def __init__(self, storage: Storage, manifest: Manifest) -> None:
        self._entries: Mapping[str, ShardEntry] = {entry.id: entry for entry in manifest.shards}
        self._files = LocalFiles(storage, None)
        self._tables: dict[str, ChunkTable] = {}
        self._lock = threading.Lock()

    def chunks(self, uri: str, rows: StoredRows) -> list[StoredChunk]:
        """Return the chunks of a document.

        Args:
            uri: The name that it has now.
            rows: Where they are.

        Raises:
            CorruptArtifactError: A file is damaged or missing, or there is no such shard.
            TransientError: The store is out of reach.
        """
        found = self._table(rows.shard).read(rows.row_start, rows.row_end)
        if rows.written_as == uri:
            return found
        return [stored_chunk(uri, row.ordinal, row.chunk) for row in found]

    def close(self) -> None:
        """Give the files free; calling it twice is harmless."""
        with self._lock:
            self._tables.clear()
            self._files.close()

    def _table(self, shard: str) -> ChunkTable:
        with self._lock:
            table = self._tables.get(shard)
            if table is None:
                entry = self._entries.get(shard)
                if entry is None:
                    raise CorruptArtifactError(f"shard {shard}: it is not in the last version")
                path = self._files.checked_path(entry.chunks, verify=True)
                table = self._tables[shard] = ChunkTable.open(path, rows=entry.rows)
            return table
