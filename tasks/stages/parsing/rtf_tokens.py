"""The marks of Rich Text Format: tokens, code pages, and which groups hold no text.

Invariant: every byte belongs to one token, and is looked at once.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\(.)"
    rb"|([{}])|[\r\n\0]+|([^\\{}\r\n\0]+)",
    re.DOTALL,
)
_CHARSETS = {
    0: "cp1252",
    2: "cp1252",
    77: "mac_roman",
    128: "cp932",
    129: "cp949",
    130: "johab",
    134: "gbk",
    136: "cp950",
    161: "cp1253",
    162: "cp1254",
    163: "cp1258",
    177: "cp1255",
    178: "cp1256",
    186: "cp1257",
    204: "cp1251",
    222: "cp874",
    238: "cp1250",
    254: "cp437",
    255: "cp850",
}
CHARACTER_SETS = {"mac": "mac_roman", "pc": "cp437", "pca": "cp850", "ansi": "cp1252"}
"""Code page by the word that names it in the header."""

SIGNS = {
    "line": "\n",
    "lbr": "\n",
    "tab": "\t",
    "nestcell": "\n",
    "emdash": "—",
    "endash": "–",
    "emspace": " ",
    "enspace": " ",
    "qmspace": " ",
    "bullet": "•",
    "lquote": "‘",
    "rquote": "’",
    "ldblquote": "“",
    "rdblquote": "”",
    "zwj": "\u200d",
    "zwnj": "\u200c",
}
"""Text of the control words that stand for a character."""

_SILENT_WORDS = """
    annotation atnauthor atndate atnicn atnid atnparent atnref atntime atrfend atrfstart bkmkend
    bkmkstart blipuid colortbl colorschememapping datafield datastore docvar falt fchars filetbl
    fldinst footer footerf footerl footerr formfield ftncn ftnsep ftnsepc aftncn aftnsep aftnsepc
    generator gridtbl header headerf headerl headerr keycode latentstyles lchars levelnumbers
    leveltext listname liststylename listoverridetable listtable mmathPr nesttableprops
    nonesttables nonshppict objalias objclass objdata objname objsect objtime panose passwordhash
    pgptbl pict picprop pn pntxta pntxtb private revtbl rsidtbl sn sv shppict tc template
    themedata userprops wgrffmtfilter xe xmlattrname xmlattrvalue xmlclose xmlname xmlnstbl
    xmlopen
"""
SILENT = frozenset(_SILENT_WORDS.split())
"""Destinations whose text no reader of the document sees."""


@dataclass(frozen=True, slots=True)
class Token:
    """One mark: a control word, a brace, or bytes of text.

    Attributes:
        word: Control word, "{", "}", or a control symbol such as "~"; empty for bytes of text.
        number: Parameter of the word, or None.
        data: Bytes of text, in the code page that is in force.
    """

    word: str = ""
    number: int | None = None
    data: bytes = b""


def tokens(content: bytes) -> Iterator[Token]:
    """Yield the marks in order; binary data among them is left out."""
    position = 0
    while match := _TOKEN.match(content, position):
        position = match.end()
        word, number, escaped, symbol, brace, text = match.groups()
        if word == b"bin":
            position += max(0, int(number or 0))
        elif word is not None:
            yield Token(word.decode("ascii"), None if number is None else int(number))
        elif escaped is not None:
            yield Token(data=bytes.fromhex(escaped.decode("ascii")))
        elif text is not None:
            yield Token(data=text)
        elif brace is not None or symbol is not None:
            yield Token((brace or symbol).decode("latin-1"))


def codec_of_charset(charset: int, default: str) -> str:
    """Return the code page of a font's character set; 1 means that of the document."""
    return _CHARSETS.get(charset, default)


def codec_of_page(page: int, default: str) -> str:
    """Return the codec of a code page by its number."""
    name = {10000: "mac_roman", 65001: "utf-8"}.get(page, f"cp{page}")
    try:
        "".encode(name)
    except LookupError:
        return default
    return name
