"""OpenDocument texts, presentations and spreadsheets."""

from pathlib import Path

import pytest

from index_store.records import Reason
from tasks.stages.parsing.dispatch import parse_as
from tasks.stages.parsing.elements import ElementKind, ParsedDocument
from tasks.stages.parsing.refusal import ParseRefused
from tasks.stages.parsing.registry import parser_for
from tests.tasks.stages.parsing.builders import write_package

_KINDS = ("office", "text", "table", "style", "meta", "presentation")
_NAMES = " ".join(f'xmlns:{n}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"' for n in _KINDS)
_DRAWING = 'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"'
_DUBLIN = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'
_SPACES = f"{_NAMES} {_DRAWING} {_DUBLIN}"
_TYPES = {"odt": "text", "odp": "presentation", "ods": "spreadsheet"}


def _parse(
    tmp_path: Path, body: str, *, kind: str = "odt", styles: str = "", manifest: str = ""
) -> ParsedDocument:
    name = _TYPES[kind]
    path = write_package(
        tmp_path / f"document.{kind}",
        {
            "mimetype": f"application/vnd.oasis.opendocument.{name}",
            "META-INF/manifest.xml": f"<manifest>{manifest}</manifest>",
            "content.xml": f"<office:document-content {_SPACES}><office:automatic-styles>{styles}"
            f"</office:automatic-styles><office:body><office:{name}>{body}</office:{name}>"
            "</office:body></office:document-content>",
            "meta.xml": f"<office:document-meta {_SPACES}><office:meta><dc:title>Rules</dc:title>"
            "<dc:date>2026-02-03T10:00:00</dc:date><dc:language>fr-FR</dc:language>"
            "<meta:keyword>loans</meta:keyword></office:meta></office:document-meta>",
        },
    )
    return parse_as(path, parser_for(path.name))


def _seen(parsed: ParsedDocument) -> list[tuple[ElementKind, str]]:
    return [(element.kind, element.text) for element in parsed.elements]


def test_text_keeps_headings_lists_notes_and_boxes(tmp_path: Path):
    parsed = _parse(
        tmp_path,
        "<text:tracked-changes><text:p>deleted words here</text:p></text:tracked-changes>"
        '<text:h text:outline-level="2">Loans</text:h>'
        '<text:p>Three<text:s text:c="2"/>books<text:note><text:note-citation>1'
        "</text:note-citation><text:note-body><text:p>Not atlases.</text:p></text:note-body>"
        "</text:note>, <office:annotation><text:p>why?</text:p></office:annotation>no more."
        "<draw:frame><draw:text-box><text:p>In a box.</text:p></draw:text-box></draw:frame>"
        "</text:p>"
        "<text:list><text:list-item><text:p>first</text:p></text:list-item></text:list>"
        '<text:p text:style-name="P1">Big</text:p>',
        styles='<style:style style:name="P1" style:family="paragraph"'
        ' style:parent-style-name="Title"/>',
    )

    assert _seen(parsed) == [
        (ElementKind.HEADING, "Loans"),
        (ElementKind.PARAGRAPH, "Three books, no more."),
        (ElementKind.PARAGRAPH, "In a box."),
        (ElementKind.NOTE, "Not atlases."),
        (ElementKind.LIST_ITEM, "first"),
        (ElementKind.HEADING, "Big"),
    ]
    assert parsed.elements[0].level == 2


def test_document_tells_title_date_language_and_keywords(tmp_path: Path):
    attributes = _parse(tmp_path, "<text:p>three plain words</text:p>").attributes

    assert (attributes.title, attributes.date) == ("Rules", "2026-02-03")
    assert (attributes.language, attributes.keywords) == ("fr", ("loans",))


def test_table_of_a_text_becomes_rows_with_their_header(tmp_path: Path):
    cells = "<table:table-cell><text:p>{}</text:p></table:table-cell>" * 2
    rows = [("name", "age"), ("Ada", "36"), ("Max", "7")]
    body = "".join(f"<table:table-row>{cells.format(*row)}</table:table-row>" for row in rows)
    parsed = _parse(tmp_path, f"<table:table>{body}</table:table>")

    assert [e.text for e in parsed.elements] == ["name | age", "Ada | 36", "Max | 7"]
    assert parsed.elements[2].header == "name | age"


def test_slides_are_numbered_and_keep_their_notes(tmp_path: Path):
    box = '<draw:frame presentation:class="{}"><draw:text-box><text:p>{}</text:p></draw:text-box>'
    box += "</draw:frame>"
    slide = f"<draw:page>{box}{box}<presentation:notes>{box}</presentation:notes></draw:page>"
    parsed = _parse(
        tmp_path,
        slide.format("outline", "one point", "title", "First", "notes", "say it")
        + slide.format("title", "Second", "outline", "a point", "page-number", "2"),
        kind="odp",
    )

    assert [(e.slide, e.kind, e.text) for e in parsed.elements][:4] == [
        (1, ElementKind.HEADING, "First"),
        (1, ElementKind.PARAGRAPH, "one point"),
        (1, ElementKind.NOTE, "say it"),
        (2, ElementKind.HEADING, "Second"),
    ]


def test_sheet_rows_keep_number_name_and_dates(tmp_path: Path):
    parsed = _parse(
        tmp_path,
        '<table:table table:name="Plan"><table:table-row table:number-rows-repeated="4">'
        '<table:table-cell table:number-columns-repeated="16384"/></table:table-row>'
        "<table:table-header-rows><table:table-row><table:table-cell><text:p>task</text:p>"
        "</table:table-cell><table:table-cell><text:p>due</text:p></table:table-cell>"
        "</table:table-row></table:table-header-rows><table:table-row><table:table-cell>"
        '<text:p>paint</text:p></table:table-cell><table:table-cell office:value-type="date"'
        ' office:date-value="2026-03-01T00:00:00"><text:p>1 mars</text:p></table:table-cell>'
        "</table:table-row></table:table>"
        '<table:table table:name="Old" table:style-name="ta2"><table:table-row><table:table-cell>'
        "<text:p>secret</text:p></table:table-cell></table:table-row></table:table>",
        kind="ods",
        styles='<style:style style:name="ta2" style:family="table">'
        '<style:table-properties table:display="false"/></style:style>',
    )

    assert [(e.sheet, e.row, e.text, e.header) for e in parsed.elements] == [
        ("Plan", 5, "task | due", ""),
        ("Plan", 6, "paint | 2026-03-01", "task | due"),
    ]
    assert parsed.warnings == ("hidden sheets were left out",)


@pytest.mark.parametrize(
    "repeats",
    [
        'table:number-rows-repeated="1048576"><table:table-cell'
        ' table:number-columns-repeated="99">',
        '><table:table-cell table:number-columns-repeated="99999999">',
    ],
)
def test_cells_repeated_without_end_are_refused(tmp_path: Path, repeats: str):
    row = f"<table:table-row {repeats}<text:p>x</text:p></table:table-cell></table:table-row>"
    with pytest.raises(ParseRefused, match="cells") as caught:
        _parse(tmp_path, f"<table:table>{row}</table:table>", kind="ods")

    assert caught.value.reason is Reason.TOO_LARGE


def test_encrypted_document_is_refused_as_such(tmp_path: Path):
    with pytest.raises(ParseRefused, match="password") as caught:
        _parse(tmp_path, "", manifest="<file-entry><encryption-data/></file-entry>")

    assert caught.value.reason is Reason.ENCRYPTED
