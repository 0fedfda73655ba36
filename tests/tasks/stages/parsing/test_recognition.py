"""Scans: pages without text are found and read, with their confidence and within their time."""

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from pypdfium2 import PdfDocument

from index_store.records import Quality, Reason
from tasks.stages.parsing.dispatch import parse_as
from tasks.stages.parsing.elements import ParsedDocument
from tasks.stages.parsing.limits import Limits
from tasks.stages.parsing.page_images import needs_image, read_images
from tasks.stages.parsing.parse_options import OcrMode, ParseOptions, under
from tasks.stages.parsing.pdf import parse_pdf
from tasks.stages.parsing.quality import judge, measure
from tasks.stages.parsing.recognition import engine, read_table
from tasks.stages.parsing.refusal import ParseRefused
from tasks.stages.parsing.registry import find_parser, parser_identity
from tests.support.small_sources import pdf

needs_tesseract = pytest.mark.skipif(
    shutil.which("tesseract") is None, reason="tesseract-ocr is not installed"
)
AUTO = ParseOptions(ocr=OcrMode.AUTO, ocr_languages="eng")
TEXT = "The employee is entitled to leave\nfor every month of work"
HEAD = "level\tblock_num\tpar_num\tline_num\tword_num\tconf\ttext\n"


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A PDF of one page that is a picture of text."""
    source = tmp_path / "source.pdf"
    source.write_bytes(pdf(TEXT))
    document = PdfDocument(source)
    document[0].render(scale=3).to_pil().save(tmp_path / "scan.pdf", resolution=216)
    document.close()
    return tmp_path / "scan.pdf"


def parsed(path: Path, options: ParseOptions) -> ParsedDocument:
    with under(options):
        return parse_pdf(path)


@needs_tesseract
def test_a_page_without_text_is_read_by_its_image(scan: Path):
    found = parsed(scan, AUTO)
    words = " ".join(element.text for element in found.elements)
    assert words == TEXT.replace("\n", " ")
    assert {element.page for element in found.elements} == {1}
    assert found.confidence is not None
    assert found.confidence > 0.8
    assert found.warnings[0].startswith("1 pages recognised with ")
    assert judge(measure(found)).quality is Quality.GOOD


@needs_tesseract
def test_force_reads_every_page_by_its_image(tmp_path: Path):
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf(TEXT))
    assert parsed(path, AUTO).confidence is None
    assert parsed(path, ParseOptions(ocr=OcrMode.FORCE, ocr_languages="eng")).confidence is not None


def test_off_reads_no_image(scan: Path):
    assert parsed(scan, ParseOptions()).elements == ()


def test_what_the_engine_lacks_is_told(scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    engine.cache_clear()
    found = parsed(scan, AUTO)
    engine.cache_clear()
    assert found.warnings == ("1 pages need recognition; install tesseract-ocr",)


@needs_tesseract
def test_when_time_is_up_the_pages_left_keep_what_they_have(scan: Path):
    ticks: Iterator[int] = count(0, 1000)
    document = PdfDocument(scan)
    read = read_images(document, [""], AUTO, clock=lambda: next(ticks))
    document.close()
    assert read.texts == [""]
    assert read.warnings == ("no time left to recognise 1 pages",)


def test_lines_and_paragraphs_come_from_the_engines_table():
    rows = [
        (1, 1, 1, 96, "Two"),
        (1, 1, 1, 92, "words"),
        (1, 1, 2, 94, "more"),
        (1, 2, 1, 90, "new"),
    ]
    table = HEAD + "".join(f"5\t{b}\t{p}\t{n}\t1\t{c}\t{t}\n" for b, p, n, c, t in rows)
    found = read_table(table + "4\t1\t1\t1\t0\t-1\t\n")
    assert found.text == "Two words\nmore\n\nnew"
    assert (found.words, round(found.confidence, 2)) == (4, 0.93)


def test_marks_taken_for_letters_are_no_text():
    found = read_table(HEAD + "5\t1\t1\t1\t1\t12\t~|_\n")
    assert (found.text, found.words) == ("", 0)
    assert read_table(HEAD).words == 0


@pytest.mark.parametrize("text", ["", "12", "\ufffd" * 50, "\uf0e9\uf041" * 40])
def test_missing_and_garbled_pages_need_their_image(text: str):
    assert needs_image(text)
    assert not needs_image("The employee is entitled to leave for every month of work.")


def test_recognition_is_part_of_what_identifies_a_pdf_and_what_may_hold_one():
    for name, heeds in (("pdf", True), ("eml", True), ("docx", False)):
        same = parser_identity(name, Limits()) == parser_identity(name, Limits(), AUTO)
        assert same is not heeds
    hidden = ParseOptions(hidden_sheets=True)
    assert parser_identity("sheets", Limits(), hidden) != parser_identity("sheets", Limits())
    assert ParseOptions.from_json(AUTO.as_json()) == AUTO


def test_a_refused_scan_names_the_remedy(scan: Path):
    with pytest.raises(ParseRefused, match="1 pages may be images, see the setting ocr") as refused:
        parse_as(scan, find_parser("pdf"))
    assert refused.value.reason is Reason.NO_TEXT
