"""What one request may hold, as refusals of earlier runs taught it.

Invariant: what is remembered only lowers what is set, and is forgotten after some weeks, since a
provider may allow more by then.
"""

from contextlib import suppress

import orjson

from index_store.embedder import RequestLimits
from index_store.errors import NotFoundError
from index_store.layout import learned_limits_key
from index_store.storage.base import Storage

FORMAT_VERSION = 1
REMEMBERED_MS = 28 * 86_400_000


def read_limits(storage: Storage, embedder_id: str, now_ms: int) -> RequestLimits | None:
    """Return what an earlier run learned lately, None when there is nothing of use.

    Raises:
        TransientError: The store is out of reach.
    """
    with suppress(NotFoundError, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        value = orjson.loads(storage.read(learned_limits_key(embedder_id)))
        tokens = value["tokens"]
        is_known = value["format_version"] == FORMAT_VERSION
        if is_known and 0 <= now_ms - int(value["learned_at_ms"]) <= REMEMBERED_MS:
            return RequestLimits(
                texts=max(1, int(value["texts"])),
                tokens=None if tokens is None else max(1, int(tokens)),
            )
    return None


def write_limits(storage: Storage, embedder_id: str, learned: RequestLimits, now_ms: int) -> None:
    """Remember what was learned, over what was before.

    Raises:
        TransientError: The store is out of reach.
    """
    value = {
        "format_version": FORMAT_VERSION,
        "texts": learned.texts,
        "tokens": learned.tokens,
        "learned_at_ms": now_ms,
    }
    data = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    storage.put(learned_limits_key(embedder_id), data)
