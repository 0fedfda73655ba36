"""Reading the catalog of a version from the store, and writing what changed."""

from collections.abc import Container, Iterable, Sequence

import pyarrow as pa

from index_store.artifacts import read_artifact, sha256_hex, store_artifact
from index_store.catalog import Catalog, merge_tables, plan_parts
from index_store.catalog_codec import decode_part, encode_table, lines_table
from index_store.layout import catalog_key
from index_store.manifest import CatalogPart, Manifest
from index_store.records import DocumentRecord
from index_store.storage.base import Storage


def load_catalog(storage: Storage, manifest: Manifest | None) -> Catalog:
    """Read and check the catalog of a version; that of no version is empty.

    Raises:
        CorruptArtifactError: A part is missing or damaged.
        TransientError: The store could not be read.
    """
    parts = () if manifest is None else manifest.catalog
    tables = [_read_part(storage, part) for part in parts]
    return Catalog(tables or [lines_table([], [])])


def store_changes(
    storage: Storage,
    collection: str,
    parts: Sequence[CatalogPart],
    changed: Iterable[DocumentRecord],
    removed: Iterable[str],
    *,
    avoid: Container[str] = frozenset(),
) -> tuple[CatalogPart, ...]:
    """Write changed lines as a new part, together with the parts that are due for merging.

    Args:
        storage: The store.
        collection: Name of the collection.
        parts: The catalog that the changes apply to, oldest first.
        changed: Documents whose line is new or differs, each uri once.
        removed: Names of documents that are gone.
        avoid: Keys that were retired and must not be used again.

    Returns:
        The parts of the new catalog, oldest first; `parts` itself when nothing changed.

    Raises:
        UsageError: A uri is given twice.
        CorruptArtifactError: A part to merge is missing or damaged.
        TransientError: The store could not be read or written.
    """
    lines = lines_table(changed, removed)
    if not lines.num_rows:
        return tuple(parts)
    plan = plan_parts(parts, lines.num_rows)
    tables = [_read_part(storage, part) for part in plan.merged]
    merged = merge_tables([*tables, lines], drop_tombstones=plan.is_whole)
    if not merged.num_rows:
        return plan.kept
    data = encode_table(merged)
    key = catalog_key(collection, sha256_hex(data))
    artifact = store_artifact(storage, key, data, avoid=avoid)
    return (*plan.kept, CatalogPart(artifact=artifact, rows=merged.num_rows))


def _read_part(storage: Storage, part: CatalogPart) -> pa.Table:
    return decode_part(read_artifact(storage, part.artifact), part.rows, part.artifact.key)
