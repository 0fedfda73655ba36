"""Rich Text Format: headings, paragraphs, lists, tables and notes in reading order.

Invariants: one pass over the bytes; deleted and hidden text is left out; a byte is decoded by the
code page of the font it is set in, a character given as Unicode is taken instead of its stand-in.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from index_store.records import Reason
from tasks.stages.parsing.builder import ElementBuilder, join_cells
from tasks.stages.parsing.delimited import looks_like_header
from tasks.stages.parsing.elements import ElementKind, ParsedDocument
from tasks.stages.parsing.refusal import ParseRefused
from tasks.stages.parsing.rtf_tokens import (
    CHARACTER_SETS,
    SIGNS,
    SILENT,
    Token,
    codec_of_charset,
    codec_of_page,
    tokens,
)

_DEEPEST = 1000  # Word nests a few dozen groups
_BODY_LEVEL = 9
_HEADING = re.compile(r"(?:heading|titre|überschrift|título|titolo)\s*([1-9])", re.IGNORECASE)
_SYMBOLS = {"~": "\u00a0", "_": "-", "\t": "\t"}
_PARAGRAPH_ENDS = frozenset(("par", "sect", "page", "column", "\n", "\r"))


@dataclass(frozen=True, slots=True)
class _Group:
    """What is in force in a group and ends with it.

    Attributes:
        target: Where text goes: "text", "note", "label", "fonts", "styles", "title", "none".
        codec: Code page of bytes.
        skipped: Stand-in characters after one given as Unicode.
        hidden: Whether text is hidden or deleted.
        fresh: Whether nothing but "*" has come in this group yet.
        starred: Whether the group may be left out by those who do not know it.
    """

    target: str = "text"
    codec: str = "cp1252"
    skipped: int = 1
    hidden: bool = False
    fresh: bool = True
    starred: bool = False


def parse_rtf(path: Path) -> ParsedDocument:
    """Parse an .rtf file.

    Raises:
        ParseRefused: It is nested too deeply, or no Rich Text.
    """
    return read_rtf(path.read_bytes())


def read_rtf(content: bytes) -> ParsedDocument:
    """Return what a document in Rich Text Format says.

    Raises:
        ParseRefused: It is nested too deeply, or no Rich Text.
    """
    if not content.lstrip().startswith(b"{\\rtf"):
        raise ParseRefused(Reason.CORRUPT, "no Rich Text: it does not begin with {\\rtf")
    reader = _Reader()
    for token in tokens(content):
        reader.read(token)
    return reader.finish()


class _Reader:
    def __init__(self) -> None:
        self._paragraphs = _Paragraphs()
        self._group = _Group()
        self._outer: list[_Group] = []
        self._default = "cp1252"
        self._fonts: dict[int, str] = {}
        self._font = 0
        self._bytes = bytearray()
        self._skip = 0
        self._texts = {"label": "", "title": "", "styles": ""}
        self._words: dict[str, Callable[[int], None]] = {
            "ansicpg": self._set_page,
            "deff": self._set_font,
            "f": self._set_font,
            "fcharset": self._set_charset,
            "cpg": self._set_font_page,
            "uc": lambda number: self._force(skipped=max(0, number)),
            "u": self._add_unicode,
            "v": lambda number: self._force(hidden=number != 0),
            "deleted": lambda number: self._force(hidden=number != 0),
            "plain": lambda _: self._force(hidden=False),
        }

    def read(self, token: Token) -> None:
        """Take one mark."""
        word = token.word
        if not word:
            self._add_bytes(token.data)
            return
        self._flush()
        if word == "{":
            self._open()
        elif word == "}":
            self._close()
        elif word == "*":
            self._force(starred=True)
        else:
            self._skip = max(0, self._skip - 1) if word in SIGNS or word in _SYMBOLS else 0
            self._control(word, token.number)

    def finish(self) -> ParsedDocument:
        """Return what was read."""
        self._flush()
        return self._paragraphs.finish(self._texts["title"])

    def _open(self) -> None:
        if len(self._outer) >= _DEEPEST:
            raise ParseRefused(Reason.TOO_LARGE, "nested too deeply")
        self._outer.append(self._group)
        self._group = replace(self._group, fresh=True, starred=False)
        self._skip = 0

    def _close(self) -> None:
        closed = self._group
        self._group = self._outer.pop() if self._outer else _Group(target="none")
        outer = self._group.target
        if closed.target == "styles" and outer == "styles":
            self._paragraphs.name_style(self._texts["styles"].rstrip("; "))
            self._texts["styles"] = ""
        elif closed.target == "label" and outer != "label":
            self._paragraphs.label(self._texts["label"])
            self._texts["label"] = ""
        elif closed.target == "note" and outer != "note":
            self._paragraphs.end_note()

    def _control(self, word: str, number: int | None) -> None:
        group = self._group
        if group.fresh:
            self._group = replace(group, fresh=False, target=self._target(word, group))
        if self._group.target == "none":
            return
        if word in self._words:
            self._words[word](1 if number is None else number)
        elif word in CHARACTER_SETS and not self._fonts:
            self._default = CHARACTER_SETS[word]
            self._force(codec=self._default)
        elif word in SIGNS or word in _SYMBOLS:
            self._add(SIGNS.get(word) or _SYMBOLS[word])
        elif word in ("\\", "{", "}"):
            self._add(word)
        elif self._group.target in ("text", "note", "styles"):
            self._paragraphs.control(word, number)

    def _target(self, word: str, group: _Group) -> str:
        """Return where the text of a group goes, by its first word."""
        known = {
            "fonttbl": "fonts",
            "stylesheet": "styles",
            "info": "info",
            "footnote": "note",
            "listtext": "label",
            "pntext": "label",
        }
        if group.target == "none" or word in SILENT:
            return "none"
        if group.target in ("info", "title"):
            return "title" if word == "title" or group.target == "title" else "none"
        if word in known:
            return known[word]
        expected = word in ("shpinst", "shptxt") or group.target in ("fonts", "styles")
        return "none" if group.starred and not expected else group.target

    def _force(self, **changes: object) -> None:
        self._group = replace(self._group, **changes)  # type: ignore[arg-type]

    def _set_page(self, number: int) -> None:
        self._default = codec_of_page(number, self._default)
        self._force(codec=self._default)

    def _set_font(self, number: int) -> None:
        self._font = number
        if self._group.target != "fonts":
            self._force(codec=self._fonts.get(number, self._default))

    def _set_charset(self, number: int) -> None:
        self._fonts[self._font] = codec_of_charset(number, self._default)

    def _set_font_page(self, number: int) -> None:
        self._fonts[self._font] = codec_of_page(number, self._default)

    def _add_unicode(self, number: int) -> None:
        self._add(chr(number % 0x10000))
        self._skip = self._group.skipped

    def _add_bytes(self, data: bytes) -> None:
        if self._group.fresh:
            self._force(fresh=False)
        kept = data[self._skip :]
        self._skip = max(0, self._skip - len(data))
        self._bytes += kept

    def _flush(self) -> None:
        if self._bytes:
            self._add(self._bytes.decode(self._group.codec, errors="replace"))
            self._bytes.clear()

    def _add(self, text: str) -> None:
        target = self._group.target
        if self._group.hidden or target == "none":
            return
        if target in self._texts:
            self._texts[target] += text
        elif target in ("text", "note"):
            self._paragraphs.add(text)


class _Paragraphs:
    """Joins text to paragraphs, cells and rows, and knows the styles."""

    def __init__(self) -> None:
        self._builder = ElementBuilder()
        self._pieces: list[str] = []
        self._notes: list[str] = []
        self._note_start: int | None = None
        self._cells: list[str] = []
        self._header: str | None = None  # of the open table, "" when its first row names nothing
        self._in_table = False
        self._label = ""
        self._listed = False
        self._level = 0
        self._styles: dict[int, int] = {}
        self._style = 0

    def add(self, text: str) -> None:
        self._pieces.append(text)

    def label(self, text: str) -> None:
        """Take the number or bullet of a list item; a bullet says nothing."""
        self._listed = True
        self._label = text.strip() if any(map(str.isalnum, text)) else ""

    def control(self, word: str, number: int | None) -> None:
        """Take a control word that has to do with paragraphs; others mean nothing here."""
        if word in _PARAGRAPH_ENDS:
            self._end_paragraph()
        elif word == "cell":
            self._cells.append(self._take())
        elif word == "row":
            self._end_row()
        elif word == "pard":
            self._in_table = self._listed = False
            self._level = 0
        elif word == "intbl":
            self._in_table = True
        elif word == "ls":
            self._listed = True
        elif word == "s":
            self._style = number or 0
            self._level = self._styles.get(self._style, 0)
        elif word == "outlinelevel" and number is not None:
            self._level = number + 1 if number < _BODY_LEVEL else 0
        elif word == "footnote":
            self._note_start = len(self._pieces)

    def name_style(self, name: str) -> None:
        """Close the definition of a style."""
        heading = _HEADING.fullmatch(name)
        level = int(heading[1]) if heading else 1 if name.lower() in ("title", "titre") else 0
        self._styles[self._style] = level or self._level
        self._level = self._style = 0

    def end_note(self) -> None:
        """Close a footnote; it follows the paragraph that refers to it."""
        if self._note_start is not None:
            self._notes.append(_join(self._pieces[self._note_start :]))
            del self._pieces[self._note_start :]
            self._note_start = None

    def finish(self, title: str) -> ParsedDocument:
        if self._cells:
            self._end_row()
        self._end_paragraph()
        return self._builder.build(title=_join([title]))

    def _take(self) -> str:
        text, self._pieces, self._label = _join([self._label, " ", *self._pieces]), [], ""
        return text

    def _end_paragraph(self) -> None:
        if self._note_start is not None or self._in_table:
            self._pieces.append("\n")
            return
        text = self._take()
        if not text.strip():
            return
        self._header = None
        if self._level:
            self._builder.add_heading(text, self._level)
        else:
            kind = ElementKind.LIST_ITEM if self._listed else ElementKind.PARAGRAPH
            self._builder.add(kind, text)
        self._add_notes()

    def _end_row(self) -> None:
        if any(map(str.strip, self._pieces)):
            self._cells.append(self._take())
        cells, self._cells = self._cells, []
        self._builder.add_row(cells, header=self._header or "")
        if self._header is None:
            self._header = join_cells(cells) if looks_like_header(cells) else ""
        self._add_notes()

    def _add_notes(self) -> None:
        for note in self._notes:
            self._builder.add(ElementKind.NOTE, note)
        self._notes = []


def _join(pieces: list[str]) -> str:
    """Join text whose characters beyond the first plane were given in two halves."""
    text = "".join(pieces)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
