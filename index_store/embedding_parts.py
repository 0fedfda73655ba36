"""Parts of the stored embeddings without the vectors of some texts.

Invariants: a part is never changed, another one takes its place before it goes; the vectors that
stay keep their very bits.
"""

from collections.abc import Set as AbstractSet

import pyarrow as pa
import pyarrow.compute as pc

from index_store.artifacts import Artifact, read_artifact, sha256_hex, store_artifact
from index_store.embeddings import HASH_BYTES, PART_NAME
from index_store.errors import CorruptArtifactError
from index_store.layout import EMBEDDINGS_FOLDER, embeddings_key
from index_store.storage.base import Storage, StoredObject


def forget_texts(storage: Storage, hashes: AbstractSet[bytes]) -> tuple[int, int]:
    """Remove the vectors of texts, whichever embedder made them.

    Args:
        storage: The store.
        hashes: 32-byte text hashes.

    Returns:
        How many vectors went, and how many parts were rewritten or removed.

    Raises:
        CorruptArtifactError: A part is damaged.
        TransientError: The store could not be read or written; call again.
    """
    wanted = pa.array(sorted(hashes), pa.binary(HASH_BYTES))
    vectors = parts = 0
    for entry in list(storage.list(f"{EMBEDDINGS_FOLDER}/")):
        table = read_part(storage, entry)
        if table is None:
            continue
        gone = pc.is_in(table.column("text_hash"), value_set=wanted)
        count = int(pc.sum(gone).as_py() or 0)
        if not count:
            continue
        kept = table.filter(pc.invert(gone))
        if kept.num_rows:
            data = _encode(kept)
            embedder_id = entry.key.split("/")[1]
            store_artifact(storage, embeddings_key(embedder_id, sha256_hex(data)), data)
        storage.delete(entry.key)
        vectors += count
        parts += 1
    return vectors, parts


def read_part(storage: Storage, entry: StoredObject) -> pa.Table | None:
    """Return a part with the columns `text_hash` and `vector`, or None when it is something else.

    Raises:
        CorruptArtifactError: It is damaged.
        TransientError: The store could not be read.
    """
    name = PART_NAME.fullmatch(entry.key.rsplit("/", 1)[-1])
    if name is None:
        return None
    part = Artifact(key=entry.key, size_bytes=entry.size_bytes, sha256=name[1])
    data = read_artifact(storage, part)
    try:
        return pa.ipc.open_file(pa.BufferReader(data)).read_all()
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptArtifactError(
            f"{entry.key}: expected stored embeddings, found {str(error).splitlines()[0]}"
        ) from error


def _encode(table: pa.Table) -> bytes:
    (batch,) = table.combine_chunks().to_batches()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())
