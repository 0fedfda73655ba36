"""Find every object of a collection that holds the text or the name of documents that are gone.

Objects are found by listing, not by the log, so that what killed runs left and what is retired is
looked at too.

Invariants: nothing is written; a text that a living document has as well is not called theirs, and
is told apart.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyroaring import BitMap

from index_store.artifacts import READ_BUFFER_BYTES, read_artifact
from index_store.catalog import Catalog
from index_store.chunk_table import ChunkTable
from index_store.collections import list_collections
from index_store.deletions import decode_deletions
from index_store.errors import CorruptArtifactError
from index_store.layout import is_chunk_table, shard_of
from index_store.manifest import Manifest
from index_store.relocations import decode_relocations
from index_store.storage.base import Storage, StoredObject

PORTION_ROWS = 16_384
SAMPLES = 16  # texts of which a piece is searched for byte by byte
SAMPLE_BYTES = 160

Rows = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """What is left of documents.

    Attributes:
        uris: The documents.
        names: Their names, former ones included.
        hashes: Hashes of texts that they alone had.
        shared: Hashes of their texts that living documents of the collection have too.
        elsewhere: Hashes of their texts that other collections hold.
        collections: Names of those collections.
        samples: Beginnings of some of the texts of `hashes`, as UTF-8.
        keys: Objects that hold a name or a text of `hashes`.
        shards: Ids of the shards among them.
        ledgers: Those of `keys` that tell the former names; they have to go last.
    """

    uris: tuple[str, ...]
    names: frozenset[str]
    hashes: frozenset[bytes]
    shared: frozenset[bytes]
    elsewhere: frozenset[bytes]
    collections: tuple[str, ...]
    samples: tuple[bytes, ...]
    keys: frozenset[str]
    shards: frozenset[str]
    ledgers: frozenset[str]


@dataclass(slots=True)
class _Suspects:
    """Texts of rows that bear the documents' names, and objects that hold those."""

    texts: dict[bytes, str] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)


def find_traces(
    storage: Storage,
    collection: str,
    manifest: Manifest,
    uris: tuple[str, ...],
    living_names: frozenset[str],
) -> Traces:
    """Look through every chunk table, catalog part and list of moved documents.

    Args:
        storage: The store.
        collection: Name of the collection.
        manifest: The version that lives on; its catalog knows none of the documents.
        uris: Documents that are gone.
        living_names: Names that documents of that version have or had.

    Raises:
        CorruptArtifactError: An object is damaged.
        TransientError: The store could not be read.
    """
    names = _all_names(storage, collection, uris)
    suspects = _Suspects(keys=_ledgers(storage, collection, uris, names - living_names))
    live = _dead_rows(storage, manifest)
    for entry in _chunk_tables(storage, collection):
        with open_table(storage, entry) as table:
            for start, end in _named_rows(table, names, live.get(entry.key)):
                suspects.keys.add(entry.key)
                for stored in table.read(start, end):
                    suspects.texts[stored.text_hash] = stored.chunk.text
    shared = _living(storage, collection, live, set(suspects.texts))
    doomed = frozenset(suspects.texts.keys() - shared)
    elsewhere, collections = _elsewhere(storage, collection, set(suspects.texts))
    keys = suspects.keys | _holders(storage, collection, live, doomed)
    return Traces(
        uris=uris,
        names=names,
        hashes=doomed,
        shared=frozenset(shared),
        elsewhere=frozenset(elsewhere),
        collections=collections,
        samples=_samples({key: suspects.texts[key] for key in doomed}),
        keys=frozenset(keys),
        shards=frozenset(shard for key in keys if (shard := shard_of(key)) is not None),
        ledgers=frozenset(_ledgers(storage, collection, uris, frozenset())),
    )


@contextmanager
def open_table(storage: Storage, entry: StoredObject) -> Iterator[ChunkTable]:
    """Open any chunk table of a listing.

    Raises:
        CorruptArtifactError: It is none.
        TransientError: The store could not be read.
    """
    path = storage.local_path(entry.key)
    if path is not None:
        yield ChunkTable.open(path)
        return
    with tempfile.TemporaryDirectory(prefix="nightpress-") as folder:
        copy = Path(folder) / "chunks.arrow"
        with copy.open("wb") as file:
            for start in range(0, entry.size_bytes, READ_BUFFER_BYTES):
                file.write(storage.read(entry.key, start=start, end=start + READ_BUFFER_BYTES))
        yield ChunkTable.open(copy)


def catalog_names(storage: Storage, key: str) -> tuple[list[str], list[str]]:
    """Return both names on every line of a part of the catalog.

    Raises:
        CorruptArtifactError: It is no part of a catalog.
        TransientError: The store could not be read.
    """
    table = _ledger(storage, key, ["uri", "shard_uri"])
    return table.column("uri").to_pylist(), table.column("shard_uri").to_pylist()


def names_of(catalog: Catalog) -> frozenset[str]:
    """Return the names that the documents of a catalog have, and those that their rows bear."""
    names: set[str] = set()
    for record in catalog.records():
        names |= {record.uri, record.shard_uri}
    return frozenset(names - {""})


def has_hashes(table: ChunkTable, hashes: frozenset[bytes], dead: BitMap | None = None) -> bool:
    """Tell whether a row, or when `dead` is given a dead row, has one of the texts."""
    return any(
        text_hash in hashes and (dead is None or row in dead)
        for start in range(0, table.rows, PORTION_ROWS)
        for row, text_hash in enumerate(
            table.text_hashes(start, min(start + PORTION_ROWS, table.rows)), start
        )
    )


def _all_names(storage: Storage, collection: str, uris: tuple[str, ...]) -> frozenset[str]:
    """Return every name that the documents had: that of their rows, and others of the same rows."""
    keys = [entry.key for entry in storage.list(f"{collection}/catalog/")]
    wanted, ranges, names = set(uris), set(), set(uris)
    for key in keys:
        for line in _ledger(storage, key, ["uri", "shard", "row_start", "row_end"]).to_pylist():
            if line["uri"] in wanted and line["row_end"] > line["row_start"]:
                ranges.add((line["shard"], line["row_start"], line["row_end"]))
    for key in keys:
        table = _ledger(storage, key, ["uri", "shard_uri", "shard", "row_start", "row_end"])
        for line in table.to_pylist():
            if (line["shard"], line["row_start"], line["row_end"]) in ranges:
                names |= {line["uri"], line["shard_uri"]}
    return frozenset(names)


def _ledgers(
    storage: Storage, collection: str, uris: tuple[str, ...], former: frozenset[str]
) -> set[str]:
    """Return the catalog parts and lists of moved documents that hold one of the names."""
    keys = set()
    for entry in storage.list(f"{collection}/catalog/"):
        current, written = catalog_names(storage, entry.key)
        if not former.isdisjoint(written) or not former.union(uris).isdisjoint(current):
            keys.add(entry.key)
    for entry in storage.list(f"{collection}/relocations/"):
        moved = decode_relocations(storage.read(entry.key), entry.key)
        if not former.union(uris).isdisjoint(item.uri for item in moved):
            keys.add(entry.key)
    return keys


def _ledger(storage: Storage, key: str, columns: list[str]) -> pa.Table:
    try:
        return pq.read_table(
            pa.BufferReader(storage.read(key)), columns=columns, use_threads=False, pre_buffer=False
        )
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise CorruptArtifactError(
            f"{key}: expected a part of a catalog, found {str(error).splitlines()[0]}"
        ) from error


def _chunk_tables(storage: Storage, collection: str) -> list[StoredObject]:
    entries = storage.list(f"{collection}/shards/")
    return [entry for entry in entries if is_chunk_table(entry.key)]


def _dead_rows(storage: Storage, manifest: Manifest) -> dict[str, BitMap]:
    """Return the dead rows of every chunk table that lives on."""
    return {
        entry.chunks.key: BitMap()
        if entry.deletions is None
        else decode_deletions(
            read_artifact(storage, entry.deletions), entry.rows, entry.deletions.key
        )
        for entry in manifest.shards
    }


def _named_rows(table: ChunkTable, names: frozenset[str], dead: BitMap | None) -> list[Rows]:
    """Return rows under one of the names that no living document has; all when `dead` is None."""
    found = []
    for written, start, end in table.documents():
        if written not in names:
            continue
        if dead is None:
            found.append((start, end))
        else:
            found += [(row, row + 1) for row in range(start, end) if row in dead]
    return found


def _living(
    storage: Storage, collection: str, dead_rows: dict[str, BitMap], suspects: set[bytes]
) -> set[bytes]:
    """Return the suspected texts that a live row has."""
    living: set[bytes] = set()
    for entry in _chunk_tables(storage, collection):
        if entry.key in dead_rows:
            dead = dead_rows[entry.key]
            with open_table(storage, entry) as table:
                for start in range(0, table.rows, PORTION_ROWS):
                    end = min(start + PORTION_ROWS, table.rows)
                    hashes = enumerate(table.text_hashes(start, end), start)
                    living |= {key for row, key in hashes if key in suspects and row not in dead}
    return living


def _elsewhere(
    storage: Storage, collection: str, suspects: set[bytes]
) -> tuple[set[bytes], tuple[str, ...]]:
    found: set[bytes] = set()
    names = []
    for name in list_collections(storage):
        if name == collection:
            continue
        here: set[bytes] = set()
        for entry in _chunk_tables(storage, name):
            with open_table(storage, entry) as table:
                for start in range(0, table.rows, PORTION_ROWS):
                    end = min(start + PORTION_ROWS, table.rows)
                    here |= suspects.intersection(table.text_hashes(start, end))
        found |= here
        names += [name] if here else []
    return found, tuple(names)


def _holders(
    storage: Storage, collection: str, dead_rows: dict[str, BitMap], doomed: frozenset[bytes]
) -> set[str]:
    keys = set()
    for entry in _chunk_tables(storage, collection):
        with open_table(storage, entry) as table:
            if has_hashes(table, doomed, dead_rows.get(entry.key)):
                keys.add(entry.key)
    return keys


def _samples(texts: dict[bytes, str]) -> tuple[bytes, ...]:
    ordered = sorted(texts)
    step = max(1, len(ordered) // SAMPLES)
    return tuple(texts[key].encode()[:SAMPLE_BYTES] for key in ordered[::step][:SAMPLES])
