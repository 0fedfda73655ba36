"""What a file is by its content, whatever its name says.

Invariant: only the first bytes, the directory of an archive and the stream names of an OLE file are
looked at.
"""

import mmap
import re
import zipfile
from pathlib import Path

from index_store.records import Reason
from tasks.stages.parsing.refusal import ParseRefused

_HEAD_BYTES = 4096
_BLANKS = b" \t\r\n\v\f\0\xef\xbb\xbf\xfe\xff"  # the byte order marks too
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_FOREIGN = (
    (b"\x7fELF", "a program"),
    (b"MZ\x90\x00", "a program"),
    (b"\x1f\x8b\x08", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x89PNG\r\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"{\\rtf", "an RTF document"),
)
_SPREADSHEET = b"urn:schemas-microsoft-com:office:spreadsheet"
_PROLOGUE = re.compile(rb"\A(?:<\?xml[^>]{0,200}\?>\s*|<!--.{0,2000}?-->\s*)+", re.DOTALL)
_HTML = re.compile(rb"<!doctype html|<html[\s>]|<table[\s>]", re.IGNORECASE)
_OPEN_DOCUMENT = b"application/vnd.oasis.opendocument"
_PARTS = (("word/", "docx"), ("xl/", "sheets"), ("ppt/", "pptx"))
_STREAMS = (
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
    if head.startswith(b"%PDF-"):
        return "pdf"
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
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = next((kind for name, kind in _STREAMS if _stream(name).search(data)), "")
    if not found:
        raise ParseRefused(Reason.UNSUPPORTED, "an OLE file of an unknown kind")
    if found == "encrypted":
        raise ParseRefused(Reason.ENCRYPTED, "a password is needed to open this Office document")
    if found in ("doc", "ppt"):
        detail = f"the content is an old .{found} document; save it as .{found}x"
        raise ParseRefused(Reason.UNSUPPORTED, detail)
    return found


def _stream(name: str) -> re.Pattern[bytes]:
    """Return what finds the name of a stream in the directory of an OLE file."""
    return re.compile(re.escape(f"{name}\0".encode("utf-16-le")), re.IGNORECASE)


def _detect_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if "mimetype" in names and archive.read("mimetype").startswith(_OPEN_DOCUMENT):
                raise ParseRefused(Reason.UNSUPPORTED, "the content is an OpenDocument file")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise ParseRefused(Reason.CORRUPT, "a damaged zip archive") from error
    for prefix, parser in _PARTS:
        if any(name.replace("\\", "/").lstrip("/").startswith(prefix) for name in names):
            return parser
    raise ParseRefused(Reason.UNSUPPORTED, "a zip archive that is no Office document")


def _detect_markup(head: bytes) -> str:
    if _SPREADSHEET in head:
        return "xml-sheets"
    start = _PROLOGUE.sub(b"", head.removeprefix(b"\xef\xbb\xbf").lstrip())
    return "html" if _HTML.match(start) else ""
