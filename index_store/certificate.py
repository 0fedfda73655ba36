"""Look at every object of a store for what is left of documents, and say what was looked at.

Rows of chunk tables, lines of the catalog and stored embeddings are compared one by one with the
hashes of the texts and with the names; the bytes of every object, whatever it is, are searched for
some of the hashes, for pieces of the texts and for the names as JSON writes them; and no file may
be left of a shard that held them, because vectors tell of their text too.

Invariants: nothing is written; an object that cannot be read is an error, never a pass.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

import orjson

from index_store.artifacts import READ_BUFFER_BYTES
from index_store.document_table import document_names
from index_store.embedding_parts import read_part
from index_store.layout import (
    EMBEDDINGS_FOLDER,
    is_chunk_table,
    is_document_table,
    run_key,
    shard_of,
)
from index_store.relocations import decode_relocations
from index_store.storage.base import Storage, StoredObject
from index_store.traces import Traces, catalog_names, has_hashes, open_table

SEARCHED_HASHES = 16  # byte by byte; row by row all of them are looked for
NOT_COVERED = (
    "the source itself: as long as it holds a document, the next run indexes it again",
    "runs that were under way meanwhile: they may store what they parsed before; purge again then",
    "caches and memory of readers, until they follow the new version and evict old copies",
    "archives that were exported, backups and older versions of objects that the store keeps",
    "logs, and the database of Prefect: earlier runs may have named documents there",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Something that is left.

    Attributes:
        key: The object.
        what: What is in it.
    """

    key: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What was looked at and what was found.

    Attributes:
        objects: Objects that were looked at, of all collections.
        size_bytes: Their size.
        rows: Rows of chunk tables and of embeddings that were compared.
        searched: Byte strings that every object was searched for.
        found: What is left in the collection or among the embeddings; nothing when it is clean.
        quoted: Objects in which living documents say a piece of the same text.
        elsewhere: Objects of other collections that hold the same text or name.
        names_in_use: Names that a living document of the collection has or had.
    """

    objects: int
    size_bytes: int
    rows: int
    searched: int
    found: tuple[Found, ...]
    quoted: tuple[str, ...]
    elsewhere: tuple[str, ...]
    names_in_use: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing is left."""
        return not self.found


class _Examination:
    """Counts what was looked at while it goes through a store."""

    def __init__(
        self, storage: Storage, collection: str, traces: Traces, names: frozenset[str]
    ) -> None:
        self._storage = storage
        self._collection = f"{collection}/"
        self._hashes = traces.hashes
        self._unwanted = traces.hashes - traces.elsewhere
        self._shards = traces.shards
        self._names = names
        self._needles = _needles(traces, names)
        self._overlap = max(map(len, self._needles), default=1) - 1
        self.searched = len(self._needles)
        self.objects = self.size_bytes = self.rows = 0
        self.found: list[Found] = []
        self.quoted: list[str] = []
        self.elsewhere: list[str] = []

    def look_at(self, entry: StoredObject) -> None:
        self.objects += 1
        self.size_bytes += entry.size_bytes
        told = self._in_bytes(entry)
        if entry.key.startswith(f"{EMBEDDINGS_FOLDER}/"):
            self._note(entry, self._in_embeddings(entry))
        elif not entry.key.startswith(self._collection):
            self.elsewhere += [entry.key] if told else []
        elif is_chunk_table(entry.key):
            self._look_at_rows(entry, told)
        elif shard_of(entry.key) in self._shards:
            self._note(entry, "a shard of a text")
        else:
            self._note(entry, told or self._in_ledger(entry))

    def _look_at_rows(self, entry: StoredObject, told: str) -> None:
        with open_table(self._storage, entry) as table:
            self.rows += table.rows
            if has_hashes(table, self._hashes):
                self._note(entry, "a text")
            elif any(uri in self._names for uri, _, _ in table.documents()):
                self._note(entry, "a name")
            elif told:
                self.quoted.append(entry.key)

    def _in_embeddings(self, entry: StoredObject) -> str:
        table = read_part(self._storage, entry)
        if table is None:
            return ""
        self.rows += table.num_rows
        known = set(table.column("text_hash").to_pylist())
        return "an embedding" if known & self._unwanted else ""

    def _in_ledger(self, entry: StoredObject) -> str:
        names: set[str] = set()
        if entry.key.endswith(".parquet"):
            names = {name for column in catalog_names(self._storage, entry.key) for name in column}
        elif is_document_table(entry.key):
            names = set(document_names(self._storage.read(entry.key), entry.key))
        elif "/relocations/" in entry.key:
            data = self._storage.read(entry.key)
            names = {item.uri for item in decode_relocations(data, entry.key)}
        return "a name" if self._names & names else ""

    def _in_bytes(self, entry: StoredObject) -> str:
        for block in self._blocks(entry):
            for needle, what in self._needles.items():
                if needle in block:
                    return what
        return ""

    def _blocks(self, entry: StoredObject) -> Iterator[bytes]:
        """Yield an object in blocks that overlap, so that nothing is cut in two unseen."""
        for start in range(0, entry.size_bytes, READ_BUFFER_BYTES):
            end = start + READ_BUFFER_BYTES + self._overlap
            yield self._storage.read(entry.key, start=start, end=end)

    def _note(self, entry: StoredObject, what: str) -> None:
        if what:
            self.found.append(Found(key=entry.key, what=what))


def certify(
    storage: Storage,
    collection: str,
    traces: Traces,
    living_names: frozenset[str],
    *,
    except_run: str = "",
) -> Certificate:
    """Look for what is left.

    Args:
        storage: The store.
        collection: Name of the collection that the documents were erased from.
        traces: What to look for.
        living_names: Names that living documents have or had; they are no trace.
        except_run: Run whose own folder is passed over, because it goes when the run ends.

    Raises:
        CorruptArtifactError: An object is damaged, so nobody knows what it holds.
        TransientError: The store could not be read.
    """
    examination = _Examination(storage, collection, traces, traces.names - living_names)
    own = run_key(collection, except_run, "")
    for entry in storage.list(""):
        if not except_run or not entry.key.startswith(own):
            examination.look_at(entry)
    return Certificate(
        objects=examination.objects,
        size_bytes=examination.size_bytes,
        rows=examination.rows,
        searched=examination.searched,
        found=tuple(examination.found),
        quoted=tuple(examination.quoted),
        elsewhere=tuple(examination.elsewhere),
        names_in_use=tuple(sorted(traces.names & living_names)),
    )


def name_needles(name: str) -> tuple[bytes, ...]:
    """Return a name as JSON and pages write it: alone, and before a colon in a longer string."""
    quoted = orjson.dumps(name)
    shown = b">" + escape(name).encode("utf-8", "replace")
    return quoted, quoted[:-1] + b":", shown + b"<", shown + b":"


def _needles(traces: Traces, names: frozenset[str]) -> dict[bytes, str]:
    hashes = sorted(traces.hashes)
    step = max(1, len(hashes) // SEARCHED_HASHES)
    needles = dict.fromkeys(traces.samples, "a text")
    for text_hash in hashes[::step][:SEARCHED_HASHES]:
        needles[text_hash] = "the hash of a text"
        needles[text_hash.hex().encode()] = "the hash of a text"
    for name in sorted(names):
        needles |= dict.fromkeys(name_needles(name), "a name")
    return needles
