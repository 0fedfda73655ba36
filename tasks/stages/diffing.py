"""Decide what a run has to do: last catalog against listing, nothing else.

Invariants: pure; every listed and every catalogued document gets exactly one item with a reason;
size and modification time are only the cheap first look, the content hash decides; a moved document
keeps its chunks.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from index_store.errors import StoppedError
from index_store.records import DocumentRecord, Reason
from tasks.stages.listing import ListedFile


class Action(Enum):
    """What happens to a document in this run."""

    ADDED = "added"
    CHANGED = "changed"
    MOVED = "moved"
    REMOVED = "removed"
    REEMBEDDED = "reembedded"  # its chunks stay, and get vectors of another embedder
    KEPT = "kept"
    RETRY = "retry"


# What goes through the stages, in batches.
WORK = (Action.ADDED, Action.CHANGED, Action.REEMBEDDED, Action.RETRY)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkKeys:
    """Identities of what would be applied to a document today.

    Attributes:
        indexing: Parser and chunker; an indexed document is done again when it changes.
        attempt: The same with the limits; a rejected document is tried again when it changes.
    """

    indexing: str
    attempt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanItem:
    """One document of the plan.

    Attributes:
        uri: Name of the document.
        action: What happens to it.
        reason: Why, for a person.
        path: Where to read it; empty when it is removed.
        size_bytes: Size in the listing, or in the catalog when it is removed.
        mtime_ns: Modification time, likewise.
        content_hash: SHA-256 of the content, likewise; empty when it could not be read.
        previous_uri: Name in the last catalog when it was another one, else empty.
        sidecars: Paths of the files that describe it, the outermost folder's first.
    """

    uri: str
    action: Action
    reason: str
    path: str = ""
    size_bytes: int = 0
    mtime_ns: int = 0
    content_hash: str = ""
    previous_uri: str = ""
    sidecars: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything a run will do, before it does anything.

    Attributes:
        items: One per document but those that a first look passed over, sorted by uri.
        rebuild: Why every shard is built anew, or empty when only changes are.
        known: Number of documents in the last catalog.
        untouched: Documents that are kept and have no item.
    """

    items: tuple[PlanItem, ...]
    rebuild: str = ""
    known: int = 0
    untouched: int = 0

    def counts(self) -> dict[str, int]:
        """Return the number of documents per action, every action present."""
        counted = Counter(item.action for item in self.items)
        counted[Action.KEPT] += self.untouched
        return {action.value: counted[action] for action in Action}

    def work(self) -> tuple[PlanItem, ...]:
        """Return what goes through the stages, sorted by uri."""
        return tuple(item for item in self.items if item.action in WORK)

    @property
    def is_empty(self) -> bool:
        """Whether the run would change nothing."""
        return not self.rebuild and all(item.action is Action.KEPT for item in self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffOptions:
    """How changes are judged.

    Attributes:
        rebuild: Why everything is to be parsed and indexed anew, or empty.
        reembed: Why every chunk gets another vector, or empty.
        retry_rejected: Whether every rejected document is tried again.
    """

    rebuild: str = ""
    reembed: str = ""
    retry_rejected: bool = False


def files_to_hash(
    files: Sequence[ListedFile], known: Mapping[str, DocumentRecord]
) -> list[ListedFile]:
    """Return the files whose size or modification time is not the one in the catalog."""
    return [file for file in files if not _looks_same(file, known.get(file.uri))]


def diff(
    files: Sequence[ListedFile],
    known: Mapping[str, DocumentRecord],
    hashes: Mapping[str, str | None],
    keys: Mapping[str, WorkKeys],
    options: DiffOptions,
) -> Plan:
    """Compare a listing with the last catalog.

    Args:
        files: Complete listing, sorted by uri.
        known: Last catalog by uri.
        hashes: Content hash by uri of every file of `files_to_hash`; None when it vanished or
            could not be read.
        keys: Identities by uri for every listed file.
        options: How changes are judged.

    Returns:
        The plan.
    """
    items: list[PlanItem] = []
    seen: set[str] = set()
    for file in files:
        record = known.get(file.uri)
        if record is not None and _looks_same(file, record):
            content_hash = record.content_hash
        else:
            content_hash = hashes.get(file.uri) or ""
        item = _judge(file, record, content_hash, keys[file.uri], options)
        items.append(item)
        seen.add(file.uri)
    removed = [_removed(known[uri]) for uri in sorted(known.keys() - seen)]
    items, removed = _match_moves(items, removed, known, keys, rebuild=options.rebuild)
    if options.reembed:
        items = [
            _reembedded(item, known.get(item.previous_uri or item.uri), options.reembed)
            for item in items
        ]
    ordered = sorted([*items, *removed], key=lambda item: item.uri)
    return Plan(items=tuple(ordered), rebuild=options.rebuild or options.reembed, known=len(known))


def reembed_catalog(known: Iterable[DocumentRecord], why: str) -> Plan:
    """Return the plan of a run that reads no source: what was published, with other vectors.

    Args:
        known: Last catalog.
        why: Why every chunk gets another vector.
    """
    items = [
        PlanItem(
            uri=record.uri,
            action=Action.REEMBEDDED if record.chunks else Action.KEPT,
            reason=_text_stays(why) if record.chunks else "no text in the last version",
            size_bytes=record.size_bytes,
            mtime_ns=record.mtime_ns,
            content_hash=record.content_hash,
        )
        for record in known
    ]
    return Plan(
        items=tuple(sorted(items, key=lambda item: item.uri)), rebuild=why, known=len(items)
    )


def check_tripwire(plan: Plan, *, share: float, min_documents: int) -> None:
    """Stop a run that would make a large part of the collection vanish.

    Args:
        plan: What the run would do.
        share: Largest share of known documents that may vanish, in [0, 1].
        min_documents: Number of vanished documents below which the share is not looked at.

    Raises:
        StoppedError: The source shows no document at all, or too many would vanish.
    """
    counts = plan.counts()
    listed = sum(counts.values()) - counts["removed"]
    remedy = "check that the source is mounted; to go on all the same, add --allow-removal"
    if listed == 0:
        raise StoppedError(f"the source holds no document of a supported type; {remedy}")
    removed = counts["removed"]
    if removed >= min_documents and removed > share * plan.known:
        raise StoppedError(
            f"{removed} of {plan.known} documents would vanish, more than {share:.0%}; {remedy}"
        )


def check_sources(files: Sequence[ListedFile], known: Iterable[str], labels: Sequence[str]) -> None:
    """Stop a run when one of several sources shows nothing although it did before.

    Args:
        files: Complete listing.
        known: Names of catalogued documents, at least those that vanished.
        labels: First parts of the uris of each source.

    Raises:
        StoppedError: A source shows no document any more.
    """
    listed = {file.uri.partition("/")[0] for file in files}
    known = tuple(known)
    for label in labels:
        lost = sum(uri.startswith(f"{label}/") for uri in known)
        if label and label not in listed and lost:
            raise StoppedError(
                f"source {label!r} shows none of its {lost} documents any more; check that it is "
                "mounted; to go on all the same, add --allow-removal"
            )


def _looks_same(file: ListedFile, record: DocumentRecord | None) -> bool:
    return (
        record is not None
        and record.size_bytes == file.size_bytes
        and record.mtime_ns == file.mtime_ns
        and bool(record.content_hash)
    )


def _judge(
    file: ListedFile,
    record: DocumentRecord | None,
    content_hash: str,
    keys: WorkKeys,
    options: DiffOptions,
) -> PlanItem:
    action, reason = _verdict(record, content_hash, keys, options)
    return PlanItem(
        uri=file.uri,
        action=action,
        reason=reason,
        path=file.path,
        size_bytes=file.size_bytes,
        mtime_ns=file.mtime_ns,
        content_hash=content_hash,
        sidecars=file.sidecars,
    )


def _verdict(
    record: DocumentRecord | None, content_hash: str, keys: WorkKeys, options: DiffOptions
) -> tuple[Action, str]:
    if record is None:
        return Action.ADDED, "not in the last catalog"
    if content_hash != record.content_hash:
        return Action.CHANGED, "content differs"
    if record.rejection is not None:
        return _verdict_on_rejected(record, keys, options)
    if options.rebuild:
        return Action.CHANGED, options.rebuild
    if record.work_key != keys.indexing:
        return Action.CHANGED, "parser, chunker or sidecar differs"
    return Action.KEPT, "same content"


def _verdict_on_rejected(
    record: DocumentRecord, keys: WorkKeys, options: DiffOptions
) -> tuple[Action, str]:
    reason = record.rejection.reason.value if record.rejection is not None else ""
    if options.retry_rejected:
        return Action.RETRY, f"rejected as {reason}, retry requested"
    if options.rebuild:
        return Action.RETRY, f"rejected as {reason}, {options.rebuild}"
    if not _holds(record, keys):
        return Action.RETRY, f"rejected as {reason}, parser, limits or sidecar differ"
    return Action.KEPT, f"rejected as {reason}, same content"


def _reembedded(item: PlanItem, record: DocumentRecord | None, why: str) -> PlanItem:
    """Return what becomes of a document when its text stays and the embedder does not."""
    if record is None or item.action not in (Action.KEPT, Action.MOVED):
        return item
    if record.rejection is not None and record.rejection.reason is Reason.EMBEDDING:
        return replace(item, action=Action.RETRY, reason=f"rejected as embedding, {why}")
    if not record.chunks:
        return item
    return replace(item, action=Action.REEMBEDDED, reason=_text_stays(why))


def _text_stays(why: str) -> str:
    return f"{why}, text from the last version"


def _removed(record: DocumentRecord) -> PlanItem:
    return PlanItem(
        uri=record.uri,
        action=Action.REMOVED,
        reason="not in the source any more",
        size_bytes=record.size_bytes,
        mtime_ns=record.mtime_ns,
        content_hash=record.content_hash,
    )


def _match_moves(
    items: Iterable[PlanItem],
    removed: Sequence[PlanItem],
    known: Mapping[str, DocumentRecord],
    keys: Mapping[str, WorkKeys],
    *,
    rebuild: str,
) -> tuple[list[PlanItem], list[PlanItem]]:
    """Pair added with removed documents of the same content, in order of uri.

    A pair whose chunks can stay is a move; one that has to be done anew is a change under another
    name. Neither has vanished.
    """
    leavers: dict[str, list[PlanItem]] = defaultdict(list)
    for item in reversed(removed):
        if item.content_hash:
            leavers[item.content_hash].append(item)
    matched: list[PlanItem] = []
    gone: set[str] = set()
    for item in items:
        candidates = leavers.get(item.content_hash) if item.action is Action.ADDED else None
        if not candidates:
            matched.append(item)
            continue
        leaver = candidates.pop()
        gone.add(leaver.uri)
        stays = not rebuild and _holds(known[leaver.uri], keys[item.uri])
        matched.append(
            replace(
                item,
                action=Action.MOVED if stays else Action.CHANGED,
                reason=f"same content as {leaver.uri}"
                + ("" if stays else f", {rebuild or 'parser, chunker or sidecar differs'}"),
                previous_uri=leaver.uri,
            )
        )
    return matched, [item for item in removed if item.uri not in gone]


def _holds(record: DocumentRecord, keys: WorkKeys) -> bool:
    """Tell whether what became of a document would become of it today.

    One that was parsed, and refused by the embedder, does not depend on limits either.
    """
    is_parsed = record.rejection is None or record.rejection.reason is Reason.EMBEDDING
    return record.work_key == keys.attempt or (is_parsed and record.work_key == keys.indexing)
