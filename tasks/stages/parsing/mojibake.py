"""Text in UTF-8 that somebody read as cp1252 or latin-1, put right where the way back proves it.

Every accented letter then shows as two characters, such as "Ã©" for "é". A sequence is put right
only when its bytes are UTF-8 again, and when the text proves that it was read wrongly: by sequences
that no language writes, or by several in a row.
Invariants: text that was read rightly is returned as it is; so is a sequence whose bytes were lost.
"""

import re

_SPECIALS = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
"""What cp1252 makes of the bytes from 0x80 to 0x9f."""
_NEXT = f"[\u0080-\u00bf{_SPECIALS}]"
_SEQUENCE = f"(?:[\u00c2-\u00df]{_NEXT}|[\u00e0-\u00ef]{_NEXT}{{2}}|[\u00f0-\u00f4]{_NEXT}{{3}})"
_RUN = re.compile(f"{_SEQUENCE}+")
_BEGINNING = re.compile(f"[\u00c2-\u00f4]{_NEXT}")
"""What every proof begins with; a look for this alone is several times as fast."""
_PROOF = re.compile(
    f"[\u00c2\u00c3]{_NEXT}|\u00e2\u20ac[{_SPECIALS}\u0080-\u00bf]|{_SEQUENCE}{{2}}"
)
_LOST = re.compile("[\u00c2\u00c3]\ufffd|\u00e2\u20ac\ufffd|(?<=[a-z])\u00c3 ")
_MOST_ROUNDS = 3  # text that went through several wrong hands


def looks_misread(text: str) -> bool:
    """Tell whether a text proves that it was read in a wrong encoding."""
    first = _BEGINNING.search(text)
    return first is not None and _PROOF.search(text, first.start()) is not None


def has_losses(text: str) -> bool:
    """Tell whether a text was read wrongly and lost bytes by it, which nobody can bring back."""
    may_have = "\ufffd" in text or "\u00c3 " in text
    return may_have and _LOST.search(text) is not None


def repair(text: str) -> str:
    """Return a text with every sequence put right that can be."""
    for _ in range(_MOST_ROUNDS):
        if not looks_misread(text):
            break
        repaired = _RUN.sub(_repaired, text)
        if repaired == text:
            break
        text = repaired
    return text


def _repaired(match: "re.Match[str]") -> str:
    try:
        return b"".join(map(_byte, match[0])).decode("utf-8")
    except UnicodeDecodeError:
        return match[0]


def _byte(character: str) -> bytes:
    """Return the byte that was read as a character, by cp1252 or else by latin-1."""
    try:
        return character.encode("cp1252")
    except UnicodeEncodeError:
        return character.encode("latin-1")
