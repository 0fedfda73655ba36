"""Articles and numbered clauses become section paths."""

import pytest

from index_store.embedders.hashing import PieceTokenizer
from tasks.stages.chunking.chunker import chunk_document
from tasks.stages.chunking.clauses import Clause, enter, find_clause
from tasks.stages.chunking.options import ChunkOptions
from tasks.stages.parsing.elements import Element, ElementKind, ParsedDocument

LONG = " The employee is entitled to leave for every month of work that was done in the year." * 3


def paragraph(text: str) -> Element:
    return Element(kind=ElementKind.PARAGRAPH, text=text)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Article 2.9" + LONG, "Article 2.9"),
        ("Article 2.9 – Leave", "Article 2.9 – Leave"),
        ("Article L. 1221-19 du code du travail." + LONG, "Article L. 1221-19"),
        ("Art. R1232-1 bis" + LONG, "Art. R1232-1 bis"),
        ("Article premier" + LONG, "Article premier"),
        ("§ 4" + LONG, "§ 4"),
        ("§ 4a Leave", "§ 4a Leave"),
        ("2.9 Leave" + LONG, "2.9"),
        ("2.9.1. Leave", "2.9.1. Leave"),
        ("1.2.3) «Leave» is time off" + LONG, "1.2.3"),
        ("Chapitre III : Le personnel", "Chapitre III : Le personnel"),
        ("ANNEXE 1", "ANNEXE 1"),
        ("Titre Ier", "Titre Ier"),
    ],
)
def test_a_clause_is_known_by_how_it_begins(text: str, title: str):
    found = find_clause(paragraph(text))
    assert found is not None
    assert found.title == title


@pytest.mark.parametrize(
    "text",
    [
        "3.5 millions of people",
        "The article 2.9 says",
        "Articles of faith",
        "Part of the work is done",
        "12.05.2024 Meeting",
        "1. First of all",
        "Section by section",
        "Chapitre III" + LONG,
        "Titled 3",
    ],
)
def test_what_only_looks_like_a_clause_is_none(text: str):
    assert find_clause(paragraph(text)) is None


def test_rows_and_headings_open_no_clause():
    for kind in (ElementKind.TABLE_ROW, ElementKind.HEADING, ElementKind.CODE):
        assert find_clause(Element(kind=kind, text="2.9 Leave", level=1)) is None


def test_a_clause_stands_under_those_that_its_number_begins_with():
    def titles(*texts: str) -> list[str]:
        path: tuple[Clause, ...] = ()
        for text in texts:
            clause = find_clause(paragraph(text))
            assert clause is not None
            path = enter(path, clause)
        return [each.title for each in path]

    assert titles("Chapitre I", "Article 2", "2.9 Leave", "2.9.1 Days") == [
        "Chapitre I",
        "Article 2",
        "2.9 Leave",
        "2.9.1 Days",
    ]
    assert titles("2.9 Leave", "2.10 Pay") == ["2.10 Pay"]
    assert titles("2.9 Leave", "3.1.1 Pay") == ["3.1.1 Pay"]
    assert titles("Article 2", "Article 3") == ["Article 3"]
    assert titles("Article 2", "Section 3") == ["Section 3"]


def test_chunks_cite_the_article_that_they_stand_in():
    heading = Element(kind=ElementKind.HEADING, text="Contract", level=1)
    articles = [
        paragraph(f"Article {number}. The rule number {number} is this." + LONG)
        for number in range(1, 5)
    ]
    elements = (heading, *articles)
    options = ChunkOptions(max_tokens=80, overlap_tokens=0, min_chars=0)
    found = chunk_document(ParsedDocument(elements=elements), options, PieceTokenizer())
    cited = {chunk.citation.section for chunk in found}
    assert cited == {("Contract", f"Article {number}") for number in range(1, 5)}


def test_a_chunk_over_several_clauses_cites_from_the_first_to_the_last():
    clauses = [
        paragraph(f"Article {part}.{n} Each party keeps rule {part * n}.")
        for part in (1, 2, 3)
        for n in range(1, 12)
    ]
    options = ChunkOptions(max_tokens=64, overlap_tokens=0, min_chars=0)
    found = chunk_document(ParsedDocument(elements=tuple(clauses)), options, PieceTokenizer())
    assert len(found) > 3
    for chunk in found:
        lines = chunk.text.splitlines()
        assert len(lines) > 1
        assert chunk.citation.section == (f"{lines[0].rstrip('.')}. – {lines[-1].rstrip('.')}.",)


def test_a_range_of_clauses_stands_below_what_they_share():
    heading = Element(kind=ElementKind.HEADING, text="Contract", level=1)
    clauses = [paragraph(f"Article {number}. Rule.") for number in (1, 2, 3)]
    options = ChunkOptions(min_chars=0)
    parsed = ParsedDocument(elements=(heading, *clauses))
    (chunk,) = chunk_document(parsed, options, PieceTokenizer())
    assert chunk.citation.section == ("Contract", "Article 1. Rule. – Article 3. Rule.")
    preamble = paragraph("Between the parties.")
    parsed = ParsedDocument(elements=(heading, preamble, *clauses))
    (chunk,) = chunk_document(parsed, options, PieceTokenizer())
    assert chunk.citation.section == ("Contract",)


def test_a_heading_ends_the_clauses_before_it():
    heading = Element(kind=ElementKind.HEADING, text="Annex", level=1)
    elements = (paragraph("Article 1. Rule." + LONG), heading, paragraph("Text." + LONG))
    options = ChunkOptions(max_tokens=80, overlap_tokens=0, min_chars=0)
    found = chunk_document(ParsedDocument(elements=elements), options, PieceTokenizer())
    assert found[-1].citation.section == ("Annex",)
