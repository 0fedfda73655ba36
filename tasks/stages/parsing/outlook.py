"""Messages as Outlook saves them (.msg), read by their MAPI properties.

Invariant: a property that is absent or of another type counts as empty; a message inside a message
is read like one that stands alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.parser import HeaderParser
from email.utils import parsedate_to_datetime
from pathlib import Path

from olefile import OleFileIO

from index_store.records import Reason
from tasks.stages.parsing.detection import OLE_ERRORS
from tasks.stages.parsing.elements import ParsedDocument
from tasks.stages.parsing.encoding import decode
from tasks.stages.parsing.mail import (
    Attachment,
    Mail,
    best_body,
    build_mail,
    html_body,
    plain_body,
)
from tasks.stages.parsing.outlook_rtf import unfold_rtf
from tasks.stages.parsing.refusal import ParseRefused, describe
from tasks.stages.parsing.rtf import read_rtf
from tasks.stages.parsing.rtf_tokens import codec_of_page

_SUBJECT, _BODY, _HTML, _RTF = 0x0037, 0x1000, 0x1013, 0x1009
_SENDER, _SENDER_SMTP, _SENDER_ADDRESS = 0x0C1A, 0x5D01, 0x0C1F
_TO, _CC, _HEADERS = 0x0E04, 0x0E03, 0x007D
_SENT, _DELIVERED = 0x0039, 0x0E06
_CODE_PAGE, _INTERNET_CODE_PAGE = 0x3FFD, 0x3FDE
_DATA, _LONG_NAME, _SHORT_NAME, _DISPLAY_NAME, _HIDDEN = 0x3701, 0x3707, 0x3704, 0x3001, 0x7FFE
_TEXT, _OLD_TEXT, _BINARY, _OBJECT = 0x001F, 0x001E, 0x0102, 0x000D
_PROPERTIES = "__properties_version1.0"
_ATTACHMENT = "__attach_version1.0_"
_TOP_HEADER_BYTES, _INNER_HEADER_BYTES, _PART_HEADER_BYTES = 32, 24, 8
_ENTRY_BYTES = 16
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_DEEPEST = 8

_Path = tuple[str, ...]


def parse_msg(path: Path) -> ParsedDocument:
    """Parse a .msg file.

    Raises:
        ParseRefused: It is damaged or no message.
    """
    try:
        with OleFileIO(str(path)) as file:
            storage = _Storage(file=file, path=(), header_bytes=_TOP_HEADER_BYTES)
            return build_mail(_mail(storage, depth=0))
    except OLE_ERRORS as error:
        raise ParseRefused(Reason.CORRUPT, describe(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Storage:
    """A message or an attachment: a folder of the file with its properties.

    Attributes:
        file: The open file.
        path: Names of the folders that lead there.
        header_bytes: Bytes before the first entry of its table of properties.
    """

    file: OleFileIO
    path: _Path
    header_bytes: int

    def binary(self, number: int) -> bytes:
        """Return the bytes of a property."""
        return self._stream(f"__substg1.0_{number:04X}{_BINARY:04X}")

    def text(self, number: int) -> str:
        """Return the text of a property."""
        wide = self._stream(f"__substg1.0_{number:04X}{_TEXT:04X}")
        if wide:
            return wide.decode("utf-16-le", "replace").rstrip("\0")
        narrow = self._stream(f"__substg1.0_{number:04X}{_OLD_TEXT:04X}").rstrip(b"\0")
        return decode(narrow, declared=self._codec()).text if narrow else ""

    def fixed(self, number: int) -> int:
        """Return the eight bytes of a property of fixed size as a number, 0 when absent."""
        return self._table().get(number, 0)

    def attachments(self) -> Iterator["_Storage"]:
        """Yield the attachments in order."""
        depth = len(self.path)
        names = {
            entry[depth]
            for entry in self.file.listdir(streams=True, storages=True)
            if tuple(entry[:depth]) == self.path and len(entry) > depth
        }
        for name in sorted(name for name in names if name.startswith(_ATTACHMENT)):
            path = (*self.path, name)
            yield _Storage(file=self.file, path=path, header_bytes=_PART_HEADER_BYTES)

    def message(self) -> "_Storage | None":
        """Return the message that an attachment holds, or None."""
        path = (*self.path, f"__substg1.0_{_DATA:04X}{_OBJECT:04X}")
        if not self.file.exists([*path, _PROPERTIES]):
            return None
        return _Storage(file=self.file, path=path, header_bytes=_INNER_HEADER_BYTES)

    def html(self) -> str:
        """Return the body of HTML, or ""."""
        data = self.binary(_HTML)
        page = self.fixed(_INTERNET_CODE_PAGE) & 0xFFFFFFFF
        if data:
            return decode(data, declared=codec_of_page(page, "") if page else "").text
        return self.text(_HTML)

    def _codec(self) -> str:
        page = (self.fixed(_CODE_PAGE) or self.fixed(_INTERNET_CODE_PAGE)) & 0xFFFFFFFF
        return codec_of_page(page, "cp1252") if page else ""

    def _table(self) -> Mapping[int, int]:
        data = self._stream(_PROPERTIES)
        starts = range(self.header_bytes, len(data) - _ENTRY_BYTES + 1, _ENTRY_BYTES)
        entries = (data[start : start + _ENTRY_BYTES] for start in starts)
        return {
            int.from_bytes(entry[2:4], "little"): int.from_bytes(entry[8:16], "little")
            for entry in entries
        }

    def _stream(self, name: str) -> bytes:
        path = [*self.path, name]
        if not self.file.exists(path):
            return b""
        data: bytes = self.file.openstream(path).read()
        return data


def _mail(storage: _Storage, *, depth: int) -> Mail:
    travelled = HeaderParser().parsestr(storage.text(_HEADERS))
    sender = storage.text(_SENDER)
    address = storage.text(_SENDER_SMTP) or storage.text(_SENDER_ADDRESS)
    shown = f"{sender} <{address}>" if "@" in address and address != sender else sender
    sent = _sent(storage) or _parsed_date(travelled.get("Date", ""))
    return Mail(
        subject=storage.text(_SUBJECT),
        headers=(
            ("From", shown or travelled.get("From", "")),
            ("To", storage.text(_TO) or travelled.get("To", "")),
            ("Cc", storage.text(_CC) or travelled.get("Cc", "")),
            ("Date", sent.isoformat(" ", "minutes") if sent else ""),
        ),
        date=sent.date().isoformat() if sent else "",
        body=(_body(storage),),
        attachments=tuple(_attachments(storage, depth)),
    )


def _body(storage: _Storage) -> ParsedDocument:
    plain, page = plain_body(storage.text(_BODY)), html_body(storage.html())
    if not plain.elements and not page.elements and (folded := storage.binary(_RTF)):
        return read_rtf(unfold_rtf(folded))
    return best_body(plain, page)


def _attachments(storage: _Storage, depth: int) -> Iterator[Attachment]:
    for part in storage.attachments():
        name = part.text(_LONG_NAME) or part.text(_SHORT_NAME) or part.text(_DISPLAY_NAME)
        inner = part.message()
        if inner is not None and depth < _DEEPEST:
            yield Attachment(name=name, data=_mail(inner, depth=depth + 1))
        elif data := part.binary(_DATA):
            yield Attachment(name=name, data=data, inline=bool(part.fixed(_HIDDEN) & 1))


def _sent(storage: _Storage) -> datetime | None:
    ticks = storage.fixed(_SENT) or storage.fixed(_DELIVERED)
    try:
        return _EPOCH + timedelta(microseconds=ticks // 10) if ticks else None
    except OverflowError:
        return None


def _parsed_date(value: str) -> datetime | None:
    try:
        return parsedate_to_datetime(value) if value else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
