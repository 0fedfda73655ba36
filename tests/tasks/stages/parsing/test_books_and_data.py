"""EPUB books, XML, JSON and notebooks."""

import json
from pathlib import Path

import pytest

from index_store.records import Reason
from tasks.stages.parsing.dispatch import parse_as
from tasks.stages.parsing.elements import ElementKind, ParsedDocument
from tasks.stages.parsing.refusal import ParseRefused
from tasks.stages.parsing.registry import parser_for
from tests.tasks.stages.parsing.builders import write_package

_PAGE = "<html><head><title>{}</title></head><body>{}</body></html>"


def _parse(tmp_path: Path, name: str, content: str | bytes) -> ParsedDocument:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return parse_as(path, parser_for(name))


def _refusal(tmp_path: Path, name: str, content: str) -> Reason:
    with pytest.raises(ParseRefused, match=r"\w") as caught:
        _parse(tmp_path, name, content)
    return caught.value.reason


def _seen(parsed: ParsedDocument) -> list[tuple[ElementKind, int, str]]:
    return [(element.kind, element.level, element.text) for element in parsed.elements]


def _book(tmp_path: Path, **parts: str) -> ParsedDocument:
    content: dict[str, str | bytes] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container><rootfile full-path="in/b.opf"/></container>',
        "in/b.opf": '<package xmlns:dc="d"><metadata><dc:title>Garden</dc:title><dc:language>en'
        '</dc:language></metadata><manifest><item id="n" href="n.xhtml" properties="nav"'
        ' media-type="application/xhtml+xml"/><item id="two" href="c%202.xhtml"'
        ' media-type="application/xhtml+xml"/><item id="one" href="../one.xhtml"'
        ' media-type="application/xhtml+xml"/><item id="gone" href="gone.xhtml"'
        ' media-type="application/xhtml+xml"/></manifest><spine><itemref idref="n"/>'
        '<itemref idref="one"/><itemref idref="two"/><itemref idref="gone"/></spine></package>',
        "in/n.xhtml": _PAGE.format("Contents", "<p>table of contents</p>"),
        "one.xhtml": _PAGE.format("One", "<h1>Sowing</h1><p>thin rows</p>"),
        "in/c 2.xhtml": _PAGE.format("Watering", "<p>in the evening</p>"),
    }
    path = write_package(tmp_path / "book.epub", content | parts)
    return parse_as(path, parser_for(path.name))


def test_chapters_come_in_the_order_of_the_spine_under_their_titles(tmp_path: Path):
    parsed = _book(tmp_path)

    assert _seen(parsed) == [
        (ElementKind.HEADING, 1, "Sowing"),
        (ElementKind.PARAGRAPH, 0, "thin rows"),
        (ElementKind.HEADING, 1, "Watering"),
        (ElementKind.PARAGRAPH, 0, "in the evening"),
    ]
    assert parsed.attributes.title == "Garden"
    assert parsed.warnings == ("a chapter is missing",)


@pytest.mark.parametrize(
    ("algorithm", "reads"),
    [("http://www.idpf.org/2008/embedding", True), ("http://www.w3.org/aes256", False)],
)
def test_book_with_encrypted_text_is_refused_and_one_with_fonts_is_not(
    tmp_path: Path, algorithm: str, reads: bool
):
    rights = f'<encryption><EncryptionMethod Algorithm="{algorithm}"/></encryption>'
    if reads:
        assert _book(tmp_path, **{"META-INF/encryption.xml": rights}).elements
    else:
        with pytest.raises(ParseRefused, match="protected"):
            _book(tmp_path, **{"META-INF/encryption.xml": rights})


def test_titles_and_labels_of_xml_become_headings_and_fields_keep_their_names(tmp_path: Path):
    parsed = _parse(
        tmp_path,
        "law.xml",
        '<?xml version="1.0"?><code titre="Labour Code"><!-- no text --><article num="L1"><texte>'
        "Any <b>reform</b> is discussed first.</texte></article><section><title>Annex</title>"
        "<size>4</size><unit>pages</unit><note>&lt;p&gt;One.&lt;/p&gt;&lt;p&gt;Two.&lt;/p&gt;"
        "</note></section></code>",
    )

    assert _seen(parsed) == [
        (ElementKind.HEADING, 1, "Labour Code"),
        (ElementKind.HEADING, 2, "article L1"),
        (ElementKind.PARAGRAPH, 0, "Any reform is discussed first."),
        (ElementKind.HEADING, 2, "Annex"),
        (ElementKind.PARAGRAPH, 0, "size: 4; unit: pages"),
        (ElementKind.PARAGRAPH, 0, "One."),
        (ElementKind.PARAGRAPH, 0, "Two."),
    ]


def test_entities_of_the_document_are_put_in_and_others_never(tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_text("root:x:0")
    own = '<!DOCTYPE a [<!ENTITY firm "Acme and sons">]><a>&firm; are here</a>'
    foreign = f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{secret}">]><a>three plain words &x;</a>'

    assert _parse(tmp_path, "own.xml", own).elements[0].text == "Acme and sons are here"
    try:
        texts = [element.text for element in _parse(tmp_path, "foreign.xml", foreign).elements]
    except ParseRefused:
        texts = []
    assert "root:x" not in "".join(texts)


def test_entities_that_swell_are_refused(tmp_path: Path):
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<!DOCTYPE a [<!ENTITY e0 "laugh">{levels}]><a>&e9;</a>'

    assert _refusal(tmp_path, "bomb.xml", bomb) in (Reason.TOO_LARGE, Reason.CORRUPT)


def test_xml_in_another_encoding_than_it_declares_is_read_and_told_of(tmp_path: Path):
    content = '<?xml version="1.0" encoding="UTF-8"?><a>été comme hiver, à Noël</a>'
    parsed = _parse(tmp_path, "a.xml", content.encode("cp1252"))

    assert parsed.elements[0].text == "été comme hiver, à Noël"
    assert len(parsed.warnings) == 1


def test_json_keeps_titles_fields_texts_and_tables(tmp_path: Path):
    long_text = "A long explanation. " * 12
    parsed = _parse(
        tmp_path,
        "a.json",
        json.dumps(
            {
                "title": "Inventory",
                "place": {"room": "Curie", "floor": 2},
                "tags": ["loan", "tools"],
                "things": [{"code": "P1", "state": "good"}, {"code": "P2", "state": None}],
                "rule": f"{long_text}\n\nSecond paragraph.",
                "picture": "QUJD" * 400,
            }
        ),
    )

    assert _seen(parsed) == [
        (ElementKind.HEADING, 1, "Inventory"),
        (ElementKind.PARAGRAPH, 0, "place.room: Curie; place.floor: 2"),
        (ElementKind.PARAGRAPH, 0, "tags: loan, tools"),
        (ElementKind.TABLE_ROW, 0, "code | state"),
        (ElementKind.TABLE_ROW, 0, "P1 | good"),
        (ElementKind.TABLE_ROW, 0, "P2"),
        (ElementKind.PARAGRAPH, 0, long_text.strip()),
        (ElementKind.PARAGRAPH, 0, "Second paragraph."),
    ]
    assert parsed.elements[4].header == "code | state"


def test_json_on_lines_of_its_own_is_a_list(tmp_path: Path):
    parsed = _parse(tmp_path, "a.json", '{"a": "one", "b": "two"}\n{"a": "three", "b": "four"}\n')

    assert [e.text for e in parsed.elements] == ["a | b", "one | two", "three | four"]


@pytest.mark.parametrize("content", ['{"a": 1, oops', "plain words that are no JSON"])
def test_json_that_is_none_is_refused(tmp_path: Path, content: str):
    assert _refusal(tmp_path, "a.json", content) is Reason.CORRUPT


def test_notebook_keeps_prose_code_and_outputs(tmp_path: Path):
    table = "<table><tr><th>n</th><th>m</th></tr><tr><td>1</td><td>2</td></tr></table>"
    outputs = [
        {"output_type": "stream", "text": ["wettest: ", "May\n"]},
        {"output_type": "execute_result", "data": {"text/html": table, "text/plain": "n m"}},
        {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo="}},
        {"output_type": "error", "ename": "ValueError", "evalue": "\x1b[31mno rain\x1b[0m"},
    ]
    notebook = {
        "nbformat": 4,
        "metadata": {},
        "cells": [
            {"cell_type": "markdown", "source": ["# Rain\n", "\n", "By *month*."]},
            {"cell_type": "code", "source": "print(1)", "outputs": outputs},
        ],
    }
    parsed = _parse(tmp_path, "a.ipynb", json.dumps(notebook))

    assert _seen(parsed) == [
        (ElementKind.HEADING, 1, "Rain"),
        (ElementKind.PARAGRAPH, 0, "By month."),
        (ElementKind.CODE, 0, "print(1)"),
        (ElementKind.CODE, 0, "wettest: May"),
        (ElementKind.TABLE_ROW, 0, "n | m"),
        (ElementKind.TABLE_ROW, 0, "1 | 2"),
        (ElementKind.CODE, 0, "ValueError: no rain"),
    ]


def test_notebook_of_format_3_reads_alike(tmp_path: Path):
    cells = [
        {"cell_type": "heading", "level": 2, "source": "Old title"},
        {"cell_type": "code", "input": "x = 1", "outputs": [{"text": "one two"}]},
    ]
    parsed = _parse(
        tmp_path, "a.ipynb", json.dumps({"nbformat": 3, "worksheets": [{"cells": cells}]})
    )

    assert [e.text for e in parsed.elements] == ["Old title", "x = 1", "one two"]


def test_notebook_under_the_name_of_json_is_read_as_one(tmp_path: Path):
    cells = [{"cell_type": "markdown", "source": "## Only **three** words"}]
    parsed = _parse(tmp_path, "a.json", json.dumps({"nbformat": 4, "cells": cells}))

    assert _seen(parsed) == [(ElementKind.HEADING, 2, "Only three words")]
