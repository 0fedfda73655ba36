"""Bytes to text: which encoding a text file is in.

Invariants: a byte order mark decides, then strict UTF-8, then what the document declares, then
evidence; bytes that are no text in any encoding are refused, never turned into replacement
characters.
"""

import codecs
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

from index_store.records import Reason
from tasks.stages.parsing.eastern import best_eastern
from tasks.stages.parsing.refusal import ParseRefused

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it starts with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE_BYTES = 1 << 16
_CONTROL_SHARE = 0.2
_GUESSED_CONTROL_SHARE = 0.02
_CONFIDENT = 0.8
_PLAUSIBLE = 0.4
_EASTERN = 0.2
"""Points from which a text counts as one of East Asia; wrong readings of real texts had 0.1."""
_NUL_SHARE = 0.03
_WIDE_NAMES = ("utf-16-le", "utf-16-be")
_IMPLAUSIBLE = ("Cc", "Cn", "Co", "Cs")
_BLOCKS = 4
_PLAUSIBLE_SHARE = 0.3

_MULTIBYTE = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_STRAY = "nightpress-stray"
_CONTROLS = re.compile(r"[\x01-\x08\x0e-\x1a\x1c-\x1f\x7f]")

_CANDIDATES = ("cp1252", "mac_roman", "cp850", "cp1251", "koi8_r", "cp866", "iso8859_5")
_LETTERS = frozenset(
    "éèàçêâîôûùëïüöäñáíóúãõåæøœßòìÿÉÈÀÇÊÂÎÔÛÙËÏÜÖÄÑÁÍÓÚÃÕÅÆØŒŸ"
    "абвгдежзийклмнопрстуфхцчшщъыьэюяёАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯЁ"
)
_FIRST_CYRILLIC = "\u0400"
_SIGNS = frozenset("«»’‘“”–—…€°§·•²³½¼¾£©®™ªº¿¡±×µ№\xa0")
_SIGNS_IN_WORDS = frozenset("’–—·")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """Text and how it was found.

    Attributes:
        text: The text, byte order mark removed.
        warnings: Notes for the report, empty when the encoding was certain.
    """

    text: str
    warnings: tuple[str, ...] = ()


def decode(data: bytes, *, declared: str = "") -> Decoded:
    """Turn bytes into text.

    Args:
        data: Content of a text file.
        declared: Encoding that the document itself names, used when the bytes agree.

    Raises:
        ParseRefused: The bytes are no text.
    """
    certain = _certain(data) or _declared(data, declared)
    decoded = certain or _mixed(data) or _guessed(data)
    sample = decoded.text[:_SAMPLE_BYTES]
    controls = len(_CONTROLS.findall(sample))
    allowed = _CONTROL_SHARE if certain else _GUESSED_CONTROL_SHARE
    if controls > allowed * len(sample) + 2:
        raise ParseRefused(Reason.UNSUPPORTED, "binary content, not text")
    return decoded


def _certain(data: bytes) -> Decoded | None:
    for mark, name in _MARKS:
        if data.startswith(mark):
            try:
                return Decoded(text=data.decode(name))
            except UnicodeDecodeError:
                text = data.decode(name, errors="replace")
                return Decoded(text=text, warnings=(f"bytes that are not {name} were replaced",))
    wide = _wide(data[:_SAMPLE_BYTES])
    if wide and (wide_text := _try(data, wide)) is not None:
        return Decoded(text=wide_text, warnings=(f"encoding guessed: {wide}",))
    if b"\x1b$" in data and data.isascii():
        escaped = _try(data, "iso2022_kr" if b"\x1b$)C" in data else "iso2022_jp_2")
        if escaped is not None:
            return Decoded(text=escaped)
    utf8 = _try(data, "utf-8")
    return None if utf8 is None else Decoded(text=utf8)


def _wide(sample: bytes) -> str:
    """Recognise UTF-16 and UTF-32 without a mark by where their zero bytes stand.

    Letters beyond Latin have none, but the blanks and digits between them do; which way round is
    told by what comes out.
    """
    length = len(sample) // 4
    if length < 2:
        return ""
    zeros = [sample[offset : length * 4 : 4].count(0) / length for offset in range(4)]
    empty = [share > 0.5 for share in zeros]
    names = {
        (False, True, True, True): "utf-32-le",
        (True, True, True, False): "utf-32-be",
    }
    if found := names.get((empty[0], empty[1], empty[2], empty[3])):
        return found
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    if max(even, odd) < 2 * _NUL_SHARE:
        return ""
    fits = {name: _plausible_share(sample[: length * 4], name) for name in _WIDE_NAMES}
    best = max(_WIDE_NAMES, key=lambda name: fits[name])
    return best if fits[best] >= _PLAUSIBLE_SHARE else ""


def _plausible_share(sample: bytes, name: str) -> float:
    """Return which share of the characters are letters, marks or signs that text is made of."""
    text = sample.decode(name, errors="replace")
    rare = sum(unicodedata.category(character) in _IMPLAUSIBLE for character in text)
    scripts = Counter(ord(character) >> 8 for character in text)
    # Read the wrong way round, letters of one block scatter over all of them.
    top = sum(count for _, count in scripts.most_common(_BLOCKS))
    return (top - rare) / len(text)


def _declared(data: bytes, declared: str) -> Decoded | None:
    if not declared:
        return None
    text = _try(data, declared)
    return None if text is None else Decoded(text=text)


def _mixed(data: bytes) -> Decoded | None:
    """Decode UTF-8 with stray bytes of another encoding, or cut in the middle of a character."""
    sequences = len(_MULTIBYTE.findall(data))
    stray = len(re.findall(rb"[\x80-\xff]", _MULTIBYTE.sub(b"", data)))
    if sequences < stray or not sequences:
        return None
    codecs.register_error(_STRAY, _stray_byte)
    text = _SURROGATE.sub(b"", data).decode("utf-8", errors=_STRAY)
    return Decoded(text=text, warnings=("bytes that are not utf-8 were read as cp1252",))


def _stray_byte(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    byte = error.object[error.start : error.start + 1]
    return byte.decode("cp1252", errors="replace"), error.start + 1


def _guessed(data: bytes) -> Decoded:
    sample = data[:_SAMPLE_BYTES]
    scores = {name: _score(sample, name) for name in _CANDIDATES}
    best = max(_CANDIDATES, key=lambda name: scores[name])
    eastern, fit = best_eastern(data)
    if fit >= max(_EASTERN, scores[best]) and (text := _try(data, eastern)) is not None:
        return Decoded(text=text, warnings=(f"encoding guessed: {eastern}",))
    if scores[best] >= _CONFIDENT and (text := _try(data, best)) is not None:
        return Decoded(text=text, warnings=(f"encoding guessed: {best}",))
    from charset_normalizer import from_bytes  # noqa: PLC0415 - few documents need it

    guess = from_bytes(sample).best()
    if guess is not None and (text := _try(data, guess.encoding)) is not None:
        return Decoded(text=text, warnings=(f"encoding guessed: {guess.encoding}",))
    if scores["cp1252"] > _PLAUSIBLE:
        text = data.decode("cp1252", errors="replace")
        return Decoded(text=text, warnings=("encoding guessed: cp1252 with bytes replaced",))
    raise ParseRefused(Reason.UNSUPPORTED, "no text encoding fits the bytes")


def _score(sample: bytes, name: str) -> float:
    """Return which share of the bytes beyond ASCII makes sense where it stands, in [-1, 1]."""
    text = f" {sample.decode(name, errors='replace')} "
    points = [
        _points(text[position - 1], character, text[position + 1])
        for position, character in enumerate(text)
        if not character.isascii()
    ]
    return sum(points) / len(points) if points else 1.0


def _points(before: str, character: str, after: str) -> float:
    if character in _LETTERS:
        if not _has_fit_neighbours(before, character, after):
            return -1.0
        if character.isupper():
            return -1.0 if before.islower() else 1.0 if after.islower() else 0.3
        return 1.0 if before.isalpha() or after.isalpha() or before.isspace() else 0.2
    if character in _SIGNS:
        between = before.isalpha() and after.isalpha()
        return -1.0 if between and character not in _SIGNS_IN_WORDS else 1.0
    return -1.0


def _has_fit_neighbours(before: str, character: str, after: str) -> bool:
    """Tell whether a letter may stand between its neighbours.

    Words are of one script, and no language of ours writes three accented letters in a row.
    """
    if character >= _FIRST_CYRILLIC:
        return not any(each.isascii() and each.isalpha() for each in (before, after))
    return before.isascii() or after.isascii() or not (before.isalpha() and after.isalpha())


def _try(data: bytes, name: str) -> str | None:
    try:
        return data.decode(name)
    except (UnicodeDecodeError, LookupError, ValueError):
        return None
