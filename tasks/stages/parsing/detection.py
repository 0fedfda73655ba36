"""What a file is by its content, whatever its name says.

Invariant: only the first bytes, the directory of an archive and the stream names of an OLE file are
looked at.
"""

import codecs
import mmap
import re
import struct
import zipfile
from pathlib import Path

from olefile import OleFileIO
from olefile.olefile import OleFileError

from index_store.records import Reason
from tasks.stages.parsing.refusal import ParseRefused

_HEAD_BYTES = 4096
_BLANKS = b" \t\r\n\v\f\0\xef\xbb\xbf\xfe\xff"  # the byte order marks too
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
OLE_ERRORS = (OleFileError, OSError, IndexError, ValueError, struct.error)
"""What olefile raises for damaged files."""
_FOREIGN = (
    (b"\x7fELF", "a program"),
    (b"MZ\x90\x00", "a program"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x89PNG\r\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"ID3", "sound (MP3)"),
    (b"OggS\x00", "sound or film (Ogg)"),
    (b"fLaC\x00", "sound (FLAC)"),
    (b"\x1aE\xdf\xa3", "a film (Matroska)"),
    (b"\x00asm", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"8BPS\x00\x01", "a Photoshop image"),
    (b"wOF", "a font"),
    (b"PAR1", "a Parquet table"),
    (b"ARROW1", "an Arrow table"),
)
_RIFF = (b"WAVE", b"AVI ", b"WEBP")
_COMPRESSED = (b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
_RICH_TEXT = b"{\\rtf"
_SPREADSHEET = b"urn:schemas-microsoft-com:office:spreadsheet"
_PROLOGUE = re.compile(rb"\A(?:<\?xml[^>]{0,200}\?>\s*|<!--.{0,2000}?-->\s*)+", re.DOTALL)
_HTML = re.compile(rb"<!doctype html|<html[\s>]|<table[\s>]", re.IGNORECASE)
_PACKAGES = (
    (b"application/epub+zip", "epub"),
    (b"application/vnd.oasis.opendocument.text", "odt"),
    (b"application/vnd.oasis.opendocument.spreadsheet", "ods"),
    (b"application/vnd.oasis.opendocument.presentation", "odp"),
)
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_JSON = re.compile(r"\s*(?:\{\s*[\"}]|\[\s*[\[{\"\]\d-])")
_MAILBOX = re.compile(r"From \S+ .*\d\d:\d\d.*\n[\w-]+:")
_MAIL_HEADERS = re.compile(
    r"^(?:from|to|cc|subject|date|message-id|received|mime-version|return-path|content-type"
    r"|delivered-to|x-[\w-]+):[ \t]",
    re.IGNORECASE | re.MULTILINE,
)
_ENOUGH_HEADERS = 3
_BOOK = "META-INF/container.xml"
_PARTS = (("word/", "docx"), ("xl/", "sheets"), ("ppt/", "pptx"))
_STREAMS = (
    ("__properties_version1.0", "msg"),
    ("EncryptedPackage", "encrypted"),
    ("Workbook", "sheets"),
    ("Book", "sheets"),
    ("WordDocument", "doc"),
    ("PowerPoint Document", "ppt"),
)


def detect(path: Path) -> str:
    """Return the parser that the content asks for, or "" when only the name can tell.

    Raises:
        ParseRefused: The content is a type that no parser reads, encrypted, or empty.
    """
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if not head.lstrip(_BLANKS):
        _refuse_blank(path)
    for magic, meaning in _FOREIGN:
        if head.startswith(magic):
            raise ParseRefused(Reason.UNSUPPORTED, f"the content is {meaning}")
    if head[4:8] == b"ftyp" or (head.startswith(b"RIFF") and head[8:12] in _RIFF):
        raise ParseRefused(Reason.UNSUPPORTED, "the content is sound, a film or an image")
    if head.startswith(b"%PDF-"):
        return "pdf"
    if head.startswith(_RICH_TEXT):
        return "rtf"
    if head.startswith(_COMPRESSED):
        return "compressed"
    if head.startswith(_OLE):
        return _detect_ole(path)
    if head.startswith(_ZIP):
        return _detect_zip(path)
    return _detect_markup(head)


def _refuse_blank(path: Path) -> None:
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            if piece.lstrip(_BLANKS):
                return
    raise ParseRefused(Reason.EMPTY, "nothing but blanks" if path.stat().st_size else "zero bytes")


def _detect_ole(path: Path) -> str:
    found = _root_kind(path) or _raw_kind(path)
    if not found:
        raise ParseRefused(Reason.UNSUPPORTED, "an OLE file of an unknown kind")
    if found == "encrypted":
        raise ParseRefused(Reason.ENCRYPTED, "a password is needed to open this Office document")
    return found


def _root_kind(path: Path) -> str:
    """Return the kind by the streams at the top, whatever documents are embedded below."""
    try:
        with OleFileIO(str(path)) as file:
            names = {entry[0].lower() for entry in file.listdir() if len(entry) == 1}
    except OLE_ERRORS:
        return ""
    return next((kind for name, kind in _STREAMS if name.lower() in names), "")


def _raw_kind(path: Path) -> str:
    """Return the kind of a file whose directory is damaged."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return next((kind for name, kind in _STREAMS if _stream(name).search(data)), "")


def _stream(name: str) -> re.Pattern[bytes]:
    """Return what finds the name of a stream in the directory of an OLE file."""
    return re.compile(re.escape(f"{name}\0".encode("utf-16-le")), re.IGNORECASE)


def _detect_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            kind = archive.read("mimetype") if "mimetype" in names else b""
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise ParseRefused(Reason.CORRUPT, "a damaged zip archive") from error
    for media_type, parser in _PACKAGES:
        if kind.strip().startswith(media_type):
            return parser
    if _BOOK in names:
        return "epub"
    for prefix, parser in _PARTS:
        if any(name.replace("\\", "/").lstrip("/").startswith(prefix) for name in names):
            return parser
    raise ParseRefused(Reason.UNSUPPORTED, "a zip archive that is no document")


def _detect_markup(head: bytes) -> str:
    if _SPREADSHEET in head:
        return "xml-sheets"
    bare = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if _HTML.match(_PROLOGUE.sub(b"", bare)):
        return "html"
    return "xml" if bare.startswith(b"<?xml") else ""


def detect_text(path: Path) -> str:
    """Return the parser for plain text whose name does not tell, or "" when it is no text.

    Only what is certain counts: UTF-8, or UTF-16 with its mark, without control characters.
    """
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    text = _certain_text(head)
    if not text or _CONTROLS.search(text):
        return ""
    if _MAILBOX.match(text):
        return "mbox"
    if len(_MAIL_HEADERS.findall(text)) >= _ENOUGH_HEADERS and _MAIL_HEADERS.match(text):
        return "eml"
    return "json" if _JSON.match(text) else "text"


def _certain_text(head: bytes) -> str:
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    decoder = codecs.getincrementaldecoder("utf-16" if wide else "utf-8-sig")()
    try:
        return decoder.decode(head)
    except UnicodeDecodeError:
        return ""
