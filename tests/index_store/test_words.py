"""Searches by words: numbers of clauses, articles and parts, and scripts without spaces."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index_store.attributes import DocumentAttributes
from index_store.lexical.analysis import ANALYSES, FIRST_ANALYSIS, words_of
from index_store.lexical.engine import plain_words
from index_store.lexical.numbers import asked_numbers, indexed_numbers
from index_store.lexical.questions import question_words
from index_store.publisher import publish
from index_store.search_options import Question, Retrieval, SearchOptions
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

CONTRACT = {
    "contents.txt": [
        "Contents. Article 2.1 Definitions. Article 2.8 Delivery. Article 2.9 Warranty. "
        "Article 2.10 Liability. Article 3.11.4 Notices."
    ],
    "2.8.txt": ["2.8 Delivery\nThe goods are delivered within 9 days, in 2 lots, see Article 2.9."],
    "2.9.txt": ["2.9 Warranty\nThe seller answers for hidden defects for two years."],
    "2.9.1.txt": ["2.9.1 Exceptions\nWear is no defect."],
    "2.10.txt": ["2.10 Liability\nLiability is limited to the price; Article 2.9 stays in force."],
    "3.11.4.txt": ["3.11.4 Notices\nNotices are given in writing."],
    "figures.txt": ["Table 2: 9 of 11 lots, 2 of 9 samples, 4 of 9 days, 2 and 9, 9 and 2."],
    "code.txt": ["Le contrat de travail est régi par l'article L. 121-3 du code du travail."],
    "code-2.txt": ["Le salaire est régi par l'article L. 121-4 et par 3 décrets, tome 121."],
    "part.txt": ["Order number AB-12/3: hinge, left, galvanised."],
    "part-2.txt": ["Order number AB-13/2: hinge, right; 12 screws, 3 washers."],
    "release.txt": ["Release v4.10.2-rc1 mends a leak."],
    "release-2.txt": ["Release v4.2.10 mends 1 leak and 10 others."],
    "lease.txt": ["§ 4 Kündigung\nDie Frist beträgt drei Monate."],
    "lease-2.txt": ["§ 5 Kaution\nDie Kaution beträgt 4 Monatsmieten, mindestens 4 Wochen."],
    "annex.txt": ["ANNEXE II\nListe des pièces."],
    "annex-3.txt": ["ANNEXE III\nAutres pièces, voir tome II."],
    "nda-4.txt": ["Article 4\nThe obligations end after five years."],
    "nda-5.txt": ["Article 5\nFour copies, 4 pages each, 4 signatures; article 6 applies."],
}
LEAVE = "劳动者连续工作一年以上的,享受带薪年休假。"
NOTICE = "用人单位解除劳动合同,应当提前三十日书面通知劳动者。"
PAID = "使用者は、六か月間継続勤務した労働者に対して、十労働日の有給休暇を与えなければならない。"
RULES = "常時十人以上の労働者を使用する使用者は、就業規則を作成しなければならない。"
WAGE = "사용자는 근로자에게 매월 1회 이상 일정한 날짜를 정하여 임금을 지급하여야 한다."
DISMISSAL = "사용자는 근로자를 해고하려면 적어도 30일 전에 예고를 하여야 한다."
THAI = "ลูกจ้างซึ่งทำงานติดต่อกันมาแล้วครบหนึ่งปีมีสิทธิหยุดพักผ่อนประจำปี"
EASTERN = {
    "zh/leave.txt": [LEAVE],
    "zh/notice.txt": [NOTICE],
    "ja/paid.txt": [PAID],
    "ja/rules.txt": [RULES],
    "ko/wage.txt": [WAGE],
    "ko/dismissal.txt": [DISMISSAL],
    "th/leave.txt": [THAI],
    "en/leave.txt": ["Employees have a right to annual leave."],
}


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory: pytest.TempPathFactory):
    """A version of each way of analysis, and one of both."""
    opened: dict[str, Snapshot] = {}
    folder = tmp_path_factory.mktemp("words")
    for documents, name in ((CONTRACT, "numbers"), (EASTERN, "eastern")):
        storage = MemoryStorage(name)
        known = {
            uri: DocumentAttributes(language=uri[:2]) for uri in documents if documents is EASTERN
        }
        publish_documents(storage, documents, folder, attributes=known)
        opened[name] = Snapshot.open(storage, COLLECTION, channel="candidate")
    yield opened
    for each in opened.values():
        each.close()


def found(snapshot: Snapshot, text: str, retrieval: Retrieval = Retrieval.LEXICAL) -> list[str]:
    options = SearchOptions(k=20, retrieval=retrieval)
    hits = snapshot.search(Question(text=text, vector=vector("elsewhere")), options)
    return [hit.uri.removesuffix(".txt") for hit in hits]


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("Article 2.9", "2.9"),
        ("What does clause 2.9 say?", "2.9"),
        ("2.9", "2.9"),
        ("２．９", "2.9"),
        ("article 2.10", "2.10"),
        ("art. 3.11.4", "3.11.4"),
        ("article L.121-3", "code"),
        ("l'article L121-3 du code", "code"),
        ("article L. 121‑3", "code"),
        ("121-3", "code"),
        ("AB-12/3", "part"),
        ("ab 12/3", "part"),
        ("AB12/3", "part"),
        ("version 4.10.2", "release"),
        ("v4.10.2-rc1", "release"),
        ("v4.2.10", "release-2"),
        ("§ 4", "lease"),
        ("§4", "lease"),
        ("Article 4", "nda-4"),
        ("annexe II", "annex"),
    ],
)
@pytest.mark.parametrize("retrieval", [Retrieval.LEXICAL, Retrieval.HYBRID])
def test_what_has_the_number_comes_first(
    snapshots: Mapping[str, Snapshot], question: str, first: str, retrieval: Retrieval
):
    assert found(snapshots["numbers"], question, retrieval)[0] == first


def test_a_number_finds_who_refers_to_it_and_what_is_below_it_too(
    snapshots: Mapping[str, Snapshot],
):
    uris = found(snapshots["numbers"], "2.9")
    assert {"2.9.1", "2.10", "2.8", "contents"} <= set(uris[:5])
    assert uris.index("figures") > uris.index("2.10")  # its parts only


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("带薪年休假", "zh/leave"),
        ("解除劳动合同要提前多少天通知?", "zh/notice"),
        ("假", "zh/leave"),
        ("有給休暇は何日ですか", "ja/paid"),
        ("就業規則", "ja/rules"),
        ("임금은 언제 지급합니까?", "ko/wage"),
        ("해고 예고", "ko/dismissal"),
        ("해고를 예고", "ko/dismissal"),
        ("พักผ่อนประจำปี", "th/leave"),
        ("annual leave", "en/leave"),
    ],
)
def test_scripts_without_spaces_are_found_by_their_words(
    snapshots: Mapping[str, Snapshot], question: str, first: str
):
    assert found(snapshots["eastern"], question)[0] == first


def test_other_widths_and_forms_of_letters_are_the_same(snapshots: Mapping[str, Snapshot]):
    assert words_of("ﾃﾞｰﾀ", "") == words_of("データ", "")
    assert words_of("e\u0301te\u0301", "fr") == words_of("été", "fr")
    assert found(snapshots["eastern"], "有給") == found(snapshots["eastern"], "有給\u3000")


def test_shards_of_an_older_analysis_are_searched_beside_new_ones(tmp_path: Path):
    storage = MemoryStorage("older")
    manifest = build_manifest(storage, {"new.txt": ["2.9 Warranty"]}, tmp_path)
    older = {"old.txt": ["2.9 Guarantee of the seller"], "other.txt": ["劳动合同", "9 sellers"]}
    old, _ = build_shard(storage, older, tmp_path, analysis=FIRST_ANALYSIS)
    both = replace(
        manifest,
        shards=(*manifest.shards, old),
        counts=replace(manifest.counts, chunks_live=4),
    )
    log = commit_log(storage)
    publish(storage, log, both, log.read())
    with Snapshot.open(storage, COLLECTION, channel="candidate") as snapshot:
        assert found(snapshot, "2.9")[:2] == ["new", "old"]
        assert found(snapshot, "guarantee") == ["old"]
        assert found(snapshot, "劳动合同") == ["other"]  # as it was: the whole run alone


def test_headings_mark_the_rows_of_their_clause():
    assert "^2.9" in indexed_numbers("It lasts two years.", ("2 Sale", "2.9 Warranty", "Notes"))
    assert "^2" not in indexed_numbers("It lasts two years.", ("2 Sale", "2.9 Warranty"))
    assert "^4" in indexed_numbers("It lasts.", ("4. Duration",))
    assert indexed_numbers("It lasts two years.", ("Duration of 4 years",)) == []
    assert "^2.9" not in indexed_numbers("See 2.9 for more.\nUnder Article 2.9 it is.")


def test_words_of_a_question_stay_beside_its_numbers():
    asked = asked_numbers("symptoms of covid-19 under Article 2.9")
    assert asked.rest.split() == ["symptoms", "of", "covid", "under", "Article"]
    assert set(asked.whole) == {"covid19", "2.9", "^2.9"}
    words = question_words("symptoms of covid-19", ("en",))
    assert words["covid"] == words["symptom"] == 1.0
    assert words["19"] < 1.0


@given(st.text(), st.sampled_from(("", "en", "fr")))
def test_any_text_is_found_by_its_own_words(text: str, language: str):
    """What a question looks up at full weight is among the words of a row with the same text."""
    for analysis in ANALYSES:
        row = set(words_of(text, language, analysis=analysis))
        asked = {
            word
            for word, weight in question_words(text, (language,), (analysis,)).items()
            if weight >= 1.0 and not word.startswith("^")
        }
        assert asked <= row
        assert not any(char.isspace() for word in row for char in word)


@given(st.text(alphabet="aé lL.12-/§:^\n"))
def test_the_first_analysis_is_what_it_was(text: str):
    assert words_of(text, "fr", analysis=FIRST_ANALYSIS) == plain_words(text, "fr")
    assert set(plain_words(text, "fr")) <= set(words_of(text, "fr"))
