"""Searches: by words and by both, filters and rights inside, bounds, repetitions, context."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from index_store.attributes import DocumentAttributes
from index_store.collections import load_manifest
from index_store.errors import UsageError
from index_store.log import CommitLog
from index_store.publisher import publish
from index_store.records import Hit
from index_store.search_options import (
    AdaptiveK,
    DocumentFilter,
    Question,
    Recency,
    Retrieval,
    SearchOptions,
)
from index_store.snapshot import Snapshot
from index_store.storage.memory import MemoryStorage
from tests.index_store.store_builders import (
    COLLECTION,
    build_manifest,
    build_shard,
    commit_log,
    publish_documents,
    vector,
)

LEAVE = "Les salariés acquièrent des congés payés chaque mois de travail."
NOTICE = "La durée du préavis dépend de l'ancienneté du salarié."
TRIAL = "The trial period of a contract may be renewed once."
RENT = "Rents are due on the first day of every month."
DOCUMENTS = {
    "hr/leave.txt": [LEAVE, "Une page sans rapport."],
    "hr/notice.txt": [NOTICE],
    "law/trial.txt": [TRIAL],
    "law/rent.txt": [RENT],
    "secret/board.txt": ["The board decided on congés payés in secret."],
    "nobody/lost.txt": ["Nobody reads about congés payés here."],
}
ATTRIBUTES = {
    "hr/leave.txt": DocumentAttributes(
        title="Congés",
        url="https://example.org/leave",
        language="fr",
        date="2024-05-01",
        document_type="Guide",
        theme="Paie",
        keywords=("congés", "RTT"),
        extra={"chapter": "3"},
    ),
    "hr/notice.txt": DocumentAttributes(language="fr", date="2020-01-01", media_type="pdf"),
    "law/trial.txt": DocumentAttributes(language="en", date="2023-12-31"),
    "law/rent.txt": DocumentAttributes(language="en"),
    "secret/board.txt": DocumentAttributes(language="en", groups=("board", "hr")),
    "nobody/lost.txt": DocumentAttributes(language="en", groups=()),
}


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    storage = MemoryStorage("search")
    folder = tmp_path_factory.mktemp("search")
    publish_documents(storage, DOCUMENTS, folder, attributes=ATTRIBUTES)
    with Snapshot.open(storage, COLLECTION, channel="candidate") as opened:
        yield opened


def by_words(snapshot: Snapshot, text: str, **options: object) -> list[str]:
    values = {"k": 20, "retrieval": Retrieval.LEXICAL} | options
    return [hit.uri for hit in snapshot.search(Question(text=text), SearchOptions(**values))]


def by_vector(snapshot: Snapshot, text: str, **options: object) -> tuple[Hit, ...]:
    values = {"k": 20, "retrieval": Retrieval.DENSE} | options
    return snapshot.search(Question(text=text, vector=vector(text)), SearchOptions(**values))


@pytest.mark.parametrize(
    "question", ["conge paye", "Congés payés ?", "le congé payé", "SALARIÉ congés", "CONGES"]
)
def test_words_are_found_in_any_form_and_without_accents(snapshot: Snapshot, question: str):
    assert by_words(snapshot, question)[0] == "hr/leave.txt"


def test_word_forms_are_those_of_the_documents_language(snapshot: Snapshot):
    assert by_words(snapshot, "trials of the contracts") == ["law/trial.txt"]
    assert by_words(snapshot, "renewing") == ["law/trial.txt"]


def test_small_words_find_nothing_when_others_tell_more(snapshot: Snapshot):
    assert by_words(snapshot, "the rents of the day") == ["law/rent.txt"]
    assert "law/trial.txt" in by_words(snapshot, "the of")  # they are all there is


def test_a_search_by_words_needs_no_vector_and_scores_by_words(snapshot: Snapshot):
    options = SearchOptions(retrieval=Retrieval.LEXICAL)
    (hit,) = snapshot.search(Question(text="rents"), options)
    assert hit.score == hit.parts.lexical > 0
    assert (hit.parts.dense, hit.parts.fused) == (None, None)
    with pytest.raises(UsageError, match="needs the question's text"):
        snapshot.search(Question(text=" ", vector=vector("x")), options)
    with pytest.raises(UsageError, match="bound on cosine similarity needs the question's vector"):
        snapshot.search(Question(text="rents"), replace(options, min_score=0.1))


def test_a_hybrid_search_finds_what_either_part_finds(snapshot: Snapshot):
    asked = Question(text="rents", vector=vector(NOTICE))
    hits = snapshot.search(asked, SearchOptions(k=20))
    assert {hits[0].uri, hits[1].uri} == {"law/rent.txt", "hr/notice.txt"}
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    for hit in hits:
        assert hit.score == hit.parts.fused
        assert 0.0 <= hit.score <= 1.0
        assert hit.parts.dense is not None
        assert (hit.parts.lexical is None) == (hit.uri != "law/rent.txt")
    with pytest.raises(UsageError, match="needs the question's vector"):
        snapshot.search(Question(text="rents"), SearchOptions())


def test_hits_carry_what_is_known_of_their_document(snapshot: Snapshot):
    (hit,) = by_vector(snapshot, LEAVE, k=1)
    assert hit.attributes == ATTRIBUTES["hr/leave.txt"]


PUBLIC = {"hr/leave.txt", "hr/notice.txt", "law/trial.txt", "law/rent.txt"}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (DocumentFilter(path_prefix="hr/"), {"hr/leave.txt", "hr/notice.txt"}),
        (DocumentFilter(path_prefix="h"), {"hr/leave.txt", "hr/notice.txt"}),
        (DocumentFilter(sources=("law", "elsewhere")), {"law/trial.txt", "law/rent.txt"}),
        (DocumentFilter(sources=("h",)), set()),
        (DocumentFilter(document_types=("guide",)), {"hr/leave.txt"}),
        (DocumentFilter(themes=("PAIE", "x")), {"hr/leave.txt"}),
        (DocumentFilter(languages=("EN",)), {"law/trial.txt", "law/rent.txt"}),
        (DocumentFilter(media_types=("pdf",)), {"hr/notice.txt"}),
        (DocumentFilter(keywords=("rtt", "other")), {"hr/leave.txt"}),
        (DocumentFilter(date_from="2023-12-31"), {"hr/leave.txt", "law/trial.txt"}),
        (DocumentFilter(date_until="2023-12-31"), {"hr/notice.txt", "law/trial.txt"}),
        (DocumentFilter(date_from="2023-01-01", date_until="2023-12-31"), {"law/trial.txt"}),
        (DocumentFilter(extra={"chapter": ("3", "4")}), {"hr/leave.txt"}),
        (DocumentFilter(extra={"chapter": ("4",)}), set()),
        (DocumentFilter(extra={"unheard": ("3",)}), set()),
        (DocumentFilter(languages=("fr",), date_until="2021-01-01"), {"hr/notice.txt"}),
    ],
)
def test_filters_act_inside_the_search(snapshot: Snapshot, asked: DocumentFilter, found: set[str]):
    assert {hit.uri for hit in by_vector(snapshot, "x", filter=asked)} == found
    everything = " ".join((LEAVE, NOTICE, TRIAL, RENT))
    assert set(by_words(snapshot, everything, filter=asked)) == found
    hits = snapshot.search(
        Question(text=everything, vector=vector("x")), SearchOptions(k=20, filter=asked)
    )
    assert {hit.uri for hit in hits} == found


@pytest.mark.parametrize(
    ("groups", "more"),
    [
        (None, set()),
        (frozenset(), set()),
        (frozenset({"staff"}), set()),
        (frozenset({"Board"}), set()),
        (frozenset({"board"}), {"secret/board.txt"}),
        (frozenset({"staff", "hr"}), {"secret/board.txt"}),
    ],
)
def test_a_document_is_seen_only_by_its_groups(
    snapshot: Snapshot, groups: frozenset[str] | None, more: set[str]
):
    assert {hit.uri for hit in by_vector(snapshot, "x", groups=groups)} == PUBLIC | more
    found = set(by_words(snapshot, "congés payés", groups=groups))
    assert found == {"hr/leave.txt"} | more


def test_rights_are_left_aside_only_on_demand(snapshot: Snapshot):
    found = {hit.uri for hit in by_vector(snapshot, "x", all_groups=True)}
    assert found == set(DOCUMENTS)
    assert {hit.uri for hit in snapshot.nearest(vector("x"), 20)} == set(DOCUMENTS)


def test_a_bound_on_similarity_spares_quotations(snapshot: Snapshot):
    assert {hit.uri for hit in by_vector(snapshot, LEAVE, min_score=0.95)} == {"hr/leave.txt"}
    asked = Question(text=NOTICE, vector=vector(LEAVE))
    options = SearchOptions(k=20, retrieval=Retrieval.DENSE, min_score=0.95)
    assert [(hit.uri, hit.verbatim) for hit in snapshot.search(asked, options)] == [
        ("hr/notice.txt", True),
        ("hr/leave.txt", False),
    ]


def test_hits_grow_in_number_while_few_are_good(snapshot: Snapshot):
    def found(good: float, enough: int) -> int:
        rule = AdaptiveK(good_score=good, enough=enough, step=1, most=4)
        return len(by_vector(snapshot, LEAVE, k=2, adaptive=rule))

    assert found(0.95, 1) == 2
    assert found(0.95, 2) == 4
    assert found(-1.0, 2) == 2
    assert found(-1.0, 3) == 3


def test_newer_documents_can_be_preferred(snapshot: Snapshot):
    def first(recency: Recency | None) -> str:
        both = vector(LEAVE) * 1.0 + vector(NOTICE) * 1.05
        asked = Question(text="", vector=both)
        options = SearchOptions(k=5, retrieval=Retrieval.DENSE, recency=recency)
        return snapshot.search(asked, options)[0].uri

    assert first(None) == "hr/notice.txt"
    assert first(Recency(today="2024-06-01", half_life_days=365, weight=0.5)) == "hr/leave.txt"


def test_one_document_cannot_fill_the_hits_and_repetitions_are_told(tmp_path: Path):
    storage = MemoryStorage("repeated")
    documents = {
        "a.txt": ["Alpha beta gamma.", "Alpha beta gamma delta.", "Alpha beta."],
        "copy.txt": ["Alpha beta gamma."],
        "other.txt": ["Alpha epsilon."],
    }
    publish_documents(storage, documents, tmp_path)
    with Snapshot.open(storage, COLLECTION, channel="candidate") as snapshot:
        capped = by_words(snapshot, "alpha", per_document=1, near_duplicates=True)
        hits = by_vector(snapshot, "Alpha beta gamma.")
        shown = by_vector(snapshot, "Alpha beta gamma.", near_duplicates=True)
    assert sorted(capped) == ["a.txt", "copy.txt", "other.txt"]
    assert sorted((hits[0].uri, *hits[0].also_in)) == ["a.txt", "copy.txt"]
    assert [hit.text for hit in hits].count("Alpha beta gamma.") == 1
    assert [hit.text for hit in shown].count("Alpha beta gamma.") == 2


def test_repetitions_do_not_keep_other_hits_away(tmp_path: Path):
    storage = MemoryStorage("repetitions")
    documents = {f"copy{number}.txt": ["notice of leave"] for number in range(100)}
    documents |= {f"other{number}.txt": [f"leave rule {number}"] for number in range(4)}
    publish_documents(storage, documents, tmp_path)
    with Snapshot.open(storage, COLLECTION, channel="candidate") as snapshot:
        hits = by_vector(snapshot, "notice of leave", k=5)
        tables = snapshot.chunk_tables()
    assert [hit.text for hit in hits][:1] == ["notice of leave"]
    assert {hit.text for hit in hits[1:]} == {f"leave rule {number}" for number in range(4)}
    assert len(tables) == 1


def test_a_search_goes_as_asked_when_there_is_a_lexical_index(snapshot: Snapshot):
    for asked in Retrieval:
        assert snapshot.retrieval_of(SearchOptions(retrieval=asked)) is asked


def test_neighbours_are_joined_without_what_they_repeat(tmp_path: Path):
    storage = MemoryStorage("context")
    parts = ["One two three four five.", "three four five. Six seven.", "Eight nine."]
    publish_documents(storage, {"a.txt": parts, "b.txt": ["Ten."]}, tmp_path)
    with Snapshot.open(storage, COLLECTION, channel="candidate") as snapshot:
        (alone,) = by_vector(snapshot, parts[1], k=1)
        (joined,) = by_vector(snapshot, parts[1], k=1, neighbours=1)
        (last,) = by_vector(snapshot, parts[2], k=1, neighbours=5)
    assert alone.context == ""
    assert joined.context == "One two three four five. Six seven.\nEight nine."
    assert last.context == joined.context


def test_deleted_rows_are_not_found_by_their_words(tmp_path: Path):
    storage = MemoryStorage("dead words")
    documents = {f"d{number}.txt": [f"common word{number}"] for number in range(40)}
    publish_documents(storage, documents, tmp_path, dead=range(39))
    with Snapshot.open(storage, COLLECTION, channel="candidate") as snapshot:
        assert by_words(snapshot, "common") == ["d39.txt"]
        assert by_words(snapshot, "word3") == []


def test_words_of_several_shards_are_weighed_together(tmp_path: Path):
    storage = MemoryStorage("several shards")
    many = {f"m{number}.txt": ["rare common common"] for number in range(9)}
    manifest = build_manifest(storage, many, tmp_path)
    small, _ = build_shard(storage, {"s.txt": ["common rare other words"]}, tmp_path)
    counts = replace(manifest.counts, chunks_live=10)
    log = commit_log(storage)
    both = replace(manifest, shards=(*manifest.shards, small), counts=counts)
    publish(storage, log, both, log.read())
    with Snapshot.open(storage, COLLECTION, channel="candidate") as snapshot:
        found = by_words(snapshot, "common", near_duplicates=True)
    assert set(found) == {*many, "s.txt"}
    assert found[-1] == "s.txt"  # by itself it would be the only one of its shard, and first


def test_a_version_without_lexical_indexes_is_searched_by_vectors(tmp_path: Path):
    storage = MemoryStorage("older")
    manifest = build_manifest(storage, {"a.txt": ["alpha"], "b/c.txt": ["gamma"]}, tmp_path)
    older = tuple(replace(entry, documents=None, lexical=None) for entry in manifest.shards)
    log = commit_log(storage)
    publish(storage, log, replace(manifest, shards=older), log.read())
    state = CommitLog(storage, COLLECTION).read()
    version = state.versions[state.channels["candidate"]]
    assert load_manifest(storage, version).shards[0].lexical is None
    with Snapshot.open(storage, COLLECTION, channel="candidate") as snapshot:
        options = SearchOptions()
        assert snapshot.retrieval_of(options) is Retrieval.DENSE
        asked = Question(text="gamma", vector=vector("alpha"))
        hits = snapshot.search(asked, options)
        below = snapshot.search(asked, SearchOptions(filter=DocumentFilter(path_prefix="b/")))
        french = snapshot.search(asked, SearchOptions(filter=DocumentFilter(languages=("fr",))))
        with pytest.raises(UsageError, match="has no lexical index.*compact --rebuild"):
            snapshot.search(asked, SearchOptions(retrieval=Retrieval.LEXICAL))
    assert [hit.uri for hit in hits] == ["a.txt", "b/c.txt"]
    assert [hit.uri for hit in below] == ["b/c.txt"]
    assert french == ()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"k": 0}, "k must be at least 1, found 0"),
        ({"per_document": 0}, "per_document must be at least 1"),
        ({"neighbours": -1}, "neighbours must be at least 0"),
        ({"min_score": 2.0}, r"min_score must be in \[-1, 1\], found 2.0"),
        ({"k": 9, "adaptive": AdaptiveK(good_score=0.5, most=8)}, "adaptive.most must be at least"),
        ({"recency": Recency(today="now")}, "recency.today must be a day"),
        ({"recency": Recency(today="2024-01-01", weight=0.0)}, r"weight must be in \(0, 1\]"),
    ],
)
def test_options_out_of_bounds_are_refused(fields: dict[str, object], message: str):
    with pytest.raises(UsageError, match=message):
        SearchOptions(**fields)
