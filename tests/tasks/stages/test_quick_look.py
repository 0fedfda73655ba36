"""The first look leaves out exactly what a plan would keep without a word."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from index_store.catalog_files import store_changes
from index_store.catalog_look import look
from index_store.records import DocumentRecord, Reason, Rejection
from index_store.storage.memory import MemoryStorage
from tasks.stages.diffing import Action, DiffOptions, WorkKeys, diff, files_to_hash
from tasks.stages.listing import ListedFile
from tasks.stages.quick_look import Looked, look_quickly

KEYS = {
    ".txt": WorkKeys(indexing="text", attempt="text 120s"),
    ".pdf": WorkKeys(indexing="pdf", attempt="pdf 120s"),
    "": WorkKeys(indexing="none", attempt="none 120s"),
}
NAMES = ("a.txt", "b.txt", "c.pdf", "d.pdf", "e/.txt", "f.d/g", "h.TXT")


def keys_of(ending: str, described: str = "") -> WorkKeys:
    keys = KEYS[ending]
    return WorkKeys(indexing=keys.indexing + described, attempt=keys.attempt + described)


def suffix(uri: str) -> str:
    return "" if uri in {"e/.txt", "f.d/g"} else uri[-4:].lower()


def file(uri: str, size: int = 1, mtime: int = 1) -> ListedFile:
    return ListedFile(uri=uri, path=uri, size_bytes=size, mtime_ns=mtime)


def record(uri: str, key: str, *, size: int = 1, content: str = "h") -> DocumentRecord:
    rejected = key.endswith("120s")
    return DocumentRecord(
        uri=uri,
        size_bytes=size,
        mtime_ns=1,
        content_hash=content,
        work_key=key,
        rejection=Rejection(reason=Reason.TIMEOUT, detail="") if rejected else None,
        indexed_hash=None if rejected else content,
    )


def looked(
    files: list[ListedFile], known: list[DocumentRecord], *, retry_rejected: bool = False
) -> Looked:
    storage = MemoryStorage("look")
    parts = store_changes(storage, "docs", (), known, [])
    return look_quickly(files, look(storage, parts), keys_of, retry_rejected=retry_rejected)


sizes = st.sampled_from((1, 2))
known_strategy = st.dictionaries(
    st.sampled_from(NAMES),
    st.tuples(
        st.sampled_from(("text", "text 120s", "pdf", "pdf 120s", "none", "older")),
        sizes,
        st.sampled_from(("h", "i", "")),
    ),
)


@given(st.dictionaries(st.sampled_from(NAMES), sizes), known_strategy, st.booleans())
def test_the_plan_is_the_same_as_without_a_first_look(
    listed: dict[str, int], held: dict[str, tuple[str, int, str]], retry: bool
):
    files = [file(uri, size) for uri, size in sorted(listed.items())]
    records = [
        record(uri, key, size=size, content=content) for uri, (key, size, content) in held.items()
    ]
    known = {each.uri: each for each in records}
    keys = {uri: keys_of(suffix(uri)) for uri in NAMES}
    options = DiffOptions(retry_rejected=retry)
    hashes = {each.uri: "h" for each in files_to_hash(files, known)}
    expected = diff(files, known, hashes, keys, options)

    first = looked(files, records, retry_rejected=retry)
    left = {each.uri for each in first.files} | set(first.vanished)
    some = {uri: each for uri, each in known.items() if uri in left}
    assert files_to_hash(first.files, some) == files_to_hash(files, known)
    judged = diff(first.files, some, hashes, keys, options)
    plan = replace(judged, untouched=first.untouched, known=len(known))
    assert plan.counts() == expected.counts()
    assert plan.is_empty == expected.is_empty
    over = set(expected.items) - set(plan.items)
    assert set(plan.items) <= set(expected.items)
    assert len(over) == first.untouched
    assert {item.action for item in over} <= {Action.KEPT}


def test_nothing_is_left_of_an_unchanged_source():
    files = [file("a.txt"), file("c.pdf")]
    assert looked(files, [record("a.txt", "text"), record("c.pdf", "pdf 120s")]) == Looked(
        files=(), untouched=2, vanished=()
    )


def test_a_first_run_looks_at_everything():
    files = [file("a.txt"), file("c.pdf")]
    assert looked(files, []) == Looked(files=tuple(files), untouched=0, vanished=())


def test_an_empty_source_leaves_what_vanished():
    records = [record("c.pdf", "pdf"), record("a.txt", "text")]
    assert looked([], records) == Looked(files=(), untouched=0, vanished=("a.txt", "c.pdf"))


def test_a_document_whose_sidecar_differs_is_looked_at():
    described = replace(file("a.txt"), described="new")
    known = [record("a.txt", "text"), record("b.txt", "textnew")]
    found = looked([described, replace(file("b.txt"), described="new")], known)
    assert [each.uri for each in found.files] == ["a.txt"]
    assert found.untouched == 1
