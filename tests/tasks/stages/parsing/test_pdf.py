"""PDF: pages, sections, hyphens, passwords, damage."""

from pathlib import Path

import pytest

from index_store.records import Reason
from tasks.stages.parsing.builder import ElementBuilder
from tasks.stages.parsing.elements import ElementKind
from tasks.stages.parsing.page_layout import add_page
from tasks.stages.parsing.pdf import parse_pdf
from tasks.stages.parsing.refusal import ParseRefused

_DOCUMENTS = Path(__file__).parents[3] / "data" / "documents"


def _page(text: str, headings: list[tuple[int, str]] | None = None) -> list[str]:
    builder = ElementBuilder()
    add_page(builder, text, headings or [])
    return [element.text for element in builder.build().elements]


def test_pages_and_outline_are_kept():
    parsed = parse_pdf(_DOCUMENTS / "bookmarks.pdf")

    found = [(element.level, element.page, element.text) for element in parsed.elements]
    assert (2, 1, "France") in found
    assert (0, 2, "This is a page about Denmark") in found
    assert parsed.attributes.title == "Countries"


def test_french_text_comes_out_whole():
    texts = " ".join(element.text for element in parse_pdf(_DOCUMENTS / "fiche.pdf").elements)

    assert "Le contrat de travail intermittent" in texts
    assert "caractère intermittent" in texts or "intermittent est" in texts


def test_password_of_the_owner_alone_locks_nobody_out():
    assert parse_pdf(_DOCUMENTS / "owner-password.pdf").elements


def test_password_of_the_user_refuses():
    with pytest.raises(ParseRefused, match="password") as caught:
        parse_pdf(_DOCUMENTS / "user-password.pdf")
    assert caught.value.reason is Reason.ENCRYPTED


def test_second_parser_reads_what_the_first_refuses():
    parsed = parse_pdf(_DOCUMENTS / "no-header.pdf")

    assert parsed.elements[0].text == "Hello PDF-world!"
    assert parsed.warnings == ("damaged: read by the second parser",)


def test_noise_is_corrupt(tmp_path: Path):
    path = tmp_path / "noise.pdf"
    path.write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 20)

    with pytest.raises(ParseRefused, match=r"\w") as caught:
        parse_pdf(path)
    assert caught.value.reason is Reason.CORRUPT


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("dan\ufffegerous use", "dangerous use"),
        ("des boutons clas\ufffe\r\nsiques", "des boutons classiques"),
        ("c'est-à\ufffedire peu", "c'est-à-dire peu"),
        ("Saint\ufffeDenis est là", "Saint-Denis est là"),
        ("im-\r\nportant word", "important word"),
        ("pages 17-\r\n19 only", "pages 17- 19 only"),
    ],
)
def test_hyphen_at_the_end_of_a_line_is_mended(text: str, mended: str):
    assert _page(text) == [mended]


def test_sentence_that_ends_early_ends_its_paragraph():
    text = "A line that reaches the right margin of the page here\r\nand ends.\r\nA new thought"

    assert _page(text) == [
        "A line that reaches the right margin of the page here and ends.",
        "A new thought",
    ]


def test_title_of_the_outline_is_a_heading_where_it_stands():
    builder = ElementBuilder()
    add_page(builder, "before it\r\nScope\r\nafter it", [(2, "Scope"), (1, "Elsewhere")])

    elements = builder.build().elements
    assert [element.text for element in elements] == ["Elsewhere", "before it", "Scope", "after it"]
    assert elements[2].kind is ElementKind.HEADING
