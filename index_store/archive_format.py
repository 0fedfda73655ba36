"""What a portable archive says about itself: its version, files and place in the log; pure.

An archive is an uncompressed tar: `archive.json` first, then `manifest.json`, then every file in
the order in which `archive.json` lists them, under its key without the collection's name.

Invariants: the same version gives the same bytes; nothing in the archive can be changed without
changing the version's id, because the manifest names every file's hash and the id is the hash of
the manifest; embeddings bear their own hash in their name.
"""

import re
from dataclasses import dataclass

import orjson

from index_store.artifacts import Artifact, sha256_hex
from index_store.errors import CorruptArtifactError, UsageError
from index_store.fields import HEX_64, Fields, parse_object, raise_problems
from index_store.layout import COLLECTION_NAME, EMBEDDINGS_FOLDER
from index_store.log_records import artifact_object, parse_artifact

ARCHIVE_FORMAT = "nightpress-archive"
ARCHIVE_FORMAT_VERSION = 1
HEADER_NAME = "archive.json"
MANIFEST_NAME = "manifest.json"
EMBEDDINGS_KEY = re.compile(rf"{EMBEDDINGS_FOLDER}/([0-9a-f]{{64}})/([0-9a-f]{{64}})\.arrow")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveHeader:
    """What an archive holds.

    Attributes:
        collection: Collection that the version was exported from.
        version: Id of the version.
        published_at_ms: When it was published there, milliseconds since the epoch.
        run: Run that published it there.
        manifest: The manifest, under its key in that collection.
        files: Every file of the version, each key once, sorted by key.
        embeddings: Stored vectors of its texts, sorted by key; none when they were left out.
    """

    collection: str
    version: str
    published_at_ms: int
    run: str
    manifest: Artifact
    files: tuple[Artifact, ...]
    embeddings: tuple[Artifact, ...] = ()

    @property
    def members(self) -> tuple[tuple[str, Artifact], ...]:
        """Name in the archive and artifact of everything after the header, in order."""
        prefix = f"{self.collection}/"
        return (
            (MANIFEST_NAME, self.manifest),
            *((artifact.key.removeprefix(prefix), artifact) for artifact in self.files),
            *((artifact.key, artifact) for artifact in self.embeddings),
        )


def encode_header(header: ArchiveHeader) -> bytes:
    """Return the bytes of `archive.json`, which bear their own hash."""
    body: dict[str, object] = {
        "format": ARCHIVE_FORMAT,
        "format_version": ARCHIVE_FORMAT_VERSION,
        "collection": header.collection,
        "version": header.version,
        "published_at_ms": header.published_at_ms,
        "run": header.run,
        "manifest": artifact_object(header.manifest),
        "files": [artifact_object(artifact) for artifact in header.files],
        "embeddings": [artifact_object(artifact) for artifact in header.embeddings],
    }
    return orjson.dumps(
        {"archive": body, "sha256": _body_hash(body)},
        option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
    )


def parse_header(data: bytes) -> ArchiveHeader:
    """Parse `archive.json`.

    Raises:
        CorruptArtifactError: It is damaged; the message lists every problem.
        UsageError: It was written by a newer nightpress.
    """
    outer = parse_object(data, HEADER_NAME)
    body = outer.get("archive")
    problems: list[str] = []
    fields = Fields(body, "", problems)
    if not isinstance(body, dict) or outer.get("sha256") != _body_hash(body):
        raise CorruptArtifactError(f"{HEADER_NAME}: its content does not agree with its sha256")
    if fields.text("format") != ARCHIVE_FORMAT:
        fields.problem("format", f"expected {ARCHIVE_FORMAT}")
    if fields.whole("format_version", minimum=1) > ARCHIVE_FORMAT_VERSION:
        raise UsageError("archive was written by a newer nightpress; upgrade this one")
    header = ArchiveHeader(
        collection=fields.text("collection", pattern=COLLECTION_NAME),
        version=fields.text("version", pattern=HEX_64),
        published_at_ms=fields.whole("published_at_ms"),
        run=fields.text("run"),
        manifest=parse_artifact(fields.child("manifest")),
        files=tuple(parse_artifact(item) for item in fields.children("files")),
        embeddings=tuple(parse_artifact(item) for item in fields.children("embeddings")),
    )
    if header.manifest.sha256 != header.version:
        fields.problem("version", "expected the sha256 of the manifest")
    for artifact in header.embeddings:
        name = EMBEDDINGS_KEY.fullmatch(artifact.key)
        if name is None or name[2] != artifact.sha256:
            fields.problem("embeddings", f"{artifact.key!r} is not named by its sha256")
    raise_problems(HEADER_NAME, problems)
    return header


def _body_hash(body: dict[str, object]) -> str:
    return sha256_hex(orjson.dumps(body, option=orjson.OPT_SORT_KEYS))
