"""Notice when the model behind an address is not the one that made the stored vectors.

Invariant: the first run that embeds anything writes the fingerprint of the model's answers to fixed
texts; every later run, and the end of each, must find the same one.
"""

import contextlib

import numpy as np
import orjson

from index_store.embedder import Embedder
from index_store.embedders.checked import embed_checked
from index_store.embedders.probes import PROBES, fingerprint
from index_store.errors import ConflictError, NotFoundError, StoppedError
from index_store.layout import probe_key
from index_store.storage.base import Storage

FORMAT_VERSION = 1


def check_model(storage: Storage, embedder: Embedder) -> None:
    """Compare the model with the one that made the stored vectors; one request.

    Raises:
        StoppedError: It is another one.
        TransientError: The provider or the store is out of reach.
    """
    spec = embedder.spec
    found = fingerprint(embed_checked(embedder, PROBES).astype(np.float64))
    key = probe_key(spec.id)
    with contextlib.suppress(ConflictError):  # an earlier run wrote its own
        line = {"format_version": FORMAT_VERSION, "fingerprint": found}
        storage.create(key, orjson.dumps(line, option=orjson.OPT_SORT_KEYS))
    expected = _stored(storage, key)
    if found != expected:
        raise StoppedError(
            f"embedder {spec.provider} {spec.model} answers otherwise than when the stored vectors "
            f"were made (fingerprint {found}, expected {expected}); give the new model another "
            f"name, or remove {key} if the vectors are known to agree"
        )


def stored_fingerprint(storage: Storage, embedder: Embedder) -> str | None:
    """Return the fingerprint of the model that made the stored vectors, None when there is none.

    Raises:
        StoppedError: It is damaged.
    """
    key = probe_key(embedder.spec.id)
    if next(iter(storage.list(key)), None) is None:
        return None
    return _stored(storage, key)


def _stored(storage: Storage, key: str) -> str:
    try:
        return str(orjson.loads(storage.read(key))["fingerprint"])
    except (NotFoundError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise StoppedError(f"{key} is missing or damaged; remove it to begin anew") from error
