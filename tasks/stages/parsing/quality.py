"""How well a document's text came out; pure.

Judged is the text alone, by what a person would call it at a glance: pages that are empty, signs
that stand for nothing, letters that make no words, an engine that was not sure of what it read.
The bounds were set by judgement and then tried on 560 healthy documents: two fell below, a scan and
a mail stored in a wrong encoding.

Invariants: the same elements have the same verdict; every verdict of "poor" has a reason, and no
reason holds text of the document.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from index_store.records import Quality
from tasks.stages.parsing.elements import Element, ElementKind, ParsedDocument

LEAST_PAGE_SHARE = 0.5  # of pages with text; drawings and blank backs are lawful
LEAST_CONFIDENCE = 0.6  # of recognised text; below it every third word is wrong
MOST_REPLACED = 0.01  # of characters
MOST_STRANGE = 0.05  # of characters; private use and boxes stand for glyphs without a meaning
MOST_MOJIBAKE = 0.005  # of characters; "Ã©" for "é" through a wrong encoding
LEAST_WORDS = 0.3  # of letters that stand in words of three letters to twenty-five
ENOUGH_LETTERS = 300  # fewer tell nothing about words

_REPLACED = "\ufffd"
_STRANGE = re.compile("[\ue000-\uf8ff\u25a1\u25af\U000f0000-\U0010ffff]")
_MOJIBAKE = re.compile("Ã[\u0080-\u00bf©¨ª«¢¤§®¯´»¼]|â€[\u0080-\u00bf™œ“”¦]|Â[\u00a0-\u00bf]|ï»¿")
_WORD = re.compile(r"(?<![^\W\d_])[^\W\d_]{3,25}(?![^\W\d_])")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What a verdict is made from.

    Attributes:
        chars: Characters of text.
        page_share: Share of pages or slides with text, in [0, 1]; None without pages.
        replaced: Share of replacement characters.
        strange: Share of characters that stand for no sign.
        mojibake: Share of characters that betray a wrong encoding.
        words: Share of letters in words, None for too few letters or a script without spaces.
        confidence: Mean confidence of recognised text, in [0, 1]; None when none was recognised.
        headings: Headings kept.
        rows: Table rows kept.
        headed_rows: Those of them that know their header.
    """

    chars: int
    page_share: float | None = None
    replaced: float = 0.0
    strange: float = 0.0
    mojibake: float = 0.0
    words: float | None = None
    confidence: float | None = None
    headings: int = 0
    rows: int = 0
    headed_rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The verdict and why.

    Attributes:
        quality: How well the text came out.
        reasons: Why it is poor; empty when it is good.
    """

    quality: Quality
    reasons: tuple[str, ...] = ()


def measure(parsed: ParsedDocument) -> Measures:
    """Measure the text of a document."""
    text = "\n".join(element.text for element in parsed.elements)
    chars = max(1, len(text))
    rows = [each for each in parsed.elements if each.kind is ElementKind.TABLE_ROW]
    plain = text.isascii()
    return Measures(
        chars=len(text),
        page_share=_page_share(parsed),
        replaced=text.count(_REPLACED) / chars,
        strange=0.0 if plain else len(_STRANGE.findall(text)) / chars,
        mojibake=0.0 if plain else len(_MOJIBAKE.findall(text)) / chars,
        words=_word_share(parsed.elements),
        confidence=parsed.confidence,
        headings=sum(each.kind is ElementKind.HEADING for each in parsed.elements),
        rows=len(rows),
        headed_rows=sum(bool(each.header) for each in rows),
    )


def judge(measures: Measures) -> Verdict:
    """Return the verdict on a document from which some text came out."""
    reasons = [
        reason
        for reason, is_so in (
            (
                f"text on {_percent(measures.page_share)} of the pages",
                _below(measures.page_share, LEAST_PAGE_SHARE),
            ),
            (
                f"{_percent(measures.replaced)} of the characters were lost",
                measures.replaced > MOST_REPLACED,
            ),
            (
                f"{_percent(measures.strange)} of the characters mean nothing",
                measures.strange > MOST_STRANGE,
            ),
            ("its encoding was mistaken", measures.mojibake > MOST_MOJIBAKE),
            ("its letters make no words", _below(measures.words, LEAST_WORDS)),
            (
                f"recognised with {_percent(measures.confidence)} confidence",
                _below(measures.confidence, LEAST_CONFIDENCE),
            ),
        )
        if is_so
    ]
    if reasons:
        return Verdict(quality=Quality.POOR, reasons=tuple(reasons))
    return Verdict(quality=Quality.GOOD)


def _page_share(parsed: ParsedDocument) -> float | None:
    if not parsed.pages:
        return None
    written = {each.page or each.slide for each in parsed.elements}
    return min(1.0, len(written - {None}) / parsed.pages)


def _word_share(elements: Sequence[Element]) -> float | None:
    """Return the share of letters in words, of prose alone: tables hold codes and figures."""
    text = "\n".join(
        each.text for each in elements if each.kind not in (ElementKind.TABLE_ROW, ElementKind.CODE)
    )
    letters = sum(map(str.isalpha, text))
    if letters < ENOUGH_LETTERS or len(_UNSPACED.findall(text)) * 10 > letters:
        return None
    return sum(map(len, _WORD.findall(text))) / letters


def _below(value: float | None, least: float) -> bool:
    return value is not None and value < least


def _percent(share: float | None) -> str:
    return "no" if share is None else f"{share:.0%}"
