"""The one place where text becomes clean Unicode.

Invariants: what was read in a wrong encoding is put right where that can be proved; the result is
NFC, holds no NUL, no lone surrogate, no control character but tab and line feed, no invisible or
bidirectional control, no soft hyphen and no Latin ligature.
"""

import re
import unicodedata
from collections.abc import Iterable
from itertools import islice

from tasks.stages.parsing.mojibake import has_losses, looks_misread, repair

_LIGATURES = {
    0xFB00: "ff",
    0xFB01: "fi",
    0xFB02: "fl",
    0xFB03: "ffi",
    0xFB04: "ffl",
    0xFB05: "st",
    0xFB06: "st",
}
_LINE_ENDS = dict.fromkeys((0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029), "\n")
_SPACES = dict.fromkeys((0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), " ")
_REMOVED = dict.fromkeys(
    (
        *range(9),
        *range(0x0E, 0x20),
        *range(0x7F, 0x85),
        *range(0x86, 0xA0),
        0xAD,  # soft hyphen
        0x061C,
        0x180E,
        0x200B,
        0x200E,
        0x200F,
        *range(0x202A, 0x202F),  # bidirectional embedding and override
        *range(0x2060, 0x2070),  # word joiner, invisible operators, bidirectional isolates
        0xFEFF,
        *range(0xFFF9, 0xFFFC),
        0xFFFE,
        0xFFFF,
        *range(0xD800, 0xE000),  # surrogates
        *range(0xE0000, 0xE0080),  # tags
    )
)
_TABLE = _REMOVED | _LINE_ENDS | _SPACES | _LIGATURES

# Joiners carry meaning in emoji and in Arabic and Indic scripts, and hide words in Latin ones.
_LATIN_JOINER = re.compile(
    r"(?<=[\u0000-\u024f])[\u200c\u200d]+|[\u200c\u200d]+(?=[\u0000-\u024f]|$)"
)
# Unicode's stream-safe format allows 30; sorting longer runs takes quadratic time.
_STACKED_MARKS = re.compile(r"([\u0300-\u036f]{30})[\u0300-\u036f]+")


def _class_of(codes: Iterable[int]) -> "re.Pattern[str]":
    """Return a pattern of these characters, by ranges, which are searched many times as fast."""
    ranges: list[list[int]] = []
    for code in sorted(codes):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    spans = (f"{re.escape(chr(low))}-{re.escape(chr(high))}" for low, high in ranges)
    return re.compile(f"[{''.join(spans)}]")


# What the steps above may change; a text without any of it is clean when it is in normal form.
_UNCLEAN = _class_of({*_TABLE, *range(0x0300, 0x0370), 0x200C, 0x200D})
_ASCII_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_BLANKS = re.compile(r"\s+")

# Marks that right-to-left text needs (U+200E, U+200F) and byte order marks are no oddities.
_ODDITIES = (
    (
        re.compile("[\u202a-\u202e\u2066-\u2069]"),
        "controls that change the direction of text were taken out",
    ),
    (
        re.compile("[\u200b\u2060-\u2064\U000e0000-\U000e007f]"),
        "invisible characters were taken out",
    ),
    (re.compile("\ufffd"), "replacement characters stand for letters that were lost"),
)

_ODD = re.compile("[" + "".join(pattern.pattern.strip("[]") for pattern, _ in _ODDITIES) + "]")

_WORD = re.compile(r"[^\W_]{2,}")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def normalise(text: str) -> str:
    """Return clean text with its lines kept; see the invariants of the module."""
    unified = text.replace("\r\n", "\n") if "\r" in text else text
    if unified.isascii() and not _ASCII_CONTROLS.search(unified):
        return unified
    repaired = repair(unified)
    if not _UNCLEAN.search(repaired) and unicodedata.is_normalized("NFC", repaired):
        return repaired
    translated = repaired.translate(_TABLE)
    if translated.isascii():
        return translated
    visible = _LATIN_JOINER.sub("", translated)
    return unicodedata.normalize("NFC", _STACKED_MARKS.sub(r"\1", visible))


def oddities(text: str) -> tuple[str, ...]:
    """Return notes on what a raw text holds that a person should know of, in a fixed order."""
    if text.isascii():
        return ()
    found = []
    if _ODD.search(text):
        found += [note for pattern, note in _ODDITIES if pattern.search(text)]
    if looks_misread(text):
        found.append("text that was read in a wrong encoding was put right")
    if has_losses(text):
        found.append("text that was read in a wrong encoding lost letters")
    return tuple(found)


def one_line(text: str) -> str:
    """Return clean text with every run of blanks, line ends included, made one space."""
    return _BLANKS.sub(" ", normalise(text)).strip()


def count_words(texts: Iterable[str], *, enough: int) -> int:
    """Count words of at least two letters or digits, up to `enough`.

    Each character of a script without spaces between words counts as one.

    Args:
        texts: Clean texts.
        enough: Counting stops here.
    """
    words = 0
    for text in texts:
        for _ in islice(_WORD.finditer(text), enough - words):
            words += 1
        if words < enough and not text.isascii():
            words += len(_UNSPACED.findall(text))
        if words >= enough:
            return enough
    return words
