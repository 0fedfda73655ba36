from collections.abc import Sequence
from itertools import pairwise

import pytest

from index_store.embedders.hashing import PieceTokenizer
from index_store.errors import UsageError
from index_store.records import Chunk
from tasks.stages.chunking.chunker import chunk_document
from tasks.stages.chunking.options import ChunkOptions, chunker_identity
from tasks.stages.parsing.elements import Element, ElementKind, ParsedDocument

TOKENIZER = PieceTokenizer()
SMALL = ChunkOptions(max_tokens=64, overlap_tokens=16, min_chars=0)


def heading(text: str, level: int = 1, page: int | None = None, slide: int | None = None):
    return Element(kind=ElementKind.HEADING, text=text, level=level, page=page, slide=slide)


def paragraph(text: str, page: int | None = None, slide: int | None = None):
    return Element(kind=ElementKind.PARAGRAPH, text=text, page=page, slide=slide)


def row(number: int, text: str, header: str = "", sheet: str | None = "Data"):
    return Element(kind=ElementKind.TABLE_ROW, text=text, row=number, header=header, sheet=sheet)


def chunks(elements: Sequence[Element], options: ChunkOptions = SMALL) -> list[Chunk]:
    return chunk_document(ParsedDocument(elements=tuple(elements)), options, TOKENIZER)


def sentences(subject: str, count: int) -> str:
    return " ".join(
        f"The {subject} number {n} is described here in a few words." for n in range(count)
    )


def test_short_document_is_one_chunk_as_a_person_would_read_it():
    (chunk,) = chunks([heading("Title"), paragraph("First."), paragraph("Second one.")])
    assert chunk.text == "Title\nFirst.\nSecond one."
    assert chunk.tokens == 6
    assert chunk.citation.section == ("Title",)


def test_fragments_are_dropped_beside_longer_chunks_only():
    options = ChunkOptions(max_tokens=64, overlap_tokens=16, min_chars=50)
    pages = [paragraph("7", page=1), paragraph(sentences("apple", 2), page=2)]
    assert [chunk.citation.page for chunk in chunks(pages, options)] == [2]
    assert [chunk.text for chunk in chunks([paragraph("Closed on Mondays.")], options)] == [
        "Closed on Mondays."
    ]


def test_an_ideograph_says_as_much_as_two_letters():
    options = ChunkOptions(max_tokens=64, overlap_tokens=16, min_chars=50)
    japanese = "図書館は毎週月曜日に閉まります。返却は入口の箱へ。"
    assert len(japanese) < 50
    pages = [paragraph(japanese, page=1), paragraph(sentences("apple", 2), page=2)]
    assert [chunk.citation.page for chunk in chunks(pages, options)] == [1, 2]


def test_chunks_name_the_heading_path_that_holds_for_all_their_text():
    found = chunks(
        [
            heading("Book"),
            heading("One", 2),
            paragraph(sentences("apple", 4)),
            heading("Two", 2),
            paragraph(sentences("pear", 4)),
            heading("Appendix"),
            paragraph(sentences("plum", 4)),
        ]
    )
    for fruit, section in [
        ("apple", ("Book", "One")),
        ("pear", ("Book", "Two")),
        ("plum", ("Appendix",)),
    ]:
        assert {chunk.citation.section for chunk in found if fruit in chunk.text} == {section}


def test_small_sections_share_a_chunk_that_cites_from_the_first_to_the_last():
    (chunk,) = chunks(
        [
            heading("Book"),
            heading("One", 2),
            paragraph("An apple."),
            heading("Two", 2),
            paragraph("A pear."),
        ]
    )
    assert chunk.citation.section == ("Book", "One – Two")


def test_heading_stands_with_the_text_that_follows():
    elements = []
    for number in range(30):
        elements += [heading(f"Part {number}", 2), paragraph(sentences(f"thing{number}", 2))]
    for chunk in chunks(elements):
        last_line = chunk.text.splitlines()[-1]
        assert not last_line.startswith("Part ")


def test_heading_at_the_foot_of_a_page_goes_with_its_text():
    found = chunks(
        [
            paragraph("The end of the first chapter.", page=1),
            heading("Second chapter", page=1),
            paragraph("It begins on the next page.", page=2),
        ]
    )
    assert [(chunk.citation.page, chunk.text) for chunk in found] == [
        (1, "The end of the first chapter."),
        (2, "Second chapter\nIt begins on the next page."),
    ]


def test_document_of_headings_alone_is_kept():
    (chunk,) = chunks([heading("One"), heading("Two")])
    assert chunk.text == "One\nTwo"


def test_pages_slides_and_sheets_are_never_mixed():
    pages = [paragraph(f"Page {n} says this.", page=n) for n in (1, 2, 3)]
    assert [chunk.citation.page for chunk in chunks(pages)] == [1, 2, 3]
    slides = [paragraph(f"Slide {n} says this.", slide=n) for n in (1, 2)]
    assert [chunk.citation.slide for chunk in chunks(slides)] == [1, 2]
    sheets = [row(1, "a | b", sheet="One"), row(1, "c | d", sheet="Two")]
    assert [chunk.citation.sheet for chunk in chunks(sheets)] == ["One", "Two"]


def test_heading_path_lasts_over_pages_but_not_over_slides():
    pages = [heading("Chapter", page=1), paragraph("One.", page=1), paragraph("Two.", page=2)]
    assert [chunk.citation.section for chunk in chunks(pages)] == [("Chapter",), ("Chapter",)]
    slides = [heading("Title", slide=1), paragraph("One.", slide=1), paragraph("Two.", slide=2)]
    assert [chunk.citation.section for chunk in chunks(slides)] == [("Title",), ()]


def test_every_chunk_of_a_table_begins_with_the_header_and_cites_its_rows():
    header = "name | city | amount"
    rows = [row(1, header)]
    rows += [row(n, f"person{n} | town{n} | {n * 10}", header) for n in range(2, 60)]
    found = chunks(rows)
    assert len(found) > 5
    next_row = 1
    for chunk in found:
        lines = chunk.text.splitlines()
        assert lines[0] == header
        assert header not in lines[1:]
        assert chunk.citation.row_start == next_row
        next_row = chunk.citation.row_end
        cited = range(max(2, chunk.citation.row_start), next_row)
        assert lines[1:] == [f"person{n} | town{n} | {n * 10}" for n in cited]
    assert next_row == 60


def test_header_that_is_no_row_is_repeated_too():
    found = chunks([row(n, f"some longer value {n} | {n}", "text | number") for n in range(2, 40)])
    assert all(chunk.text.startswith("text | number\n") for chunk in found)


def test_giant_header_is_kept_once_and_repeated_in_part():
    header = " | ".join(f"column{n}" for n in range(60))
    found = chunks([row(n, f"value {n} and some more words", header) for n in range(2, 30)])
    together = "\n".join(chunk.text for chunk in found)
    assert "column59" in together
    assert all(chunk.tokens <= SMALL.max_tokens for chunk in found)
    assert found[-1].text.startswith("column0 | column1")


def test_two_tables_keep_their_own_headers():
    found = chunks([row(1, "x | y", "a | b", None), row(2, "z | w", "c | d", None)])
    assert [chunk.text for chunk in found] == ["a | b\nx | y\nc | d\nz | w"]


def test_long_row_is_cut_and_keeps_citing_itself():
    found = chunks([row(7, "word " * 300, "a | b")])
    assert len(found) > 4
    for chunk in found:
        assert (chunk.citation.row_start, chunk.citation.row_end) == (7, 8)
        assert chunk.text.startswith("a | b\n")


def test_consecutive_chunks_share_whole_sentences():
    found = chunks([paragraph(sentences("apple", 60))])
    assert len(found) > 5
    shared = 0
    for before, after in pairwise(found):
        first = after.text.split(". ")[0].rstrip(".")
        shared += first in before.text
        assert after.text.startswith("The apple number")
    assert shared == len(found) - 1


def test_no_overlap_when_it_is_turned_off():
    options = ChunkOptions(max_tokens=64, overlap_tokens=0, min_chars=0)
    text = sentences("apple", 60)
    found = chunks([paragraph(text)], options)
    assert " ".join(chunk.text for chunk in found) == text


def test_short_chunks_are_dropped_at_the_limit():
    page = [paragraph("x" * 49, page=1), paragraph("y" * 50, page=2)]
    found = chunks(page, ChunkOptions())
    assert [chunk.citation.page for chunk in found] == [2]
    assert len(chunks(page, ChunkOptions(min_chars=0))) == 2


def test_code_keeps_its_lines_and_indentation():
    code = "def f(x):\n    if x:\n        return 1\n\n    return 2"
    (chunk,) = chunks([Element(kind=ElementKind.CODE, text=code)])
    assert chunk.text == code


def test_sentences_are_not_cut_inside_when_they_fit():
    found = chunks([paragraph(sentences("apple", 200))])
    assert all(chunk.text.endswith("words.") for chunk in found)


def test_chunks_are_well_filled():
    elements = [paragraph(sentences(f"thing{n}", 1 + n % 7)) for n in range(400)]
    found = chunks(elements, ChunkOptions())
    assert sum(chunk.tokens for chunk in found) / len(found) >= 0.6 * 512


def test_options_are_checked():
    with pytest.raises(UsageError, match="chunk size: 31 tokens is below 32"):
        ChunkOptions(max_tokens=31)
    with pytest.raises(UsageError, match=r"chunk overlap: 300 tokens is not in \[0, 256\]"):
        ChunkOptions(overlap_tokens=300)
    with pytest.raises(UsageError, match="chunk overlap: -1"):
        ChunkOptions(overlap_tokens=-1)
    with pytest.raises(UsageError, match="shortest chunk: -1"):
        ChunkOptions(min_chars=-1)


def test_identity_names_everything_that_moves_a_cut():
    plain = chunker_identity(ChunkOptions(), "pieces")
    others = [
        chunker_identity(ChunkOptions(max_tokens=500), "pieces"),
        chunker_identity(ChunkOptions(overlap_tokens=32), "pieces"),
        chunker_identity(ChunkOptions(min_chars=10), "pieces"),
        chunker_identity(ChunkOptions(), "others"),
    ]
    assert len({plain, *others}) == 5
    assert plain == chunker_identity(ChunkOptions(), "pieces")
