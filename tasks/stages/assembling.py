"""Decide what the next version consists of: catalog lines, dead rows, moved documents.

Invariants: pure; a document's chunks are searchable from exactly one range of rows of one shard, or
from none; what is replaced or removed is dead in the same version; what
the latest rights keep from somebody is not found by them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from index_store.records import DocumentRecord
from tasks.stages.building import Placement
from tasks.stages.checkpoints import DocumentOutcome
from tasks.stages.diffing import Action, Plan, PlanItem
from tasks.stages.last_good import is_emptied, kept_attributes

RowRange = tuple[int, int]
Groups = tuple[str, ...] | None  # as in `DocumentAttributes`


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What differs from the version before.

    Attributes:
        records: New or changed catalog lines, sorted by uri.
        removed: Documents that leave the catalog, sorted.
        dead: Row ranges [start, end) that die, by shard of the version before.
        moved: Lines whose chunks bear another name in their shard, sorted by uri.
        lost: Number of documents that had chunks before and have none now.
    """

    records: tuple[DocumentRecord, ...]
    removed: tuple[str, ...]
    dead: Mapping[str, tuple[RowRange, ...]] = field(default_factory=dict)
    moved: tuple[DocumentRecord, ...] = ()
    lost: int = 0


def decide_changes(
    plan: Plan,
    known: Mapping[str, DocumentRecord],
    outcomes: Mapping[str, DocumentOutcome],
    placements: Iterable[Placement],
    *,
    keep_last_good: bool,
) -> Changes:
    """Turn a plan and its outcomes into changes.

    Args:
        plan: What was to be done.
        known: Catalog of the version before, by uri.
        outcomes: What became of every parsed document, by uri.
        placements: Where new chunks are.
        keep_last_good: Whether a changed document that fails keeps the chunks it has; one that
            was emptied never does.

    Returns:
        The changes.
    """
    placed = {placement.uri: placement for placement in placements}
    records: list[DocumentRecord] = []
    removed: list[str] = []
    losers: list[DocumentRecord] = []  # whose rows die
    moved: list[DocumentRecord] = []
    lost: list[str] = []
    for item in plan.items:
        before = known.get(item.uri)
        match item.action:
            case Action.KEPT:
                records += _observed_again(item, before)
            case Action.REMOVED:
                removed.append(item.uri)
                losers += [] if before is None else [before]
                lost += [item.uri] if before is not None and before.chunks else []
            case Action.MOVED:
                record = _renamed(item, known[item.previous_uri])
                records.append(record)
                removed.append(item.previous_uri)
                moved += [record] if record.chunks else []
            case Action.ADDED | Action.CHANGED | Action.REEMBEDDED | Action.RETRY:
                keeps = keep_last_good and not plan.rebuild
                if item.previous_uri:  # moved, and to be done anew all the same
                    removed.append(item.previous_uri)
                    before = known[item.previous_uri]
                outcome, place = outcomes[item.uri], placed.get(item.uri)
                if before is not None and _keeps_its_text(before, item, outcome):
                    record = _placed(_renamed(item, before), place)
                else:
                    record = _done(outcome, place, before, keeps=keeps)
                if item.action is Action.REEMBEDDED and before is not None:
                    why = before.rejection or record.rejection
                    record = replace(record, work_key=before.work_key, rejection=why)
                records.append(record)
                replaced = before is not None and before.chunks and not _same_rows(before, record)
                losers += [before] if before is not None and replaced else []
                lost += [item.uri] if before is not None and replaced and not record.chunks else []
    return Changes(
        records=tuple(sorted(records, key=lambda record: record.uri)),
        removed=tuple(sorted(set(removed) - {record.uri for record in records})),
        dead=_ranges(losers),
        moved=tuple(moved),
        lost=len(lost),
    )


def _observed_again(item: PlanItem, before: DocumentRecord | None) -> list[DocumentRecord]:
    """Return a new line for a document that was only touched, so that it is not hashed again."""
    if before is None or (item.size_bytes, item.mtime_ns) == (before.size_bytes, before.mtime_ns):
        return []
    return [replace(before, size_bytes=item.size_bytes, mtime_ns=item.mtime_ns)]


def _renamed(item: PlanItem, before: DocumentRecord) -> DocumentRecord:
    return replace(before, uri=item.uri, size_bytes=item.size_bytes, mtime_ns=item.mtime_ns)


def _keeps_its_text(before: DocumentRecord, item: PlanItem, outcome: DocumentOutcome) -> bool:
    """Tell whether a document has other vectors and is what it was in every other respect."""
    return bool(before.chunks) and item.action is Action.REEMBEDDED and outcome.rejection is None


def _placed(record: DocumentRecord, placement: Placement | None) -> DocumentRecord:
    if placement is None:
        return record
    return replace(
        record,
        shard=placement.shard,
        row_start=placement.row_start,
        row_end=placement.row_end,
        shard_uri=record.uri,
    )


def _done(
    outcome: DocumentOutcome,
    placement: Placement | None,
    before: DocumentRecord | None,
    *,
    keeps: bool,
) -> DocumentRecord:
    record = DocumentRecord(
        uri=outcome.uri,
        size_bytes=outcome.size_bytes,
        mtime_ns=outcome.mtime_ns,
        content_hash=outcome.content_hash,
        work_key=outcome.work_key,
        rejection=outcome.rejection,
        attributes=outcome.attributes,
        quality=outcome.quality,
    )
    if outcome.rejection is None:
        record = replace(record, indexed_hash=outcome.content_hash, tokens=outcome.tokens)
        return _placed(record, placement)
    if placement is not None and before is not None:  # its last good text has other vectors
        kept = replace(record, indexed_hash=before.indexed_hash, quality=before.quality)
        return _placed(replace(kept, tokens=outcome.tokens), placement)
    if before is None or not before.chunks or not keeps or is_emptied(outcome.rejection):
        return record
    attributes = kept_attributes(before.attributes, outcome.attributes)
    if not _is_within(before.attributes.groups, attributes.groups):
        detail = f"{outcome.rejection.detail}; fewer may read it now, so its last good chunks went"
        return replace(record, rejection=replace(outcome.rejection, detail=detail))
    return replace(
        record,
        indexed_hash=before.indexed_hash,
        shard=before.shard,
        row_start=before.row_start,
        row_end=before.row_end,
        shard_uri=before.shard_uri,
        tokens=before.tokens,
        attributes=attributes,
        quality=before.quality,
    )


def _is_within(before: Groups, now: Groups) -> bool:
    """Tell whether everybody who may read a document by `before` may do so by `now`.

    The shard of chunks that stay has the rights of the day on which it was made.
    """
    return now is None or (before is not None and set(before) <= set(now))


def _same_rows(before: DocumentRecord, after: DocumentRecord) -> bool:
    return (before.shard, before.row_start) == (after.shard, after.row_start) and bool(after.chunks)


def _ranges(losers: Sequence[DocumentRecord]) -> dict[str, tuple[RowRange, ...]]:
    ranges: dict[str, list[RowRange]] = defaultdict(list)
    for record in losers:
        if record.shard is not None and record.chunks:
            ranges[record.shard].append((record.row_start, record.row_end))
    return {shard: tuple(sorted(rows)) for shard, rows in ranges.items()}
