"""Opens zip archives of XML parts, with bounds on what they may unfold to.

Invariants: no part is read before the whole archive was held to its bounds; XML is read without
entities from outside, without a network and without depth beyond libxml2's own limits.
"""

import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lxml import etree

from index_store.records import Reason
from tasks.stages.parsing.refusal import ParseRefused, describe

_MEBIBYTE = 1 << 20
_ENTRIES = 100_000
_UNFOLDED_BYTES = 1024 * _MEBIBYTE
_SUSPICIOUS_BYTES = 256 * _MEBIBYTE
_SUSPICIOUS_RATIO = 100  # text compresses 5 to 30 times
_ENCRYPTED_FLAG = 0x1
_CONTENT_TYPES = "[Content_Types].xml"


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive that keeps its bounds.

    Raises:
        ParseRefused: It is damaged, encrypted or unfolds to too much.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise ParseRefused(Reason.CORRUPT, describe(error)) from error
    with archive:
        _hold_to_bounds(archive)
        try:
            yield archive
        except (zipfile.BadZipFile, EOFError, NotImplementedError, zlib.error) as error:
            raise ParseRefused(Reason.CORRUPT, describe(error)) from error


@contextmanager
def open_package(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an Office document.

    Raises:
        ParseRefused: It is damaged, encrypted, unfolds to too much, or is no Office document.
    """
    with open_archive(path) as archive:
        if _CONTENT_TYPES not in archive.namelist():
            raise ParseRefused(Reason.CORRUPT, "a zip archive without the parts of a document")
        yield archive


def read_xml(
    archive: zipfile.ZipFile, part: str, *, declared: bool = False, entities: bool = False
) -> etree._Element | None:
    """Parse a part, or return None when it is absent.

    Args:
        archive: Where the part is.
        part: Its name.
        declared: Whether it may bear a document type declaration, as Office's parts never do.
        entities: Whether the entities that it defines are put in; others are left out.

    Raises:
        ParseRefused: It is no well-formed XML, or nested too deeply.
    """
    try:
        data = archive.read(part)
    except KeyError:
        return None
    return parse_xml(data, part, declared=declared, entities=entities)


def parse_xml(
    data: bytes, part: str, *, declared: bool = False, entities: bool = False
) -> etree._Element:
    """Parse the content of a part.

    Args:
        data: The content.
        part: What to call it in messages.
        declared: Whether it may bear a document type declaration.
        entities: Whether the entities that it defines are put in; others are left out.

    Raises:
        ParseRefused: It is no well-formed XML, or nested too deeply.
    """
    parser = etree.XMLParser(
        resolve_entities="internal" if entities else False, no_network=True, load_dtd=False
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        swollen = any(word in str(error).lower() for word in ("depth", "amplification", "loop"))
        reason = Reason.TOO_LARGE if swollen else Reason.CORRUPT
        raise ParseRefused(reason, f"part {posixpath.basename(part)}: {describe(error)}") from error
    if not declared and root.getroottree().docinfo.internalDTD is not None:
        raise ParseRefused(Reason.CORRUPT, "a document type declaration, which Office never writes")
    return root


def relations(archive: zipfile.ZipFile, part: str) -> dict[str, str]:
    """Return the parts that a part refers to, by the last word of the relation's type.

    Args:
        archive: The package.
        part: Name of the part, or "" for the package itself.
    """
    folder, name = posixpath.split(part)
    root = read_xml(archive, posixpath.join(folder, "_rels", f"{name}.rels"))
    found: dict[str, str] = {}
    for relation in () if root is None else root:
        kind = (relation.get("Type") or "").rpartition("/")[2]
        if relation.get("TargetMode") != "External":
            target = posixpath.join("/", folder, relation.get("Target") or "")
            found.setdefault(kind, posixpath.normpath(target).lstrip("/"))
    return found


def package_title(archive: zipfile.ZipFile) -> str:
    """Return the title in the core properties, or ""."""
    root = read_xml(archive, "docProps/core.xml")
    for node in () if root is None else root:
        if local_name(node) == "title":
            return node.text or ""
    return ""


def local_name(node: etree._Element) -> str:
    """Return the tag without its namespace; transitional and strict documents then look alike."""
    tag = node.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(node: etree._Element, name: str) -> str:
    """Return an attribute whatever its namespace, or ""."""
    for key, value in node.attrib.items():
        if str(key).rpartition("}")[2] == name:
            return str(value)
    return ""


def _hold_to_bounds(archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    unfolded = sum(entry.file_size for entry in entries)
    folded = sum(entry.compress_size for entry in entries) + 1
    if any(entry.flag_bits & _ENCRYPTED_FLAG for entry in entries):
        raise ParseRefused(Reason.ENCRYPTED, "the archive is encrypted")
    if len(entries) > _ENTRIES:
        raise ParseRefused(Reason.TOO_LARGE, f"{len(entries)} parts, the limit is {_ENTRIES}")
    bomb = unfolded > _SUSPICIOUS_BYTES and unfolded / folded > _SUSPICIOUS_RATIO
    if bomb or unfolded > _UNFOLDED_BYTES:
        raise ParseRefused(Reason.TOO_LARGE, f"unfolds from {folded} to {unfolded} bytes")
