"""Pages of a PDF read by their images, where their own text is missing or garbled.

Invariants: a page keeps its number; its own text is replaced only by a better one; when time is up,
the pages that are left keep what they have, and the report says so.
"""

import io
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from math import sqrt

from pypdfium2 import PdfDocument, PdfiumError

from tasks.stages.parsing.elements import Element, ElementKind, ParsedDocument
from tasks.stages.parsing.parse_options import OcrMode, ParseOptions
from tasks.stages.parsing.quality import LEAST_CONFIDENCE, judge, measure
from tasks.stages.parsing.recognition import PAGE_TIMEOUT_S, Recognised, engine, recognise

_DOTS_PER_INCH = 300
_MOST_PIXELS = 25_000_000  # a page of A3 at 300 dots per inch has 17 million
_ENOUGH_LETTERS = 20  # less is a page number or a stamp

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPages:
    """Texts of pages after recognition.

    Attributes:
        texts: One a page, in order.
        confidence: Mean confidence by words of what was recognised; None when nothing was.
        warnings: Notes for the report.
    """

    texts: list[str]
    confidence: float | None = None
    warnings: tuple[str, ...] = ()


def read_images(
    document: PdfDocument,
    texts: Sequence[str],
    options: ParseOptions,
    clock: Clock = time.monotonic,
) -> ReadPages:
    """Recognise the pages that need it.

    Args:
        document: An open PDF.
        texts: Own text of every page.
        options: When and how to recognise.
        clock: Seconds.
    """
    kept = list(texts)
    wanted = [
        number
        for number, text in enumerate(texts)
        if options.ocr is OcrMode.FORCE or (options.ocr is OcrMode.AUTO and needs_image(text))
    ]
    if not wanted:
        return ReadPages(texts=kept)
    if not engine():
        return ReadPages(
            texts=kept, warnings=(f"{len(wanted)} pages need recognition; install tesseract-ocr",)
        )
    deadline = clock() + options.ocr_timeout_s
    found: list[Recognised] = []
    warnings: list[str] = []
    for done, number in enumerate(wanted):
        left = deadline - clock()
        if left <= 0:
            warnings.append(f"no time left to recognise {len(wanted) - done} pages")
            break
        read = _read_page(document, number, options.ocr_languages, min(left, PAGE_TIMEOUT_S))
        if read is None:
            warnings.append(f"page {number + 1} could not be recognised")
        elif read.text and (options.ocr is OcrMode.FORCE or _is_better(read, texts[number])):
            kept[number] = read.text
            found.append(read)
            warnings += _doubts(number, read)
    return _read_pages(kept, found, warnings)


def needs_image(text: str) -> bool:
    """Tell whether a page's own text is missing or garbled."""
    return sum(map(str.isalnum, text)) < _ENOUGH_LETTERS or bool(_faults(text))


def _doubts(number: int, read: Recognised) -> list[str]:
    if read.confidence >= LEAST_CONFIDENCE:
        return []
    return [f"page {number + 1} recognised with {read.confidence:.0%} confidence"]


def _read_pages(
    texts: list[str], found: Sequence[Recognised], warnings: Sequence[str]
) -> ReadPages:
    words = sum(read.words for read in found)
    if not words:
        return ReadPages(texts=texts, warnings=tuple(warnings))
    confidence = sum(read.confidence * read.words for read in found) / words
    told = f"{len(found)} pages recognised with {confidence:.0%} confidence"
    return ReadPages(texts=texts, confidence=confidence, warnings=(told, *warnings))


def _is_better(read: Recognised, own: str) -> bool:
    """Tell whether recognised text says more than a page's own, or the same without its faults."""
    if sum(map(str.isalnum, own)) < _ENOUGH_LETTERS:
        return len(read.text) > len(own)
    return read.confidence >= LEAST_CONFIDENCE and not _faults(read.text)


def _faults(text: str) -> tuple[str, ...]:
    element = Element(kind=ElementKind.PARAGRAPH, text=text)
    return judge(replace(measure(ParsedDocument(elements=(element,))), page_share=None)).reasons


def _read_page(
    document: PdfDocument, number: int, languages: str, timeout_s: float
) -> Recognised | None:
    try:
        with closing(document[number]) as page:
            width, height = page.get_size()
            most = sqrt(_MOST_PIXELS / max(1.0, width * height))
            scale = min(_DOTS_PER_INCH / 72, most)
            picture = page.render(scale=scale, grayscale=True).to_pil()
    except (PdfiumError, ValueError):
        return None
    data = io.BytesIO()
    picture.save(data, "PNG", compress_level=1)
    return recognise(data.getvalue(), languages, timeout_s=timeout_s)
