"""Find out what a run has to do: read the last version, list the sources, hash what looks new.

Invariants: nothing is written here; the plan itself is decided by `quick_look` and `diffing`, which
are pure; records are made only of the documents that a plan is about.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import PurePosixPath

from index_store.artifacts import read_artifact
from index_store.catalog_files import load_catalog
from index_store.catalog_look import find_documents, look
from index_store.embedder import EmbedderSpec
from index_store.embedders.registry import find_tokenizer
from index_store.errors import UsageError
from index_store.ids import WORK_SCHEME, hex_digest
from index_store.log import CommitLog
from index_store.log_records import CANDIDATE, PRODUCTION, LogState, PublishedVersion
from index_store.manifest import CatalogPart, Manifest
from index_store.manifest_codec import parse_manifest
from index_store.records import DocumentRecord
from index_store.storage.base import Storage
from tasks.stages.chunking.options import chunker_identity, tokenizer_in
from tasks.stages.diffing import (
    DiffOptions,
    Plan,
    WorkKeys,
    check_sources,
    check_tripwire,
    diff,
    files_to_hash,
    reembed_catalog,
)
from tasks.stages.listing import ListedFile, Listing
from tasks.stages.parsing.limits import Limits
from tasks.stages.parsing.registry import parser_for, parser_identity
from tasks.stages.quick_look import KeysOf, look_quickly
from tasks.stages.run_options import RunOptions
from tasks.stages.scanning import hash_files, scan


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The version that a run builds on.

    Attributes:
        state: The log when it was read.
        version: Id of the version, None for a first run.
        manifest: Its manifest, None for a first run.
        storage: The store.
    """

    state: LogState
    version: str | None
    manifest: Manifest | None
    storage: Storage

    @property
    def parts(self) -> tuple[CatalogPart, ...]:
        """Parts of its catalog, oldest first."""
        return () if self.manifest is None else self.manifest.catalog

    def documents(self, uris: Iterable[str]) -> dict[str, DocumentRecord]:
        """Return its catalog lines of some documents, by uri."""
        return find_documents(self.storage, self.parts, uris)

    def records(self) -> Iterator[DocumentRecord]:
        """Yield its catalog lines, sorted by uri."""
        return load_catalog(self.storage, self.manifest).records()


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan with everything it was made from.

    Attributes:
        plan: What the run does.
        base: The version it builds on.
        listing: What the sources hold.
        chunker: Identity of the chunker that cuts what is parsed.
        keys: Identities of what is applied, by uri of every listed document of the plan.
        known: Catalog lines of the documents of the plan, by uri.
        reembeds_last_good: Whether a document that fails keeps its last good text with vectors of
            another embedder.
    """

    plan: Plan
    base: Base
    listing: Listing
    chunker: str
    keys: Mapping[str, WorkKeys]
    known: Mapping[str, DocumentRecord]
    reembeds_last_good: bool = False


def choose_base(storage: Storage, collection: str) -> Base:
    """Read the version that a new run builds on.

    It is the one that production points to, or the candidate when nothing is promoted yet.

    Args:
        storage: The store.
        collection: Name of the collection.

    Returns:
        The version with its catalog; an empty base when nothing is published.

    Raises:
        CorruptArtifactError: Log, manifest or catalog is damaged.
        TransientError: The store is out of reach.
    """
    state = CommitLog(storage, collection).read()
    channels = state.channels
    return _base(storage, state, channels.get(PRODUCTION) or channels.get(CANDIDATE))


def read_base(storage: Storage, collection: str, version: str | None) -> Base:
    """Read the version that a run was planned on, whatever was published since.

    Args:
        storage: The store.
        collection: Name of the collection.
        version: Its id; None for a first run, whose base stays empty.

    Raises:
        CorruptArtifactError: Log, manifest or catalog is damaged.
        TransientError: The store is out of reach.
    """
    return _base(storage, CommitLog(storage, collection).read(), version)


def _base(storage: Storage, state: LogState, version: str | None) -> Base:
    if version is None:
        return Base(state=state, version=None, manifest=None, storage=storage)
    artifact = state.versions[version].manifest
    manifest = parse_manifest(read_artifact(storage, artifact))
    return Base(state=state, version=version, manifest=manifest, storage=storage)


def production_shards(storage: Storage, base: Base) -> list[str]:
    """Return the ids of the shards that production serves now.

    Raises:
        CorruptArtifactError: Its manifest is damaged.
        TransientError: The store is out of reach.
    """
    version = base.state.channels.get(PRODUCTION)
    if version is None:
        return []
    manifest = parse_manifest(read_artifact(storage, base.state.versions[version].manifest))
    return [entry.id for entry in manifest.shards]


def list_sources(options: RunOptions) -> Listing:
    """List every source completely; none when the run takes all text from the last version.

    Raises:
        StoppedError: A source is missing or could not be read to its end.
    """
    if options.change.stored_text:
        return Listing(files=(), skipped=(), ignored=0)
    return scan(options.sources, options.scan)


def make_plan(options: RunOptions, base: Base, listing: Listing, embedder: EmbedderSpec) -> Planned:
    """Compare the listing with the last version.

    Args:
        options: What the run was told.
        base: The version it builds on.
        listing: What the sources hold.
        embedder: Identity of the embedder of this run.

    Returns:
        The plan.

    Raises:
        StoppedError: The tripwire: too many documents would vanish.
        UsageError: All text shall be taken from the last version, and there is none; or as
            `chunker_of`.
    """
    change = options.change
    rebuild = "full rebuild requested" if base.manifest is not None and change.full else ""
    reembed = "" if rebuild else _reembed_reason(base, embedder)
    if change.stored_text:
        return _plan_stored_text(base, listing, reembed)
    chunker = chunker_of(options, base.manifest, embedder)
    keys_of = _keys_by_kind(options, chunker)
    files, known, untouched = listing.files, {}, 0
    if rebuild or reembed:
        known = {record.uri: record for record in base.records()}
    elif base.manifest is not None:
        looked = look_quickly(
            listing.files,
            look(base.storage, base.parts),
            keys_of,
            retry_rejected=change.retry_rejected,
        )
        files, untouched = looked.files, looked.untouched
        known = base.documents(chain((file.uri for file in files), looked.vanished))
    keys = {
        file.uri: keys_of(PurePosixPath(file.uri).suffix.lower(), file.described) for file in files
    }
    hashes = _hashes(files_to_hash(files, known), options.limits)
    judged = diff(
        files,
        known,
        hashes,
        keys,
        DiffOptions(rebuild=rebuild, reembed=reembed, retry_rejected=change.retry_rejected),
    )
    plan = replace(judged, untouched=untouched, known=len(known) + untouched)
    if not change.allow_removal:
        check_sources(listing.files, known, [source.label for source in options.sources])
        check_tripwire(
            plan, share=change.tripwire_share, min_documents=change.tripwire_min_documents
        )
    return Planned(
        plan=plan,
        base=base,
        listing=listing,
        chunker=chunker,
        keys=keys,
        known=known,
        reembeds_last_good=bool(reembed) and change.keep_last_good,
    )


def chunker_of(options: RunOptions, base: Manifest | None, embedder: EmbedderSpec) -> str:
    """Return the identity of the chunker that cuts the documents of a run.

    The embedder's tokenizer counts, but for one case: a collection whose chunks were cut by another
    one goes on with that, as long as nothing else about cutting changes. So an embedder can be
    replaced without a document being read, and the nights after it find every chunk where it was.

    Args:
        options: What the run was told.
        base: Manifest of the version it builds on, None for a first run.
        embedder: Identity of the embedder of this run.

    Raises:
        UsageError: The tokenizer that the chunks were counted by is not installed here, and the
            embedder is the one of the last version: every chunk would be paid for again.
    """
    own = chunker_identity(options.chunk, embedder.tokenizer)
    if base is None or options.change.full or base.chunker == own:
        return own
    tokenizer = tokenizer_in(base.chunker)
    if chunker_identity(options.chunk, tokenizer) != base.chunker:
        return own
    if find_tokenizer(tokenizer) is not None:
        return base.chunker
    if base.embedder.id == embedder.id:
        raise UsageError(
            f"the chunks of this collection are counted by the tokenizer {tokenizer}, which is not "
            "installed here; install the embedder that it belongs to, or cut every document anew "
            "with --full"
        )
    return own


def waiting_version(options: RunOptions, planned: Planned) -> PublishedVersion | None:
    """Return the version that stands when all that is left to do is to promote it.

    A run that was killed after it published its collection's first version leaves one behind.
    """
    base = planned.base
    is_promoted = PRODUCTION in base.state.channels
    if base.version is None or is_promoted or not options.promote or not planned.plan.is_empty:
        return None
    return base.state.versions[base.version]


def _reembed_reason(base: Base, embedder: EmbedderSpec) -> str:
    before = None if base.manifest is None else base.manifest.embedder
    if before is None or before.id == embedder.id:
        return ""
    return f"embedder differs, it was {before.provider}/{before.model}"


def _plan_stored_text(base: Base, listing: Listing, reembed: str) -> Planned:
    """Plan a run over the documents of the last version, none of which is looked at."""
    if base.manifest is None:
        raise UsageError(
            "stored_text takes every text from the last version, and nothing is published yet; "
            "run without it first"
        )
    known = {record.uri: record for record in base.records()}
    plan = Plan(items=(), known=len(known), untouched=len(known))
    if reembed:
        plan = reembed_catalog(known.values(), reembed)
    return Planned(
        plan=plan,
        base=base,
        listing=listing,
        chunker=base.manifest.chunker,
        keys={},
        known=known,
    )


def _hashes(files: Sequence[ListedFile], limits: Limits) -> dict[str, str | None]:
    """Hash content; a file that no parser will open is known by size and time instead."""
    giants = [file for file in files if file.size_bytes > limits.file_bytes]
    found: dict[str, str | None] = {
        file.uri: hex_digest(WORK_SCHEME, "too large to read", file.size_bytes, file.mtime_ns)
        for file in giants
    }
    readable = [file for file in files if file.size_bytes <= limits.file_bytes]
    contents = hash_files([file.path for file in readable])
    found.update({file.uri: each for file, each in zip(readable, contents, strict=True)})
    return found


def _keys_by_kind(options: RunOptions, chunker: str) -> KeysOf:
    @cache
    def keys_of(ending: str, described: str) -> WorkKeys:
        parser = parser_for(f"document{ending}").name
        return _work_keys(parser, chunker, options, described)

    return keys_of


def _work_keys(parser: str, chunker: str, options: RunOptions, described: str) -> WorkKeys:
    # An indexed document does not depend on the limits it was parsed under, a rejected one may.
    indexing = parser_identity(parser, Limits(), options.parsing)
    attempt = parser_identity(parser, options.limits, options.parsing)
    if options.tika.url:
        attempt += " tika"
    sidecars = (described,) if described else ()
    return WorkKeys(
        indexing=hex_digest(WORK_SCHEME, "indexing", indexing, chunker, *sidecars),
        attempt=hex_digest(WORK_SCHEME, "attempt", attempt, chunker, *sidecars),
    )
