"""How chunks read, as numbers: garbled characters, words, lengths, repetitions; pure."""

import re
import unicodedata
from collections.abc import Sequence

from index_store.chunk_table import StoredChunk
from tasks.stages.gating.expectation import Frame, one_row

FEW_SAMPLED = 20  # chunks below which one odd document would decide about all
FEW_CHUNKS = 100  # chunks below which a share of repetitions says nothing
# What UTF-8 looks like when it was read as cp1252: a capital A or a-circumflex and a sign.
_MOJIBAKE = re.compile("[ÂÃ][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|â€|ï»¿")
_WORD = re.compile(r"[!-~]+")
_ODD_CATEGORIES = frozenset({"Cc", "Co", "Cn", "Cs"})  # control, private, unassigned, surrogate
_BLANKS = frozenset("\n\r\t\f\v")


def chunks(sample: Sequence[StoredChunk]) -> Frame:
    """Measure every chunk of a sample, a row each."""
    texts = [stored.chunk.text for stored in sample]
    unknown = [None] * len(texts)
    many = len(texts) >= FEW_SAMPLED
    return Frame(
        columns={
            "tokens": [stored.chunk.tokens for stored in sample],
            "garbled_share": [garbled_share(text) for text in texts] if many else unknown,
            "letter_share": [letter_share(text) for text in texts] if many else unknown,
            "word_length": [word_length(text) for text in texts] if many else unknown,
        },
        labels=tuple(stored.uri for stored in sample),
    )


def repetitions(hashes: Sequence[bytes]) -> Frame:
    """Measure how many of the new chunks say what another one says word for word."""
    many = len(hashes) >= FEW_CHUNKS
    return one_row(repeated_share=1 - len(set(hashes)) / len(hashes) if many else None)


def garbled_share(text: str) -> float:
    """Return the share of characters, in [0, 1], that no writer wrote."""
    if not text:
        return 0.0
    odd = sum(
        mark == "\ufffd" or (unicodedata.category(mark) in _ODD_CATEGORIES and mark not in _BLANKS)
        for mark in text
        if not mark.isalnum()
    )
    return min(1.0, (odd + sum(len(each) for each in _MOJIBAKE.findall(text))) / len(text))


def letter_share(text: str) -> float:
    """Return the share of letters and digits among the characters that show, in [0, 1]."""
    shown = [mark for mark in text if not mark.isspace()]
    return sum(mark.isalnum() for mark in shown) / max(len(shown), 1)


def word_length(text: str) -> float | None:
    """Return the mean length of words in ASCII, weighted by length; None when there is none.

    Scripts that are written without blanks are left out.
    """
    lengths = [len(word) for word in _WORD.findall(text)]
    return sum(length * length for length in lengths) / sum(lengths) if lengths else None
