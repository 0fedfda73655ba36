"""Rich Text Format: structure, code pages, and what no reader sees."""

from pathlib import Path

import pytest

from index_store.records import Reason
from tasks.stages.parsing.dispatch import parse_as
from tasks.stages.parsing.elements import ElementKind, ParsedDocument
from tasks.stages.parsing.outlook_rtf import unfold_rtf
from tasks.stages.parsing.refusal import ParseRefused
from tasks.stages.parsing.registry import parser_for
from tasks.stages.parsing.rtf import read_rtf


def _read(body: str, *, head: str = r"\ansi\ansicpg1252") -> ParsedDocument:
    return read_rtf(f"{{\\rtf1{head} {body}}}".encode("ascii"))


def _texts(parsed: ParsedDocument) -> list[str]:
    return [element.text for element in parsed.elements]


def test_headings_lists_and_paragraphs_are_told_apart():
    styles = r"{\stylesheet{\s0 Normal;}{\s1\outlinelevel0 Chapter;}{\s2 heading 2;}}"
    parsed = _read(
        styles + r"\pard\s1 One\par\pard\s2 Two\par\pard text\par"
        r"\pard\ls1{\listtext\'b7\tab}item\par\pard\ls1{\listtext 3.\tab}third\par"
    )

    assert [(e.kind, e.level, e.text) for e in parsed.elements] == [
        (ElementKind.HEADING, 1, "One"),
        (ElementKind.HEADING, 2, "Two"),
        (ElementKind.PARAGRAPH, 0, "text"),
        (ElementKind.LIST_ITEM, 0, "item"),
        (ElementKind.LIST_ITEM, 0, "3. third"),
    ]


def test_table_rows_carry_their_header():
    row = r"\trowd\cellx1\cellx2\pard\intbl {}\cell {}\cell\row"
    rows = "".join(row.format(*cells) for cells in [("name", "age"), ("Ada", "36"), ("Max", "7")])
    parsed = _read(rows + r"\pard after\par")

    assert [(e.text, e.header) for e in parsed.elements] == [
        ("name | age", ""),
        ("Ada | 36", "name | age"),
        ("Max | 7", "name | age"),
        ("after", ""),
    ]


def test_bytes_are_read_by_the_code_page_of_their_font():
    fonts = r"{\fonttbl{\f0\fcharset0 A;}{\f1\fcharset128 M;}{\f2\fcharset204 C;}}"
    parsed = _read(fonts + r"\f0\'e9t\'e9 \f1\'93\'fa\'96\'7b \f2\'ec\'e8\'f0\par")

    assert _texts(parsed) == ["été 日本 мир"]


def test_unicode_replaces_its_stand_in_and_halves_are_joined():
    parsed = _read(r"{\uc1\u8364 ?}5 {\uc2\u233 ab}c \u-10179 ?\u-8704 ?\par")

    assert _texts(parsed) == ["€5 éc \U0001f600"]


def test_hidden_deleted_and_silent_text_is_left_out():
    parsed = _read(
        r"{\header top}seen{\v hidden}{\deleted gone}{\*\unknown odd}{\pict 89504e47}"
        r"{\field{\*\fldinst HYPERLINK x}{\fldrslt link}}{\*\annotation remark}\bin3 abc\par"
    )

    assert _texts(parsed) == ["seenlink"]


def test_footnote_follows_its_paragraph_and_title_comes_from_the_document():
    parsed = _read(r"{\info{\title R\'e8gle}{\author X}}body{\footnote small print} goes on\par")

    assert _texts(parsed) == ["body goes on", "small print"]
    assert parsed.elements[1].kind is ElementKind.NOTE
    assert parsed.attributes.title == "Règle"


def test_text_cut_off_in_the_middle_is_kept():
    assert _texts(read_rtf(rb"{\rtf1\ansi one two\par three {\b fo")) == ["one two", "three fo"]


def test_nesting_without_end_is_refused():
    with pytest.raises(ParseRefused, match="nested") as caught:
        read_rtf(b"{\\rtf1 " + b"{" * 5000)

    assert caught.value.reason is Reason.TOO_LARGE


def test_word_document_that_is_rich_text_is_parsed_as_such(tmp_path: Path):
    path = tmp_path / "old.doc"
    path.write_bytes(rb"{\rtf1\ansi three plain words\par}")
    parsed = parse_as(path, parser_for(path.name))

    assert _texts(parsed) == ["three plain words"]
    assert parsed.warnings == ("named as doc, parsed as rtf",)
    assert parsed.attributes.media_type == "rtf"


def test_folded_rich_text_with_a_run_longer_than_its_own_distance_unfolds():
    # The example of MS-OXRTFCP, 2.2.3.2: a reference that reads what it writes.
    folded = bytes.fromhex("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0")

    assert unfold_rtf(folded) == rb"{\rtf1 WXYZWXYZWXYZWXYZWXYZ}"
