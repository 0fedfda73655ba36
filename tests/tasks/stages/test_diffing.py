from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index_store.errors import StoppedError
from index_store.records import DocumentRecord, Reason, Rejection
from tasks.stages.diffing import (
    Action,
    DiffOptions,
    Plan,
    WorkKeys,
    check_sources,
    check_tripwire,
    diff,
    files_to_hash,
)
from tasks.stages.listing import ListedFile

KEYS = WorkKeys(indexing="parser-1", attempt="parser-1 120s")


def file(uri: str, *, size: int = 10, mtime: int = 1) -> ListedFile:
    return ListedFile(uri=uri, path=f"/docs/{uri}", size_bytes=size, mtime_ns=mtime)


def record(uri: str, content: str = "h", **fields: object) -> DocumentRecord:
    values: dict[str, object] = {
        "uri": uri,
        "size_bytes": 10,
        "mtime_ns": 1,
        "content_hash": content,
        "work_key": KEYS.indexing,
        "indexed_hash": content,
    }
    return DocumentRecord(**(values | fields))  # type: ignore[arg-type]


def rejected(uri: str, content: str = "h", **fields: object) -> DocumentRecord:
    rejection = Rejection(reason=Reason.TIMEOUT, detail="killed after 120 s")
    values = {"rejection": rejection, "indexed_hash": None, "work_key": KEYS.attempt} | fields
    return record(uri, content, **values)


def plan(
    files: list[ListedFile],
    known: list[DocumentRecord],
    hashes: Mapping[str, str | None] | None = None,
    options: DiffOptions | None = None,
    keys: WorkKeys = KEYS,
) -> Plan:
    return diff(
        sorted(files, key=lambda listed: listed.uri),
        {entry.uri: entry for entry in known},
        hashes or {},
        {listed.uri: keys for listed in files},
        options or DiffOptions(),
    )


def actions(made: Plan) -> dict[str, Action]:
    return {item.uri: item.action for item in made.items}


def test_only_files_that_look_different_are_hashed():
    known = {"same": record("same"), "grown": record("grown"), "older": record("older")}
    files = [file("grown", size=11), file("new"), file("older", mtime=0), file("same")]
    assert [listed.uri for listed in files_to_hash(files, known)] == ["grown", "new", "older"]


def test_touch_keeps_a_document_and_older_mtime_with_new_content_changes_it():
    known = [record("touched"), record("restored")]
    files = [file("touched", mtime=99), file("restored", mtime=0)]
    made = plan(files, known, {"touched": "h", "restored": "other"})
    assert actions(made) == {"touched": Action.KEPT, "restored": Action.CHANGED}


def test_moved_document_is_paired_with_the_one_that_left():
    made = plan([file("new/a.txt")], [record("old/a.txt")], {"new/a.txt": "h"})
    (item,) = made.items
    assert (item.action, item.previous_uri) == (Action.MOVED, "old/a.txt")
    assert item.reason == "same content as old/a.txt"


def test_a_copy_beside_its_original_is_added_not_moved():
    made = plan([file("a"), file("b")], [record("a")], {"b": "h"})
    assert actions(made) == {"a": Action.KEPT, "b": Action.ADDED}


def test_two_equal_documents_that_move_are_paired_once_each():
    made = plan([file("x"), file("y")], [record("a"), record("b")], {"x": "h", "y": "h"})
    assert [(item.uri, item.previous_uri) for item in made.items] == [("x", "a"), ("y", "b")]


def test_removed_document_has_a_reason():
    made = plan([file("a")], [record("a"), record("b")])
    assert [(i.uri, i.action, i.reason) for i in made.items if i.uri == "b"] == [
        ("b", Action.REMOVED, "not in the source any more")
    ]


def test_rejected_document_is_kept_until_file_parser_or_wish_changes():
    known = [rejected("a")]
    assert actions(plan([file("a")], known)) == {"a": Action.KEPT}
    asked = plan([file("a")], known, options=DiffOptions(retry_rejected=True))
    assert actions(asked) == {"a": Action.RETRY}
    newer = WorkKeys(indexing="parser-2", attempt="parser-2 120s")
    assert actions(plan([file("a")], known, keys=newer)) == {"a": Action.RETRY}
    other = plan([file("a", size=11)], known, {"a": "fixed"})
    assert actions(other) == {"a": Action.CHANGED}


def test_raised_limit_retries_the_rejected_and_leaves_the_indexed_alone():
    slower = WorkKeys(indexing=KEYS.indexing, attempt="parser-1 300s")
    made = plan([file("bad"), file("good")], [rejected("bad"), record("good")], keys=slower)
    assert actions(made) == {"bad": Action.RETRY, "good": Action.KEPT}


def test_rebuild_does_every_document_anew_and_a_renamed_one_has_not_vanished():
    made = plan(
        [file("a"), file("c")],
        [record("a"), record("b"), record("d", "other")],
        {"c": "h"},
        DiffOptions(rebuild="full rebuild requested"),
    )
    assert actions(made) == {"a": Action.CHANGED, "c": Action.CHANGED, "d": Action.REMOVED}
    (renamed,) = [item for item in made.items if item.uri == "c"]
    assert renamed.previous_uri == "b"
    assert renamed.reason == "same content as b, full rebuild requested"
    assert not made.is_empty


def test_document_that_moved_while_its_parser_changed_is_done_anew_under_its_new_name():
    newer = WorkKeys(indexing="parser-2", attempt="parser-2 120s")
    (item,) = plan([file("new")], [record("old")], {"new": "h"}, keys=newer).items
    assert (item.action, item.previous_uri) == (Action.CHANGED, "old")


def test_content_that_could_not_be_read_is_looked_at_again():
    known = [rejected("a", "", rejection=Rejection(reason=Reason.CHANGED, detail="vanished"))]
    assert actions(plan([file("a")], known, {"a": "h"})) == {"a": Action.CHANGED}
    assert [entry.uri for entry in files_to_hash([file("a")], {"a": known[0]})] == ["a"]


def test_one_of_several_sources_that_shows_nothing_stops_the_run():
    files = [file("law/a.txt")]
    known = ["law/a.txt", "hr/b.txt", "hr/c.txt"]
    with pytest.raises(StoppedError, match="source 'hr' shows none of its 2 documents any more"):
        check_sources(files, known, ["law", "hr"])
    check_sources(files, ["law/a.txt"], ["law", "hr"])
    check_sources(files, known, [""])


def test_plan_of_an_unchanged_source_is_empty():
    assert plan([file("a")], [record("a")]).is_empty


@pytest.mark.parametrize(
    ("left", "known", "stops"), [(4, 5, False), (3, 5, True), (8, 10, False), (1, 2, False)]
)
def test_tripwire_stops_when_more_than_the_share_would_vanish(left: int, known: int, stops: bool):
    made = plan([file(f"d{n}") for n in range(left)], [record(f"d{n}") for n in range(known)])
    if stops:
        with pytest.raises(StoppedError, match="documents would vanish.*--allow-removal"):
            check_tripwire(made, share=0.2, min_documents=2)
    else:
        check_tripwire(made, share=0.2, min_documents=2)


@pytest.mark.parametrize("known", [[], [record("only")]])
def test_tripwire_stops_on_an_empty_source(known: list[DocumentRecord]):
    with pytest.raises(StoppedError, match="holds no document"):
        check_tripwire(plan([], known), share=1.0, min_documents=2)


@given(
    listed=st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("xyz")),
    known=st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("xyz")),
)
def test_every_document_is_accounted_for_once(listed: dict[str, str], known: dict[str, str]):
    made = plan(
        [file(uri, mtime=2) for uri in listed],
        [record(uri, content) for uri, content in known.items()],
        listed,
    )
    counts = made.counts()
    assert [item.uri for item in made.items] == sorted(
        listed.keys() | {i.uri for i in made.items if i.action is Action.REMOVED}
    )
    assert sum(counts.values()) - counts["removed"] == len(listed)
    assert counts["kept"] + counts["changed"] + counts["moved"] + counts["removed"] == len(known)
