"""What an erasure has to say: what went, what was looked at afterwards, and what is out of reach.

Invariant: the report names documents, so it is handed to whoever asked and stored nowhere.
"""

from dataclasses import dataclass

from index_store.catalog_files import load_catalog
from index_store.certificate import NOT_COVERED, Certificate, certify
from index_store.log import CommitLog
from index_store.storage.base import Storage
from index_store.traces import names_of
from tasks.stages.erasing import Erased, served_version
from tasks.stages.purging import Purged, purge

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeReport:
    """A purge and what was found after it.

    Attributes:
        purged: What was removed.
        certificate: What was looked at, and what is left.
    """

    purged: Purged
    certificate: Certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureReport:
    """Everything an erasure has to say.

    Attributes:
        store: Address of the store.
        collection: Name of the collection.
        uris: The documents.
        at_ms: When, milliseconds since the epoch.
        erased: The version without them.
        purge: What became of their bytes, None when they were left to expiry.
    """

    store: str
    collection: str
    uris: tuple[str, ...]
    at_ms: int
    erased: Erased
    purge: PurgeReport | None = None

    @property
    def version(self) -> str:
        """The version that stands after it."""
        return self.erased.version if self.purge is None else self.purge.purged.version

    def as_json(self) -> dict[str, object]:
        """Return the report as plain values; with a purge this is the certificate."""
        return {
            "format": "nightpress-erasure",
            "format_version": FORMAT_VERSION,
            "store": self.store,
            "collection": self.collection,
            "documents": list(self.uris),
            "at_ms": self.at_ms,
            "version": self.version,
            "promoted": self.erased.promoted,
            "erased": {"documents": self.erased.documents, "chunks": self.erased.chunks},
            "purge": None if self.purge is None else _purge_object(self.purge),
        }


def purge_and_certify(
    storage: Storage, collection: str, uris: tuple[str, ...], *, run: str, created_at_ms: int
) -> PurgeReport:
    """Remove every trace of erased documents, then look at every object of the store.

    Raises:
        UsageError: A channel or a pin holds a version with their text.
        ConflictError: Runs kept publishing first; purge again.
        CorruptArtifactError: An object is damaged, so nobody knows what it holds.
        TransientError: The store could not be read or written; purge again.
    """
    purged = purge(storage, collection, uris, run=run, created_at_ms=created_at_ms)
    _, manifest = served_version(storage, CommitLog(storage, collection).read())
    living_names = names_of(load_catalog(storage, manifest))
    certificate = certify(storage, collection, purged.traces, living_names, except_run=run)
    return PurgeReport(purged=purged, certificate=certificate)


def _purge_object(report: PurgeReport) -> dict[str, object]:
    purged, certificate = report.purged, report.certificate
    traces = purged.traces
    return {
        "clean": certificate.clean,
        "removed": {
            "versions": list(purged.versions),
            "objects": list(purged.keys),
            "embeddings": purged.vectors,
            "embedding_parts": purged.parts,
        },
        "checked": {
            "texts": len(traces.hashes),
            "names": sorted(traces.names),
            "objects": certificate.objects,
            "size_bytes": certificate.size_bytes,
            "rows": certificate.rows,
            "byte_strings": certificate.searched,
        },
        "left": [{"key": found.key, "what": found.what} for found in certificate.found],
        "kept_because_others_have_it": {
            "texts": len(traces.shared),
            "quoted_in": list(certificate.quoted),
            "names": list(certificate.names_in_use),
            "collections": list(traces.collections),
            "objects_of_other_collections": list(certificate.elsewhere),
        },
        "not_covered": list(NOT_COVERED),
    }
