"""Word, presentations and spreadsheets: structure kept, bombs refused."""

import zipfile
from pathlib import Path

import openpyxl
import pytest

from index_store.records import Reason
from tasks.stages.parsing.dispatch import parse_as
from tasks.stages.parsing.elements import Element, ElementKind, ParsedDocument
from tasks.stages.parsing.parse_options import ParseOptions, under
from tasks.stages.parsing.refusal import ParseRefused
from tasks.stages.parsing.registry import parser_for
from tests.tasks.stages.parsing.builders import (
    cell,
    paragraph,
    write_docx,
    write_package,
    write_xlsx,
)

_DOCUMENTS = Path(__file__).parents[3] / "data" / "documents"
_SENTENCE = "every batch is checked before release"


def _parse(path: Path) -> ParsedDocument:
    return parse_as(path, parser_for(path.name))


def _texts(parsed: ParsedDocument) -> list[str]:
    return [element.text for element in parsed.elements]


def _refusal(path: Path) -> Reason:
    with pytest.raises(ParseRefused, match=r"\w") as caught:
        _parse(path)
    return caught.value.reason


def test_word_headings_follow_styles_through_their_ancestors(tmp_path: Path):
    body = paragraph("First", style="Titre1") + paragraph("Second", style="Own")
    path = write_docx(tmp_path / "a.docx", body + paragraph(_SENTENCE, style="Loop"))

    parsed = _parse(path)

    assert [element.level for element in parsed.elements] == [1, 1, 0]
    assert parsed.attributes.title == "First"


def test_word_takes_insertions_and_leaves_deletions(tmp_path: Path):
    body = (
        "<w:p><w:ins><w:r><w:t>every batch is </w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>never </w:delText></w:r></w:del>"
        "<w:r><w:t>checked</w:t></w:r></w:p>"
    )

    assert _texts(_parse(write_docx(tmp_path / "a.docx", body))) == ["every batch is checked"]


def test_word_leaves_what_it_does_not_show(tmp_path: Path):
    body = (
        "<w:p><w:r><w:t>every batch is </w:t></w:r>"
        "<w:r><w:rPr><w:vanish/></w:rPr><w:t>secretly </w:t></w:r>"
        '<w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>checked</w:t></w:r></w:p>'
    )

    assert _texts(_parse(write_docx(tmp_path / "a.docx", body))) == ["every batch is checked"]


def test_a_category_merged_over_rows_stands_in_each_of_them(tmp_path: Path):
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (
        ["Kind", "Name"],
        ["Fruit", "apple"],
        [None, "pear"],
        ["Root", "beet"],
        [None, None],
    ):
        sheet.append(row)
    sheet.merge_cells("A2:A3")
    sheet.merge_cells("A4:A5")
    book.save(tmp_path / "a.xlsx")

    texts = _texts(_parse(tmp_path / "a.xlsx"))

    assert texts == ["Kind | Name", "Fruit | apple", "Fruit | pear", "Root | beet"]


def test_hidden_sheets_are_read_when_that_is_asked_for(tmp_path: Path):
    book = openpyxl.Workbook()
    book.active.append(["one", "two", "three"])
    hidden = book.create_sheet("Hidden")
    hidden.sheet_state = "hidden"
    hidden.append(["four", "five", "six"])
    book.save(tmp_path / "a.xlsx")

    with under(ParseOptions(hidden_sheets=True)):
        assert _texts(_parse(tmp_path / "a.xlsx")) == ["one | two | three", "four | five | six"]
    parsed = _parse(tmp_path / "a.xlsx")
    assert _texts(parsed) == ["one | two | three"]
    assert parsed.warnings == ("hidden sheets were left out",)


def test_word_footnote_and_text_box_follow_their_paragraph(tmp_path: Path):
    box = (
        "<w:r><mc:AlternateContent><mc:Choice><w:txbxContent>"
        f"{paragraph('in a box')}</w:txbxContent></mc:Choice><mc:Fallback><w:txbxContent>"
        f"{paragraph('in a box')}</w:txbxContent></mc:Fallback></mc:AlternateContent></w:r>"
    )
    note = '<w:r><w:footnoteReference w:id="2"/></w:r>'
    body = paragraph(_SENTENCE, extra=box + note) + paragraph("the end")

    parsed = _parse(write_docx(tmp_path / "a.docx", body))

    assert _texts(parsed) == [_SENTENCE, "in a box", "a footnote", "the end"]
    assert parsed.elements[2].kind is ElementKind.NOTE


def test_strict_word_document_parses(tmp_path: Path):
    path = write_docx(tmp_path / "a.docx", paragraph(_SENTENCE), strict=True)

    assert _texts(_parse(path)) == [_SENTENCE]


def test_word_tables_keep_rows_and_repeat_the_header():
    parsed = _parse(_DOCUMENTS / "tables.docx")

    rows = [element for element in parsed.elements if element.kind is ElementKind.TABLE_ROW]
    assert rows[0].text == "Header 0.0 | Header 0.1 | Header 0.2"
    assert rows[0].header == ""
    assert rows[1].header == rows[0].text
    assert parsed.attributes.title == "Test with tables"


def test_slides_keep_their_numbers_and_tables():
    parsed = _parse(_DOCUMENTS / "cells.pptx")

    last = parsed.elements[-1]
    assert (last.text, last.slide, last.header) == ("g | h | i", 3, "a | b | c")


_STRICT = {
    "officeDocument/2006/extended-properties": "officeDocument/extendedProperties",
    "officeDocument/2006": "officeDocument",
    "presentationml/2006": "presentationml",
    "drawingml/2006": "drawingml",
}


def test_strict_presentation_reads_like_a_transitional_one(tmp_path: Path):
    usual = _DOCUMENTS / "diagram.pptx"
    parts: dict[str, str | bytes] = {}
    with zipfile.ZipFile(usual) as archive:
        for name in archive.namelist():
            data = archive.read(name)
            for old, new in _STRICT.items():
                old_name = f"http://schemas.openxmlformats.org/{old}/".encode()
                data = data.replace(old_name, f"http://purl.oclc.org/ooxml/{new}/".encode())
            parts[name] = data
    strict = write_package(tmp_path / "strict.pptx", parts)

    assert b"purl.oclc.org" in zipfile.ZipFile(strict).read("ppt/presentation.xml")
    assert _parse(strict) == _parse(usual)


def test_show_reads_like_a_presentation(tmp_path: Path):
    usual = _DOCUMENTS / "cells.pptx"
    with zipfile.ZipFile(usual) as archive:
        parts: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    types = bytes(parts["[Content_Types].xml"])
    parts["[Content_Types].xml"] = types.replace(b"presentation.main+xml", b"slideshow.main+xml")
    show = write_package(tmp_path / "show.ppsx", parts)

    assert parts["[Content_Types].xml"] != types
    assert _parse(show).elements == _parse(usual).elements


def test_text_of_a_diagram_is_found():
    assert "VP - Marketing" in _texts(_parse(_DOCUMENTS / "diagram.pptx"))


def test_sheet_rows_keep_number_and_header_below_a_title():
    parsed = _parse(_DOCUMENTS / "titled.xlsx")

    assert parsed.elements[2] == Element(
        kind=ElementKind.TABLE_ROW,
        text="2019 | 120",
        sheet="Duck Observations",
        row=5,
        header="Year | Freshwater Ducks",
    )


def test_dates_of_the_1904_system_come_out_as_dates():
    assert _texts(_parse(_DOCUMENTS / "dates.xls"))[0] == "2021-01-01 | 15"


def test_every_visible_sheet_is_read(tmp_path: Path):
    rows = f'<row r="1">{cell("A1", _SENTENCE)}</row>'
    states = ("visible", "hidden", "visible", "veryHidden")

    parsed = _parse(write_xlsx(tmp_path / "a.xlsx", rows, states=states))

    assert [element.sheet for element in parsed.elements] == ["S1", "S3"]
    assert parsed.warnings == ("hidden sheets were left out",)


def test_cells_at_the_far_corner_cost_nothing(tmp_path: Path):
    first = f'<row r="1">{cell("A1", _SENTENCE)}</row>'
    last = f'<row r="1048576">{cell("XFD1048576", "end")}</row>'

    parsed = _parse(write_xlsx(tmp_path / "a.xlsx", first + last))

    assert [(element.text, element.row) for element in parsed.elements] == [
        (_SENTENCE, 1),
        ("end", 1048576),
    ]


def test_formulas_stand_in_when_no_values_were_stored(tmp_path: Path):
    rows = '<row r="1"><c r="A1"><f>SUM(stock,orders,returns)</f></c></row>'

    assert _texts(_parse(write_xlsx(tmp_path / "a.xlsx", rows))) == ["=SUM(stock,orders,returns)"]


@pytest.mark.parametrize("name", ["password.xls", "password.xlsx"])
def test_protected_workbook_is_encrypted(name: str):
    assert _refusal(_DOCUMENTS / name) is Reason.ENCRYPTED


@pytest.mark.parametrize("extension", ["docx", "xlsx", "pptx"])
def test_bomb_is_refused_before_it_unfolds(tmp_path: Path, extension: str):
    folder = {"docx": "word", "xlsx": "xl", "pptx": "ppt"}[extension]
    bomb = {"[Content_Types].xml": "<Types/>", f"{folder}/filler.xml": bytes(300 << 20)}

    assert _refusal(write_package(tmp_path / f"a.{extension}", bomb)) is Reason.TOO_LARGE


@pytest.mark.parametrize("name", ["tables.docx", "cells.pptx", "titled.xlsx", "dates.xls"])
def test_document_cut_in_half_is_corrupt(tmp_path: Path, name: str):
    data = (_DOCUMENTS / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: len(data) // 2])

    assert _refusal(path) in (Reason.CORRUPT, Reason.UNSUPPORTED)


def test_entities_from_outside_are_not_read(tmp_path: Path):
    secret = tmp_path / "secret.txt"
    secret.write_text("canary words leaked")
    document = (
        f'<!DOCTYPE d [<!ENTITY x SYSTEM "{secret.as_uri()}">]>'
        '<w:document xmlns:w="urn:w"><w:body><w:p><w:r><w:t>&x; three plain words</w:t></w:r></w:p>'
        "</w:body></w:document>"
    )

    path = write_docx(tmp_path / "a.docx", "", parts={"word/document.xml": document})

    assert _refusal(path) is Reason.CORRUPT


def test_deep_nesting_is_refused_without_a_crash(tmp_path: Path):
    body = "<w:sdt>" * 5000 + "</w:sdt>" * 5000

    assert _refusal(write_docx(tmp_path / "a.docx", body)) is Reason.TOO_LARGE


def test_zip_without_content_types_is_corrupt(tmp_path: Path):
    path = write_package(tmp_path / "a.docx", {"word/document.xml": "<d/>"})

    assert _refusal(path) is Reason.CORRUPT
