"""Where things are in a store: every key is made here.

Invariant: a key never depends on anything but the arguments, and a collection's keys all start
with its name and a slash.
"""

import re

from index_store.errors import UsageError

EMBEDDINGS_FOLDER = "embeddings"  # at store level: every collection shares what was paid for
COLLECTION_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
SHARDS_FOLDER = "shards"
VERSIONS_FOLDER = "versions"
RUNS_FOLDER = "runs"
HISTORY_FOLDER = "history"
SHARD_RECORD_NAME = "shard.json"
# Everything that expiry may delete lies in one of these; an unknown folder is left alone.
VERSIONED_FOLDERS = ("catalog", "deletions", "relocations", SHARDS_FOLDER, VERSIONS_FOLDER)
LOG_NAME = re.compile(r"(\d{12})\.json")
CHECKPOINT_NAME = re.compile(r"checkpoint-(\d{12})\.json")
TAIL_NAME = re.compile(r"tail-(\d{12})\.json")
_CHUNKS_NAME = re.compile(r"chunks(-[^/]+)?\.arrow")
_DOCUMENTS_NAME = re.compile(r"documents(-[^/]+)?\.arrow")


def check_collection(name: str) -> str:
    """Return `name` when it is a valid name of a collection.

    Raises:
        UsageError: It is not.
    """
    if not COLLECTION_NAME.fullmatch(name) or name == EMBEDDINGS_FOLDER:
        raise UsageError(
            f"collection name {name!r} must match {COLLECTION_NAME.pattern} "
            f"and must not be {EMBEDDINGS_FOLDER!r}"
        )
    return name


def format_key(collection: str) -> str:
    """Key of the file that makes a folder a collection."""
    return f"{collection}/format.json"


def log_prefix(collection: str) -> str:
    """Prefix of the commit log."""
    return f"{collection}/log/"


def log_key(collection: str, seq: int) -> str:
    """Key of one log record; `seq` starts at 1."""
    return f"{collection}/log/{seq:012d}.json"


def checkpoint_key(collection: str, seq: int) -> str:
    """Key of the state after record `seq`; sorts after every record."""
    return f"{collection}/log/checkpoint-{seq:012d}.json"


def tail_key(collection: str, seq: int) -> str:
    """Key of the records from the checkpoint before to record `seq`; sorts after checkpoints."""
    return f"{collection}/log/tail-{seq:012d}.json"


def manifest_key(collection: str, version: str) -> str:
    """Key of a version's manifest."""
    return f"{collection}/versions/{version}/manifest.json"


def report_key(collection: str, version: str) -> str:
    """Key of a version's report."""
    return f"{collection}/versions/{version}/report.json"


def page_key(collection: str, version: str) -> str:
    """Key of a version's report as a page for people."""
    return f"{collection}/versions/{version}/report.html"


def figures_page_key(collection: str, version: str) -> str:
    """Key of the same page without anything that names a document."""
    return f"{collection}/versions/{version}/figures.html"


def evaluation_key(collection: str, version: str, run: str) -> str:
    """Key of what people and models think of a version's answers."""
    return f"{collection}/versions/{version}/evaluation-{run}.json"


def report_keys(collection: str, version: str) -> tuple[str, ...]:
    """Keys of everything that is told about a version, which nothing depends on."""
    return tuple(make(collection, version) for make in (report_key, page_key, figures_page_key))


def is_manifest(key: str) -> bool:
    """Tell whether an object is the manifest of a version."""
    parts = key.split("/")
    return parts[1:2] == [VERSIONS_FOLDER] and parts[-1].startswith("manifest")


def history_prefix(collection: str) -> str:
    """Prefix of the records of runs that ended."""
    return f"{collection}/{HISTORY_FOLDER}/"


def history_key(collection: str, run: str) -> str:
    """Key of the record of a run that ended; sorts by when the run began."""
    return f"{history_prefix(collection)}{run}.json"


def shard_index_key(collection: str, shard: str) -> str:
    """Key of a shard's FAISS file."""
    return f"{collection}/shards/{shard}/index.faiss"


def shard_chunks_key(collection: str, shard: str) -> str:
    """Key of a shard's chunk table."""
    return f"{collection}/shards/{shard}/chunks.arrow"


def shard_documents_key(collection: str, shard: str) -> str:
    """Key of a shard's document table."""
    return f"{collection}/shards/{shard}/documents.arrow"


def shard_lexical_key(collection: str, shard: str, suffix: str) -> str:
    """Key of one file of a shard's lexical index."""
    return f"{collection}/shards/{shard}/lexical.{suffix}"


def shard_of(key: str) -> str | None:
    """Return the id of the shard in whose folder an object lies, or None when it lies elsewhere."""
    parts = key.split("/")
    return parts[2] if len(parts) == 4 and parts[1] == SHARDS_FOLDER else None


def is_chunk_table(key: str) -> bool:
    """Tell whether an object is the chunk table of a shard, its own key being taken or not."""
    return shard_of(key) is not None and bool(_CHUNKS_NAME.fullmatch(key.rsplit("/", 1)[1]))


def is_document_table(key: str) -> bool:
    """Tell whether an object is the document table of a shard, likewise."""
    return shard_of(key) is not None and bool(_DOCUMENTS_NAME.fullmatch(key.rsplit("/", 1)[1]))


def shard_record_key(collection: str, shard: str) -> str:
    """Key of the file that says a shard is finished; written after the shard's other files."""
    return f"{collection}/shards/{shard}/{SHARD_RECORD_NAME}"


def catalog_key(collection: str, sha256: str) -> str:
    """Key of a part of the catalog."""
    return f"{collection}/catalog/{sha256}.parquet"


def deletions_key(collection: str, sha256: str) -> str:
    """Key of a shard's deletion vector."""
    return f"{collection}/deletions/{sha256}.roaring"


def relocations_key(collection: str, sha256: str) -> str:
    """Key of the list of moved documents."""
    return f"{collection}/relocations/{sha256}.arrow"


def run_key(collection: str, run: str, name: str) -> str:
    """Key of a checkpoint of an unfinished run."""
    return f"{collection}/{RUNS_FOLDER}/{run}/{name}"


def embeddings_prefix(embedder_id: str) -> str:
    """Prefix of the vectors that one embedder made."""
    return f"{EMBEDDINGS_FOLDER}/{embedder_id}/"


def embeddings_key(embedder_id: str, sha256: str) -> str:
    """Key of one part of the embeddings."""
    return f"{embeddings_prefix(embedder_id)}{sha256}.arrow"


def probe_key(embedder_id: str) -> str:
    """Key of the fingerprint of a model behind an address."""
    return f"{embeddings_prefix(embedder_id)}probe.json"


def batch_jobs_prefix(embedder_id: str) -> str:
    """Prefix of the records of jobs that a provider has not answered yet."""
    return f"{embeddings_prefix(embedder_id)}jobs/"


def batch_job_key(embedder_id: str, name: str) -> str:
    """Key of the record of one such job."""
    return f"{batch_jobs_prefix(embedder_id)}{name}.json"


def learned_limits_key(embedder_id: str) -> str:
    """Key of what refusals taught about the size of requests."""
    return f"{embeddings_prefix(embedder_id)}limits.json"
