"""Which version of each collection was served last from the local copies, for days without a store.

A note of a few hundred bytes stands beside the copies, in a folder for each store's address; the
copies themselves are checked against it when they are opened.

Invariant: a note that is missing, damaged or of another format is no note; it never keeps anything
from being served.
"""

import hashlib
import logging

import orjson

from index_store.cache import LocalCache
from index_store.errors import IndexStoreError, NotFoundError
from index_store.fields import HEX_64, Fields, parse_object, raise_problems
from index_store.layout import COLLECTION_NAME
from index_store.log_records import PublishedVersion, artifact_object, parse_artifact
from index_store.storage.folder import FolderStorage

FORMAT_VERSION = 1
FOLDER = "served"  # inside the cache's own
_SUFFIX = ".json"
logger = logging.getLogger(__name__)


class Remembered:
    """Notes of one store; safe for threads and processes.

    Args:
        cache: Whose folder they stand in; None remembers nothing.
        store_url: Address of the store.
    """

    def __init__(self, cache: LocalCache | None, store_url: str) -> None:
        self._folder: FolderStorage | None = None
        if cache is not None:
            address = hashlib.sha256(store_url.encode()).hexdigest()
            self._folder = FolderStorage(cache.options.folder / FOLDER / address)

    def note(self, collection: str, published: PublishedVersion) -> None:
        """Note that a version is served; what cannot be written is told to the log alone."""
        if self._folder is None:
            return
        try:
            self._folder.put(f"{collection}{_SUFFIX}", encode_note(published))
        except IndexStoreError as error:
            logger.warning("collection %s: what is served is not noted: %s", collection, error)

    def recall(self, collection: str) -> PublishedVersion | None:
        """Return the version that was served last, or None."""
        if self._folder is None:
            return None
        key = f"{collection}{_SUFFIX}"
        try:
            return parse_note(self._folder.read(key), key)
        except NotFoundError:
            return None
        except IndexStoreError as error:
            logger.warning("collection %s: what was served last: %s", collection, error)
            return None

    def collections(self) -> list[str]:
        """Return the names of the collections that have a note, sorted."""
        if self._folder is None:
            return []
        try:
            names = [entry.key.removesuffix(_SUFFIX) for entry in self._folder.list("")]
        except IndexStoreError:
            return []
        return sorted(name for name in names if COLLECTION_NAME.fullmatch(name))


def encode_note(published: PublishedVersion) -> bytes:
    """Return the bytes of a note."""
    body = {
        "format_version": FORMAT_VERSION,
        "version": published.version,
        "manifest": artifact_object(published.manifest),
        "parent": published.parent,
        "published_at_ms": published.published_at_ms,
        "run": published.run,
        "seq": published.seq,
    }
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)


def parse_note(data: bytes, what: str) -> PublishedVersion:
    """Read a note.

    Raises:
        CorruptArtifactError: It is damaged or of another format; the message lists every problem.
    """
    problems: list[str] = []
    fields = Fields(parse_object(data, what), "", problems)
    if fields.whole("format_version", minimum=1) != FORMAT_VERSION:
        fields.problem("format_version", f"expected {FORMAT_VERSION}")
    manifest = fields.child_or_none("manifest")
    if manifest is None:
        fields.problem("manifest", "is missing")
        manifest = fields
    published = PublishedVersion(
        version=fields.text("version", pattern=HEX_64),
        manifest=parse_artifact(manifest),
        parent=fields.text_or_none("parent", pattern=HEX_64),
        published_at_ms=fields.whole("published_at_ms"),
        run=fields.text("run"),
        seq=fields.whole("seq", minimum=1),
    )
    raise_problems(what, problems)
    return published
