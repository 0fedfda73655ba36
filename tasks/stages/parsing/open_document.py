"""OpenDocument texts, presentations and spreadsheets (.odt, .odp, .ods).

Invariants: what tracked changes deleted is not read; every slide and every sheet row keeps its
number; a date is what its cell holds, however it is shown.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

from lxml import etree

from index_store.attributes import DocumentAttributes
from index_store.records import Reason
from tasks.stages.parsing.archive import attribute, local_name, open_archive, read_xml
from tasks.stages.parsing.builder import ElementBuilder, Place
from tasks.stages.parsing.delimited import add_table
from tasks.stages.parsing.elements import ParsedDocument
from tasks.stages.parsing.normalisation import one_line
from tasks.stages.parsing.open_sheets import hidden_styles, sheet_rows
from tasks.stages.parsing.open_text import FlowReader, read_styles
from tasks.stages.parsing.refusal import ParseRefused

_ENCRYPTED = frozenset(("encryption-data", "keyinfo"))
_DAY_CHARS = len("2026-01-31")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What an OpenDocument file consists of.

    Attributes:
        body: The text, presentation or spreadsheet itself.
        content: Root of the content part, which has styles of its own.
        styles: Root of the styles part, or None.
        meta: Root of the metadata part, or None.
    """

    body: etree._Element
    content: etree._Element
    styles: etree._Element | None
    meta: etree._Element | None


def parse_odt(path: Path) -> ParsedDocument:
    """Parse an .odt file.

    Raises:
        ParseRefused: It is damaged, encrypted or no OpenDocument.
    """
    with _open(path) as parts:
        reader = FlowReader(ElementBuilder(), read_styles(parts.styles, parts.content))
        reader.read_blocks(parts.body)
        return _build(reader.builder, parts)


def parse_odp(path: Path) -> ParsedDocument:
    """Parse an .odp file.

    Raises:
        ParseRefused: It is damaged, encrypted or no OpenDocument.
    """
    with _open(path) as parts:
        reader = FlowReader(ElementBuilder(), read_styles(parts.styles, parts.content))
        slides = (node for node in parts.body if local_name(node) == "page")
        for number, slide in enumerate(slides, start=1):
            reader.builder.move_to(Place(slide=number))
            reader.read_slide(slide)
        return _build(reader.builder, parts)


def parse_ods(path: Path) -> ParsedDocument:
    """Parse an .ods file.

    Raises:
        ParseRefused: It is damaged, encrypted, too large or no OpenDocument.
    """
    with _open(path) as parts:
        builder = ElementBuilder()
        hidden = hidden_styles(parts.content)
        for table in (node for node in parts.body if local_name(node) == "table"):
            if attribute(table, "style-name") in hidden:
                builder.warn("hidden sheets were left out")
                continue
            builder.move_to(Place(sheet=one_line(attribute(table, "name"))))
            add_table(builder, sheet_rows(table))
        return _build(builder, parts)


@contextmanager
def _open(path: Path) -> Iterator[_Parts]:
    with open_archive(path) as archive:
        _refuse_encrypted(archive)
        content = read_xml(archive, "content.xml", declared=True)
        if content is None:
            raise ParseRefused(Reason.CORRUPT, "the content part is missing")
        body = next((node for node in content if local_name(node) == "body"), None)
        main = next(iter(body), None) if body is not None else None
        if main is None:
            raise ParseRefused(Reason.CORRUPT, "the content part has no body")
        yield _Parts(
            body=main,
            content=content,
            styles=read_xml(archive, "styles.xml", declared=True),
            meta=read_xml(archive, "meta.xml", declared=True),
        )


def _refuse_encrypted(archive: ZipFile) -> None:
    manifest = read_xml(archive, "META-INF/manifest.xml", declared=True)
    for node in () if manifest is None else manifest.iter():
        if local_name(node) in _ENCRYPTED:
            raise ParseRefused(Reason.ENCRYPTED, "a password is needed to open this document")


def _build(builder: ElementBuilder, parts: _Parts) -> ParsedDocument:
    found: dict[str, list[str]] = {}
    for node in () if parts.meta is None else parts.meta.iter():
        if node.text and node.text.strip():
            found.setdefault(local_name(node), []).append(one_line(node.text))
    dates = found.get("date") or found.get("creation-date") or [""]
    builder.describe(
        DocumentAttributes(
            date=dates[0][:_DAY_CHARS],
            language=next(iter(found.get("language", ())), "").split("-")[0].lower(),
            keywords=tuple(found.get("keyword", ())),
        )
    )
    return builder.build(title=next(iter(found.get("title", ())), ""))
