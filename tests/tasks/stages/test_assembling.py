from dataclasses import replace

import pytest

from index_store.attributes import DocumentAttributes
from index_store.records import DocumentRecord, Quality, Reason, Rejection
from tasks.stages.assembling import Changes, decide_changes
from tasks.stages.building import Placement
from tasks.stages.checkpoints import DocumentOutcome
from tasks.stages.diffing import Action, Plan, PlanItem


def item(uri: str, action: Action, **fields: object) -> PlanItem:
    return PlanItem(uri=uri, action=action, reason="", content_hash="new", **fields)  # type: ignore[arg-type]


def record(uri: str, start: int = 0, end: int = 3, **fields: object) -> DocumentRecord:
    values = {"shard": "s" * 64, "shard_uri": uri, "indexed_hash": "old", "tokens": 30} | fields
    return DocumentRecord(
        uri=uri,
        size_bytes=1,
        mtime_ns=1,
        content_hash="old",
        work_key="k",
        row_start=start,
        row_end=end,
        **values,  # type: ignore[arg-type]
    )


def outcome(uri: str, rejected: Reason | None = None) -> DocumentOutcome:
    rejection = None if rejected is None else Rejection(reason=rejected, detail="why")
    return DocumentOutcome(
        uri=uri, size_bytes=2, mtime_ns=2, content_hash="new", work_key="k", rejection=rejection
    )


def decide(
    items: list[PlanItem],
    known: list[DocumentRecord],
    outcomes: list[DocumentOutcome],
    placements: tuple[Placement, ...] = (),
    rebuild: str = "",
) -> Changes:
    return decide_changes(
        Plan(items=tuple(items), rebuild=rebuild),
        {entry.uri: entry for entry in known},
        {entry.uri: entry for entry in outcomes},
        placements,
        keep_last_good=True,
    )


def test_changed_document_dies_in_its_old_rows_and_lives_in_its_new_ones():
    placed = Placement(uri="a", shard="t" * 64, row_start=5, row_end=9)
    made = decide([item("a", Action.CHANGED)], [record("a")], [outcome("a")], (placed,))
    (line,) = made.records
    assert (line.shard, line.row_start, line.row_end) == ("t" * 64, 5, 9)
    assert made.dead == {"s" * 64: ((0, 3),)}
    assert made.lost == 0


@pytest.mark.parametrize("reason", [Reason.TIMEOUT, Reason.CORRUPT, Reason.CHANGED])
def test_document_that_fails_keeps_its_last_good_chunks(reason: Reason):
    made = decide([item("a", Action.CHANGED)], [record("a")], [outcome("a", reason)])
    (line,) = made.records
    assert (line.chunks, line.indexed_hash) == (3, "old")
    assert line.rejection is not None
    assert (made.dead, made.lost) == ({}, 0)


KNOWN = {"attributes": DocumentAttributes(title="T", groups=("staff",)), "quality": Quality.GOOD}


def test_documents_that_move_are_touched_or_fail_keep_what_is_known_of_them():
    moved = item("new", Action.MOVED, previous_uri="old", size_bytes=1, mtime_ns=5)
    made = decide(
        [moved, item("touched", Action.KEPT, mtime_ns=9), item("failed", Action.CHANGED)],
        [record(uri, **KNOWN) for uri in ("old", "touched", "failed")],
        [outcome("failed", Reason.CORRUPT)],
    )
    assert [line.uri for line in made.records] == ["failed", "new", "touched"]
    for line in made.records:
        assert (line.attributes, line.quality) == (KNOWN["attributes"], KNOWN["quality"])


@pytest.mark.parametrize(
    ("before", "now", "chunks"),
    [
        (("staff",), ("board",), 0),
        (("staff", "board"), ("board",), 0),
        (None, ("board",), 0),
        (("staff",), (), 0),
        (("staff",), ("staff", "board"), 3),
        ((), ("board",), 3),
        (("staff",), None, 3),
    ],
)
def test_a_document_that_fails_keeps_no_chunk_from_whom_it_is_kept_now(
    before: tuple[str, ...] | None, now: tuple[str, ...] | None, chunks: int
):
    known = record("a", attributes=DocumentAttributes(title="T", groups=before))
    failed = replace(
        outcome("a", Reason.TIMEOUT), attributes=DocumentAttributes(theme="t", groups=now)
    )
    made = decide([item("a", Action.CHANGED)], [known], [failed])
    (line,) = made.records
    assert (line.chunks, line.attributes.groups) == (chunks, now)
    assert made.dead == ({} if chunks else {"s" * 64: ((0, 3),)})
    assert line.rejection is not None
    assert ("fewer may read it" in line.rejection.detail) is not bool(chunks)


def test_a_document_done_anew_has_what_was_found_now():
    found = replace(outcome("a"), attributes=DocumentAttributes(title="New"), quality=Quality.POOR)
    made = decide([item("a", Action.CHANGED)], [record("a", **KNOWN)], [found])
    (line,) = made.records
    assert (line.attributes.title, line.attributes.groups, line.quality) == (
        "New",
        None,
        Quality.POOR,
    )


@pytest.mark.parametrize("reason", [Reason.EMPTY, Reason.NO_TEXT])
def test_document_that_was_emptied_is_silent_at_once(reason: Reason):
    made = decide([item("a", Action.CHANGED)], [record("a")], [outcome("a", reason)])
    assert made.records[0].chunks == 0
    assert made.dead == {"s" * 64: ((0, 3),)}
    assert made.lost == 1


def test_what_is_removed_or_fails_in_a_rebuild_is_counted_as_lost():
    made = decide(
        [item("a", Action.REMOVED), item("b", Action.CHANGED)],
        [record("a"), record("b", 3, 6)],
        [outcome("b", Reason.CHANGED)],
        rebuild="full rebuild requested",
    )
    assert made.lost == 2
    assert made.removed == ("a",)


def test_moved_document_keeps_its_rows_under_its_new_name():
    moved = item("b", Action.MOVED, previous_uri="a")
    made = decide([moved], [record("a")], [])
    (line,) = made.records
    assert (line.uri, line.shard_uri, line.chunks) == ("b", "a", 3)
    assert (made.removed, made.dead, made.lost) == (("a",), {}, 0)


def test_document_done_anew_under_another_name_leaves_its_old_one():
    placed = Placement(uri="b", shard="t" * 64, row_start=0, row_end=2)
    renamed = item("b", Action.CHANGED, previous_uri="a")
    made = decide([renamed], [record("a")], [outcome("b")], (placed,))
    assert [line.uri for line in made.records] == ["b"]
    assert made.removed == ("a",)
    assert made.dead == {"s" * 64: ((0, 3),)}
