"""EPUB books: chapters in reading order, under their titles.

Invariant: only what the spine lists is read; a chapter that is missing or damaged costs itself
alone, and is warned of.
"""

import posixpath
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote
from zipfile import ZipFile

from lxml import etree

from index_store.attributes import DocumentAttributes
from index_store.records import Reason
from tasks.stages.parsing.archive import attribute, local_name, open_archive, read_xml
from tasks.stages.parsing.builder import ElementBuilder
from tasks.stages.parsing.elements import ElementKind, ParsedDocument
from tasks.stages.parsing.encoding import decode
from tasks.stages.parsing.normalisation import one_line
from tasks.stages.parsing.refusal import ParseRefused
from tasks.stages.parsing.web import read_page

_CONTAINER = "META-INF/container.xml"
_RIGHTS = "META-INF/encryption.xml"
_FONT_ALGORITHMS = ("idpf.org/2008/embedding", "ns.adobe.com/pdf/enc#RC")
_PAGES = ("application/xhtml+xml", "text/html", "text/x-oeb1-document")
_DAY_CHARS = len("2026-01-31")


def parse_epub(path: Path) -> ParsedDocument:
    """Parse an .epub file.

    Raises:
        ParseRefused: It is damaged, protected or no book.
    """
    with open_archive(path) as archive:
        if _is_protected(archive):
            raise ParseRefused(Reason.ENCRYPTED, "the book is protected against copying")
        name = _package_name(archive)
        package = read_xml(archive, name, declared=True)
        if package is None:
            raise ParseRefused(Reason.CORRUPT, "the package part of the book is missing")
        builder = ElementBuilder()
        for chapter in _spine(package, posixpath.dirname(name)):
            _add_chapter(builder, archive, chapter)
        return _build(builder, package)


def _add_chapter(builder: ElementBuilder, archive: ZipFile, name: str) -> None:
    try:
        data = archive.read(name)
    except KeyError:
        builder.warn("a chapter is missing")
        return
    decoded = decode(data)
    chapter = read_page(decoded.text, warnings=decoded.warnings)
    headed = any(element.kind is ElementKind.HEADING for element in chapter.elements)
    if chapter.elements and not headed and chapter.attributes.title:
        builder.add_heading(chapter.attributes.title, 1)
    builder.include(chapter)


def _build(builder: ElementBuilder, package: etree._Element) -> ParsedDocument:
    found: dict[str, list[str]] = {}
    for section in package:
        if local_name(section) == "metadata":
            for node in section.iter():
                if node.text and node.text.strip():
                    found.setdefault(local_name(node), []).append(one_line(node.text))
    builder.describe(
        DocumentAttributes(
            date=next(iter(found.get("date", ())), "")[:_DAY_CHARS],
            language=next(iter(found.get("language", ())), "").split("-")[0].lower(),
            keywords=tuple(found.get("subject", ())),
        )
    )
    return builder.build(title=next(iter(found.get("title", ())), ""))


def _package_name(archive: ZipFile) -> str:
    container = read_xml(archive, _CONTAINER, declared=True)
    for node in () if container is None else container.iter():
        if local_name(node) == "rootfile" and attribute(node, "full-path"):
            return attribute(node, "full-path")
    packages = [name for name in archive.namelist() if name.endswith(".opf")]
    if not packages:
        raise ParseRefused(Reason.CORRUPT, "the book does not say where its package is")
    return packages[0]


def _spine(package: etree._Element, folder: str) -> Iterator[str]:
    """Yield the names of the chapters in reading order, the table of contents left out."""
    items = {attribute(node, "id"): node for node in package.iter() if local_name(node) == "item"}
    for reference in (node for node in package.iter() if local_name(node) == "itemref"):
        item = items.get(attribute(reference, "idref"))
        if item is None or attribute(item, "media-type") not in _PAGES:
            continue
        if "nav" not in attribute(item, "properties").split():
            target = unquote(attribute(item, "href").partition("#")[0])
            yield posixpath.normpath(posixpath.join(folder, target))


def _is_protected(archive: ZipFile) -> bool:
    """Tell whether more than fonts is encrypted."""
    rights = read_xml(archive, _RIGHTS, declared=True)
    methods = [
        attribute(node, "Algorithm")
        for node in (() if rights is None else rights.iter())
        if local_name(node) == "EncryptionMethod"
    ]
    return not all(any(font in method for font in _FONT_ALGORITHMS) for method in methods)
