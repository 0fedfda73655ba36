"""Numbers that Word writes before paragraphs and does not store."""

from pathlib import Path

import pytest

from tasks.stages.parsing.dispatch import parse_as
from tasks.stages.parsing.elements import ElementKind
from tasks.stages.parsing.registry import parser_for
from tests.tasks.stages.parsing.builders import (
    list_item,
    list_level,
    paragraph,
    write_numbered_docx,
)

LEGAL = (
    '<w:abstractNum w:abstractNumId="7">'
    + list_level(0, "upperRoman", "Titre %1")
    + list_level(1, "decimal", "%1.%2", extra="<w:isLgl/>")
    + list_level(2, "lowerLetter", "%3)")
    + "</w:abstractNum>"
    + '<w:abstractNum w:abstractNumId="8">'
    + list_level(0, "bullet", "\u2022")
    + "</w:abstractNum>"
    + '<w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num>'
    + '<w:num w:numId="2"><w:abstractNumId w:val="8"/></w:num>'
    + '<w:num w:numId="3"><w:abstractNumId w:val="7"/><w:lvlOverride w:ilvl="2">'
    + '<w:startOverride w:val="4"/></w:lvlOverride></w:num>'
)


def texts(path: Path, body: str, numbering: str = LEGAL, styles: str = "") -> list[str]:
    write_numbered_docx(path / "a.docx", body, numbering, styles)
    return [each.text for each in parse_as(path / "a.docx", parser_for("a.docx")).elements]


def test_numbers_count_restart_and_join_the_levels_above(tmp_path: Path):
    body = (
        list_item("le temps", 1)
        + list_item("durée du travail", 1, 1)
        + list_item("le jour", 1, 2)
        + list_item("la nuit", 1, 2)
        + list_item("congés payés", 1, 1)
        + list_item("le mois", 1, 2)
        + list_item("", 1)
        + list_item("la paie", 1, 1)
    )
    assert texts(tmp_path, body) == [
        "Titre I le temps",
        "1.1 durée du travail",
        "a) le jour",
        "b) la nuit",
        "1.2 congés payés",
        "a) le mois",
        "2.1 la paie",
    ]


def test_a_list_may_go_on_from_another_number(tmp_path: Path):
    body = list_item("one of three", 1, 2) + list_item("four is the first", 3, 2)
    assert texts(tmp_path, body) == ["a) one of three", "d) four is the first"]


def test_bullets_and_unknown_lists_have_no_number(tmp_path: Path):
    body = list_item("a point of three", 2) + list_item("no such list", 99)
    assert texts(tmp_path, body) == ["a point of three", "no such list"]


def test_headings_are_numbered_by_their_style(tmp_path: Path):
    numbering = (
        '<w:abstractNum w:abstractNumId="1">'
        + list_level(0, "decimal", "Article %1", extra='<w:pStyle w:val="Titre1"/>')
        + list_level(1, "decimal", "%1.%2.", extra='<w:pStyle w:val="Sub"/>')
        + '</w:abstractNum><w:num w:numId="5"><w:abstractNumId w:val="1"/></w:num>'
    )
    listed = '<w:pPr><w:numPr><w:numId w:val="5"/></w:numPr></w:pPr>'
    styles = (
        f'<w:style w:styleId="Art"><w:basedOn w:val="Titre1"/>{listed}</w:style>'
        f'<w:style w:styleId="Sub"><w:name w:val="heading 2"/>{listed}</w:style>'
    )
    body = (
        paragraph("Objet", style="Art")
        + paragraph("Durée", style="Sub")
        + paragraph("Le contrat dure un an.")
        + paragraph("Prix", style="Art")
    )
    write_numbered_docx(tmp_path / "a.docx", body, numbering, styles)
    found = parse_as(tmp_path / "a.docx", parser_for("a.docx")).elements
    assert [(each.kind, each.level, each.text) for each in found] == [
        (ElementKind.HEADING, 1, "Article 1 Objet"),
        (ElementKind.HEADING, 2, "1.1. Durée"),
        (ElementKind.PARAGRAPH, 0, "Le contrat dure un an."),
        (ElementKind.HEADING, 1, "Article 2 Prix"),
    ]


def test_rows_that_are_numbered_by_a_list_show_their_number(tmp_path: Path):
    numbered = list_item("", 1, 2)
    row = "<w:tr><w:tc>{}</w:tc><w:tc>{}</w:tc></w:tr>"
    body = "<w:tbl>" + "".join(
        row.format(numbered, paragraph(text)) for text in ("first thing", "second thing")
    )
    assert texts(tmp_path, body + "</w:tbl>") == ["a) | first thing", "b) | second thing"]


@pytest.mark.parametrize(
    ("form", "count", "label"),
    [
        ("lowerRoman", 14, "xiv"),
        ("upperLetter", 28, "BB"),
        ("decimalZero", 3, "03"),
        ("cardinalText", 3, "3"),
    ],
)
def test_forms_of_numbers(tmp_path: Path, form: str, count: int, label: str):
    numbering = (
        f'<w:abstractNum w:abstractNumId="1">{list_level(0, form, "%1.")}</w:abstractNum>'
        '<w:num w:numId="5"><w:abstractNumId w:val="1"/></w:num>'
    )
    body = list_item("some more words", 5) * count
    assert texts(tmp_path, body, numbering)[-1] == f"{label}. some more words"
