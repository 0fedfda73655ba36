"""Bytes to text: which encoding a text file is in.

Invariants: a byte order mark decides, then strict UTF-8, then what the document declares, then
evidence; bytes that are no text in any encoding are refused, never turned into replacement
characters.
"""

import codecs
import re
from dataclasses import dataclass

from charset_normalizer import from_bytes

from index_store.records import Reason
from tasks.stages.parsing.refusal import ParseRefused

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it starts with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE_BYTES = 1 << 16
_CONTROL_SHARE = 0.02

_MULTIBYTE = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")

_WESTERN = ("cp1252", "mac_roman", "cp850")
_LETTERS = frozenset("éèàçêâîôûùëïüöäñáíóúãõåæøœßòìÿÉÈÀÇÊÂÎÔÛÙËÏÜÖÄÑÁÍÓÚÃÕÅÆØŒŸ")
_SIGNS = frozenset("«»’‘“”–—…€°§·•²³½¼¾£©®™ªº¿¡±×µ\xa0")


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
    decoded = _certain(data) or _declared(data, declared) or _mixed(data) or _guessed(data)
    sample = decoded.text[:_SAMPLE_BYTES]
    if len(_CONTROLS.findall(sample.replace("\0", ""))) > _CONTROL_SHARE * len(sample) + 2:
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
    """Recognise UTF-16 and UTF-32 without a mark by where their zero bytes stand."""
    length = len(sample) // 4
    if length < 2:
        return ""
    zeros = [sample[offset : length * 4 : 4].count(0) / length for offset in range(4)]
    empty = [share > 0.5 for share in zeros]
    names = {
        (False, True, True, True): "utf-32-le",
        (True, True, True, False): "utf-32-be",
        (False, True, False, True): "utf-16-le",
        (True, False, True, False): "utf-16-be",
    }
    return names.get((empty[0], empty[1], empty[2], empty[3]), "")


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
    codecs.register_error("nightpress-stray", _stray_byte)
    text = data.decode("utf-8", errors="nightpress-stray")
    return Decoded(text=text, warnings=(f"{stray} bytes that are not utf-8 were read as cp1252",))


def _stray_byte(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    byte = error.object[error.start : error.start + 1]
    return byte.decode("cp1252", errors="replace"), error.start + 1


def _guessed(data: bytes) -> Decoded:
    sample = data[:_SAMPLE_BYTES]
    scores = {name: _western_score(sample, name) for name in _WESTERN}
    best = max(scores, key=lambda name: scores[name])
    if scores[best] >= 0.8 and (text := _try(data, best)) is not None:
        return Decoded(text=text, warnings=(f"encoding guessed: {best}",))
    guess = from_bytes(sample).best()
    if guess is not None and (text := _try(data, guess.encoding)) is not None:
        return Decoded(text=text, warnings=(f"encoding guessed: {guess.encoding}",))
    if scores["cp1252"] > 0.4:
        text = data.decode("cp1252", errors="replace")
        return Decoded(text=text, warnings=("encoding guessed: cp1252 with bytes replaced",))
    raise ParseRefused(Reason.UNSUPPORTED, "no text encoding fits the bytes")


def _western_score(sample: bytes, name: str) -> float:
    """Return which share of the bytes beyond ASCII makes sense where it stands, in [-1, 1]."""
    text = sample.decode(name, errors="replace")
    points = 0.0
    total = 0
    padded = f" {text} "
    for position, character in enumerate(text, start=1):
        if character.isascii():
            continue
        total += 1
        before, after = padded[position - 1], padded[position + 1]
        inside = (before.isascii() and before.isalpha()) or (after.isascii() and after.isalpha())
        if character in _LETTERS:
            wrong_case = character.isupper() and before.islower()
            points += -1 if wrong_case else 1 if inside or not before.isalpha() else 0.2
        elif character in _SIGNS:
            between = before.isalpha() and after.isalpha()
            points += 1 if not between or character in "’–—·" else -1
        else:
            points -= 1
    return points / total if total else 1.0


def _try(data: bytes, name: str) -> str | None:
    try:
        return data.decode(name)
    except (UnicodeDecodeError, LookupError, ValueError):
        return None
