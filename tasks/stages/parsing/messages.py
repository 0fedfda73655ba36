"""E-mail as it travels: .eml, one message, and .mbox, many of them.

Invariants: a header or a body in a wrong encoding is read by its bytes; parts come in the order in
which they were sent.
"""

import base64
import codecs
import contextlib
import email
import re
from collections.abc import Iterator
from email.header import decode_header
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path

from index_store.records import Reason
from tasks.stages.parsing.builder import ElementBuilder
from tasks.stages.parsing.elements import ParsedDocument
from tasks.stages.parsing.encoding import decode
from tasks.stages.parsing.mail import (
    Attachment,
    Mail,
    add_mail,
    best_body,
    build_mail,
    html_body,
    plain_body,
)
from tasks.stages.parsing.normalisation import one_line
from tasks.stages.parsing.refusal import ParseRefused

_SHOWN = ("From", "To", "Cc", "Date")
_SEPARATOR = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))From [^\r\n]*\d\d:\d\d[^\r\n]*\r?\n")
_ESCAPED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
_HEADER = re.compile(rb"\A(?:\s*|From [^\n]*\n)[!-9;-~]{2,60}:")
_FLOWED = re.compile(r"(?<=[^\s-]) \n(?!-- )")
_BODIES = ("text/plain", "text/html")
_EXTENSIONS = {"text/calendar": ".txt", "text/csv": ".csv", "application/pdf": ".pdf"}
_HEAD_BYTES = 4096
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def parse_eml(path: Path) -> ParsedDocument:
    """Parse an .eml file.

    Raises:
        ParseRefused: It is no message.
    """
    return build_mail(read_message(path.read_bytes()))


def parse_mbox(path: Path) -> ParsedDocument:
    """Parse an .mbox file.

    Raises:
        ParseRefused: It holds no messages.
    """
    data = path.read_bytes()
    starts = [match.span() for match in _SEPARATOR.finditer(data)]
    if not starts:
        return parse_eml(path)
    builder = ElementBuilder()
    ends = [start for start, _ in starts[1:]] + [len(data)]
    for (_, start), end in zip(starts, ends, strict=True):
        add_mail(builder, read_message(_ESCAPED_FROM.sub(rb"\1", data[start:end])))
    return builder.build()


def read_message(data: bytes) -> Mail:
    """Return what the bytes of a message say.

    Raises:
        ParseRefused: It does not begin with a header.
    """
    narrow = decode(data).text.encode() if data.startswith(_WIDE) else data
    bare = narrow.removeprefix(codecs.BOM_UTF8)
    if not _HEADER.match(bare[:_HEAD_BYTES]):
        raise ParseRefused(Reason.CORRUPT, "no message: it does not begin with a header")
    return _mail(email.message_from_bytes(bare))


def _mail(message: Message) -> Mail:
    contents = _Contents()
    contents.collect(message)
    return Mail(
        subject=_header(message, "Subject"),
        headers=tuple((name, _header(message, name)) for name in _SHOWN),
        date=_day(_header(message, "Date")),
        body=tuple(contents.bodies),
        attachments=tuple(contents.attachments),
        warnings=tuple(contents.warnings),
    )


class _Contents:
    """Sorts the parts of a message into what it says and what hangs on it."""

    def __init__(self) -> None:
        self.bodies: list[ParsedDocument] = []
        self.attachments: list[Attachment] = []
        self.warnings: list[str] = []

    def collect(self, part: Message) -> None:
        """Take a part and all below it."""
        kind = part.get_content_type()
        if kind == "message/rfc822":
            for inner in _children(part):
                self.attachments.append(Attachment(name=_name(part), data=_unwrapped(part, inner)))
        elif kind == "multipart/alternative":
            self._choose(part)
        elif part.is_multipart():
            for inner in _children(part):
                self.collect(inner)
        elif kind in _BODIES and part.get_content_disposition() != "attachment" and not _name(part):
            self._add_body(part, kind)
        else:
            self._attach(part, kind)

    def _choose(self, part: Message) -> None:
        """Take the best of several versions of one body."""
        versions = {"text/plain": plain_body(""), "text/html": plain_body("")}
        for inner in _children(part):
            version = _Contents()
            version.collect(inner)
            self.attachments += version.attachments
            self.warnings += version.warnings
            kind = _body_kind(inner)
            for body in version.bodies:
                if body.elements:
                    versions[kind] = body
        self.bodies.append(best_body(versions["text/plain"], versions["text/html"]))

    def _add_body(self, part: Message, kind: str) -> None:
        try:
            decoded = decode(_payload(part), declared=part.get_content_charset() or "")
        except ParseRefused as refusal:
            self.warnings.append(f"a body was not read: {refusal.detail}")
            return
        self.warnings += decoded.warnings
        text = decoded.text
        if kind == "text/plain" and part.get_param("format") == "flowed":
            text = _FLOWED.sub(" ", text.replace("\r\n", "\n"))
        self.bodies.append(html_body(text) if kind == "text/html" else plain_body(text))

    def _attach(self, part: Message, kind: str) -> None:
        data = _payload(part)
        if data.strip():
            name = _name(part) or f"part{_EXTENSIONS.get(kind, '')}"
            inline = part.get_content_disposition() == "inline"
            self.attachments.append(Attachment(name=name, data=data, inline=inline))


def _unwrapped(part: Message, inner: Message) -> Mail:
    """Return an inner message, decoded first when its sender encoded it against the rules."""
    body = inner.get_payload()
    if str(part.get("Content-Transfer-Encoding", "")).lower() == "base64" and not inner.keys():
        with contextlib.suppress(ValueError, ParseRefused):
            return read_message(base64.b64decode(str(body)))
    return _mail(inner)


def _children(part: Message) -> Iterator[Message]:
    payload = part.get_payload()
    for inner in payload if isinstance(payload, list) else ():
        if isinstance(inner, Message):
            yield inner


def _body_kind(part: Message) -> str:
    """Return what kind of body a version of a message is, looking into what wraps it."""
    kinds = [inner.get_content_type() for inner in part.walk()]
    return "text/html" if "text/html" in kinds else "text/plain"


def _payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _name(part: Message) -> str:
    try:
        return _decoded(part.get_filename() or "")
    except (ValueError, LookupError, TypeError):  # names in an encoding that does not exist
        return ""


def _header(message: Message, wanted: str) -> str:
    for name, value in message.raw_items():
        if name.lower() == wanted.lower():
            return _decoded(str(value))
    return ""


def _decoded(value: str) -> str:
    """Return the text of a header, whose bytes may be encoded words or anything at all."""
    try:
        pieces = decode_header(value)
    except ValueError:
        pieces = [(value, None)]
    texts = []
    for piece, charset in pieces:
        if isinstance(piece, bytes):
            data = piece
        else:
            data = piece.encode("ascii", "surrogateescape") if _is_raw(piece) else piece.encode()
        texts.append(decode(data, declared=charset or "").text if data else "")
    return one_line("".join(texts))


def _is_raw(text: str) -> bool:
    return all(ord(letter) < 128 or 0xDC80 <= ord(letter) <= 0xDCFF for letter in text)


def _day(value: str) -> str:
    try:
        return parsedate_to_datetime(value).date().isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""
