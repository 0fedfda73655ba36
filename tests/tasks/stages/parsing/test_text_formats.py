"""Plain text, Markdown, HTML and CSV: structure, encodings, and what is left out."""

from pathlib import Path

import pytest

from index_store.records import Reason
from tasks.stages.parsing.dispatch import parse_as
from tasks.stages.parsing.elements import ElementKind, ParsedDocument
from tasks.stages.parsing.refusal import ParseRefused
from tasks.stages.parsing.registry import parser_for

_DOCUMENTS = Path(__file__).parents[3] / "data" / "documents"
_FRENCH = "L’écart « majeur » a été évalué à Noël, œuvre du contrôleur : 12 €."


def _parse(tmp_path: Path, name: str, content: str | bytes) -> ParsedDocument:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return parse_as(path, parser_for(name))


def _texts(parsed: ParsedDocument) -> list[str]:
    return [element.text for element in parsed.elements]


def _refusal(tmp_path: Path, name: str, content: bytes) -> Reason:
    with pytest.raises(ParseRefused, match=r"\w") as caught:
        _parse(tmp_path, name, content)
    return caught.value.reason


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"],
)
def test_french_text_survives_its_encoding(tmp_path: Path, encoding: str):
    assert _texts(_parse(tmp_path, "a.txt", _FRENCH.encode(encoding))) == [_FRENCH]


@pytest.mark.parametrize("encoding", ["latin-1", "mac_roman", "cp850", "iso8859-15"])
def test_french_letters_survive_older_encodings(tmp_path: Path, encoding: str):
    text = "Les écarts constatés sont évalués à l'été, où le contrôleur reçoit la pièce."

    assert _texts(_parse(tmp_path, "a.txt", text.encode(encoding))) == [text]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp932", "品質管理基準に従い、出荷前に各ロットを検査しなければならない。"),
        ("euc_jp", "品質管理基準に従い、出荷前に各ロットを検査しなければならない。"),
        ("iso2022_jp", "品質管理基準に従い、出荷前に各ロットを検査しなければならない。"),
        ("gb18030", "每批产品放行前必须检验，偏差应当记录并调查。"),
        ("big5", "每批產品放行前必須檢驗，偏差應當記錄並調查。"),
        ("euc_kr", "출하 전 각 배치를 검사해야 한다. 일탈은 기록한다."),
        ("cp1251", "Каждая серия проверяется до выпуска."),
        ("koi8_r", "Каждая серия проверяется до выпуска."),
    ],
)
def test_other_scripts_are_found(tmp_path: Path, encoding: str, text: str):
    assert _texts(_parse(tmp_path, "a.txt", (text * 4).encode(encoding))) == [text * 4]


def test_stray_bytes_in_utf8_are_read_as_their_neighbours_mean(tmp_path: Path):
    parsed = _parse(tmp_path, "a.txt", "été évalué, ".encode() + "libéré hier".encode("cp1252"))

    assert _texts(parsed) == ["été évalué, libéré hier"]


def test_invisible_characters_and_ligatures_are_cleaned(tmp_path: Path):
    emoji = "\U0001f469\u200d\U0001f680"
    text = f"con\u00adtrôle \u202eefﬁcace\u202c de\u200bs lots\u00a0: e\u0301tat {emoji}"

    cleaned = f"contrôle efficace des lots : état {emoji}"
    assert _texts(_parse(tmp_path, "a.txt", text)) == [cleaned]


def test_lone_surrogate_and_nul_are_taken_out(tmp_path: Path):
    content = b"three pl\0ain words " + b"\xed\xa0\x80" + "là".encode()

    assert _texts(_parse(tmp_path, "a.txt", content)) == ["three plain words là"]


def test_mountain_of_combining_marks_is_levelled(tmp_path: Path):
    text = "three plain words" + "\u0301\u0316" * 200_000

    assert len(_texts(_parse(tmp_path, "a.txt", text))[0]) < 100


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.EMPTY),
        (b" \n\t " * 5000, Reason.EMPTY),
        (b"\xef\xbb\xbf", Reason.EMPTY),
        (b"one, two", Reason.NO_TEXT),
        (b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 8, Reason.UNSUPPORTED),
        (bytes((n * 7919 + n * n * 31) % 256 for n in range(20_000)), Reason.UNSUPPORTED),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, reason: Reason):
    assert _refusal(tmp_path, "a.txt", content) is reason


def test_markdown_structure_is_kept(tmp_path: Path):
    parsed = _parse(
        tmp_path,
        "a.md",
        '---\ntitle: "Le titre"\n---\n# One *two*\n\nA [link](http://x.y/a_(b)) and `code`.\n'
        "\n- first\n  goes on\n- second\n"
        "\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```py\nx  =  1\n```\n",
    )

    assert parsed.attributes.title == "Le titre"
    assert [(element.kind, element.text) for element in parsed.elements] == [
        (ElementKind.HEADING, "One two"),
        (ElementKind.PARAGRAPH, "A link and code."),
        (ElementKind.LIST_ITEM, "first goes on"),
        (ElementKind.LIST_ITEM, "second"),
        (ElementKind.TABLE_ROW, "a | b"),
        (ElementKind.TABLE_ROW, "1 | 2"),
        (ElementKind.CODE, "x  =  1"),
    ]
    assert parsed.elements[5].header == "a | b"


@pytest.mark.parametrize("mark", ["[", "*", "_", "`", "> ", "<a ", "![", "*a_"])
def test_markdown_marks_without_end_take_no_time_to_speak_of(tmp_path: Path, mark: str):
    parsed = _parse(tmp_path, "a.md", "three plain words\n\n" + mark * 20_000)

    assert _texts(parsed)[0] == "three plain words"


def test_html_keeps_content_and_leaves_furniture(tmp_path: Path):
    parsed = _parse(
        tmp_path,
        "a.html",
        "<html><head><title>T</title><style>p{}</style></head><body><nav>menu</nav>"
        "<h2>Head<i>ing</i></h2><p>Caf&eacute; <b>au</b> lait<script>bad()</script></p>"
        "<ul><li>one<ul><li>two</ul></ul><p hidden>unseen</p>"
        "<table><tr><th>A<th>B<tr><td>1<td>2</table><pre>x\n  y</pre><footer>end</footer>",
    )

    assert parsed.attributes.title == "T"
    assert [(element.kind, element.level, element.text) for element in parsed.elements] == [
        (ElementKind.HEADING, 2, "Heading"),
        (ElementKind.PARAGRAPH, 0, "Café au lait"),
        (ElementKind.LIST_ITEM, 0, "one"),
        (ElementKind.LIST_ITEM, 0, "two"),
        (ElementKind.TABLE_ROW, 0, "A | B"),
        (ElementKind.TABLE_ROW, 0, "1 | 2"),
        (ElementKind.CODE, 0, "x\n  y"),
    ]
    assert parsed.elements[5].header == "A | B"


def test_html_nested_without_end_is_refused(tmp_path: Path):
    content = b"<div>" * 100_000 + b"three plain words"

    assert _refusal(tmp_path, "a.html", content) is Reason.TOO_LARGE


def test_html_nested_deeply_is_read(tmp_path: Path):
    content = "<div>" * 3000 + "three plain words"

    assert _texts(_parse(tmp_path, "a.html", content)) == ["three plain words"]


def test_html_of_navigation_alone_is_kept(tmp_path: Path):
    parsed = _parse(tmp_path, "a.html", "<body><nav><p>the only words here</p></nav><p>ok</p>")

    assert "the only words here" in _texts(parsed)


def test_html_believes_bytes_more_than_what_they_declare(tmp_path: Path):
    content = f"<html><meta charset=latin-1><p>{_FRENCH}</p></html>".encode()

    assert _texts(_parse(tmp_path, "a.html", content)) == [_FRENCH]


def test_html_table_for_layout_is_read_as_text(tmp_path: Path):
    parsed = _parse(
        tmp_path, "a.html", "<table><tr><td><h1>Title here</h1><td><p>side note</p></table>"
    )

    assert [element.kind for element in parsed.elements] == [
        ElementKind.HEADING,
        ElementKind.PARAGRAPH,
    ]


def test_real_french_page():
    parsed = parse_as(_DOCUMENTS / "preavis.html", parser_for("preavis.html"))

    assert "Préavis de départ ou mise à la retraite" in _texts(parsed)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_delimiter_and_header_are_found(tmp_path: Path, delimiter: str):
    rows = [["nom", "ville", "âge"], ["Anaïs, dite A", "Lyon", "31"], ["Zoé", "Nîmes", "42"]]
    text = "\r\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)

    parsed = _parse(tmp_path, "a.csv", text.encode("cp1252"))

    assert [(e.text, e.row, e.header) for e in parsed.elements] == [
        ("nom | ville | âge", 1, ""),
        ("Anaïs, dite A | Lyon | 31", 2, "nom | ville | âge"),
        ("Zoé | Nîmes | 42", 3, "nom | ville | âge"),
    ]


def test_csv_row_number_counts_lines_of_the_file(tmp_path: Path):
    parsed = _parse(tmp_path, "a.csv", 'name,note\nAda,"two\nlines"\nBob,plain\n')

    assert [element.row for element in parsed.elements] == [1, 2, 4]


def test_csv_quote_that_is_never_closed_swallows_nothing(tmp_path: Path):
    text = "name,note\n" + 'x,"open\n' + "word,value\n" * 20_000

    assert len(_parse(tmp_path, "a.csv", text).elements) == 20_002


def test_real_csv_in_shift_jis():
    parsed = parse_as(_DOCUMENTS / "shift-jis.csv", parser_for("shift-jis.csv"))

    assert _texts(parsed)[1] == "佐藤太郎 | 30 | 東京"


@pytest.mark.parametrize(
    ("source", "name", "found"),
    [
        ("fiche.pdf", "a.docx", "pdf"),
        ("tables.docx", "a.txt", "docx"),
        ("titled.xlsx", "a.csv", "sheets"),
        ("dates.xls", "a.xlsx", None),
        ("preavis.html", "a.xls", "html"),
        ("shift-jis.csv", "a.xls", "csv"),
    ],
)
def test_document_is_parsed_as_what_it_is(
    tmp_path: Path, source: str, name: str, found: str | None
):
    parsed = _parse(tmp_path, name, (_DOCUMENTS / source).read_bytes())

    named = parser_for(name).name
    expected = [] if found is None else [f"named as {named}, parsed as {found}"]
    assert [w for w in parsed.warnings if w.startswith("named")] == expected


def test_workbook_in_one_xml_file_keeps_sheet_and_rows(tmp_path: Path):
    parsed = _parse(
        tmp_path,
        "a.xls",
        '<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"'
        ' xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet"><Worksheet ss:Name="Lots"><Table>'
        '<Row><Cell><Data ss:Type="String">lot number</Data></Cell></Row>'
        '<Row ss:Index="7"><Cell><Data ss:Type="String">released</Data></Cell></Row>'
        "</Table></Worksheet></Workbook>",
    )

    assert [(e.text, e.sheet, e.row) for e in parsed.elements] == [
        ("lot number", "Lots", 1),
        ("released", "Lots", 7),
    ]


def test_old_word_document_names_the_remedy(tmp_path: Path):
    content = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "WordDocument\0".encode("utf-16-le") * 9

    with pytest.raises(ParseRefused, match=r"save it as \.docx"):
        _parse(tmp_path, "a.docx", content)


@pytest.mark.parametrize(
    "front",
    [
        "---\ntitle: T\ndate: 2024-03-05\ntags: [a, b]\nlang: fr\nauthor: X\n---\n",
        '+++\ntitle = "T"\ndate = 2024-03-05T10:00:00Z\ntags = ["a", "b"]\nlang = "fr"\n'
        'author = "X"\n+++\n',
    ],
)
def test_front_matter_describes_its_document(tmp_path: Path, front: str):
    parsed = _parse(tmp_path, "a.md", front + "three plain words\n")
    found = parsed.attributes
    assert (found.title, found.date, found.keywords) == ("T", "2024-03-05", ("a", "b"))
    assert (found.language, found.extra) == ("fr", {"author": "X"})
    assert _texts(parsed) == ["three plain words"]


def test_front_matter_with_a_slip_keeps_its_title(tmp_path: Path):
    parsed = _parse(tmp_path, "a.md", "---\ntitle: a: b\n---\nthree plain words\n")
    assert parsed.attributes.title == "a: b"
    assert parsed.warnings == ("front matter is not understood",)


def test_a_rule_on_top_is_no_front_matter(tmp_path: Path):
    assert _texts(_parse(tmp_path, "a.md", "---\nthree plain words\n")) == ["three plain words"]


def test_the_head_of_a_page_describes_it(tmp_path: Path):
    parsed = _parse(
        tmp_path,
        "a.html",
        '<html lang="fr-FR"><head><title>T</title><meta name=Keywords content="a, b">'
        '<meta property="article:published_time" content="2024-03-05T10:00">'
        '<link rel=canonical href="https://x.y/z"></head><body>three plain words</body></html>',
    )
    found = parsed.attributes
    assert (found.language, found.date, found.keywords) == ("fr", "2024-03-05", ("a", "b"))
    assert found.url == "https://x.y/z"


@pytest.mark.parametrize("address", ["javascript:alert(1)", "/relative", "ftp://x.y"])
def test_an_address_that_is_none_is_left_out(tmp_path: Path, address: str):
    head = f'<link rel=canonical href="{address}"><meta property="og:url" content="{address}">'
    parsed = _parse(tmp_path, "a.html", f"<head>{head}</head><p>three plain words")
    assert parsed.attributes.url == ""
