"""Sidecars from their bytes to what they say of one document.

Invariants: a sidecar that is no JSON is mended and told, or told and left out; one that says who
may read a document and cannot be read to its end lets nobody read it; what is nearer to the
document wins, field by field.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import json_repair
import orjson

from index_store.attributes import NO_ATTRIBUTES, DocumentAttributes
from index_store.records import Reason
from tasks.stages.parsing.encoding import decode
from tasks.stages.parsing.refusal import ParseRefused
from tasks.stages.sidecars.chapters import Chapter, is_chapter, read_chapters
from tasks.stages.sidecars.fields import find_field, names_rights, read_fields

_STRINGS = r"(?:\s*\"[^\"\n]*\"(?:\s*,)?)+"
_UNOPENED_LIST = re.compile(rf"(:\s*)({_STRINGS}\s*\])")
_LIST_CLOSED_TWICE = re.compile(rf"(:\s*\[{_STRINGS}\s*\])(?:\s*\])+")
"""Brackets that cannot be right inside an object; mended in general they would end what is around
the list as well."""

NOBODY = DocumentAttributes(groups=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What the sidecars of a document say of it.

    Attributes:
        attributes: Fields that describe it.
        chapters: Its chapters, in the order of the tree.
        keywords: Words that describe it as a whole, those of chapters left out.
        warnings: Notes for the report, each with the sidecar's name; never its content.
    """

    attributes: DocumentAttributes = NO_ATTRIBUTES
    chapters: tuple[Chapter, ...] = ()
    keywords: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read_sidecars(paths: Sequence[str], document: str) -> Described:
    """Read the sidecars of a document.

    Args:
        paths: From the outermost folder's to the document's own.
        document: Its file name, by which the sidecar of a folder may single it out.

    Raises:
        ParseRefused: A sidecar cannot be read, so that nobody knows what it would say.
    """
    described = Described()
    for path in paths:
        found = _read(Path(path), document)
        described = Described(
            attributes=overridden(described.attributes, found.attributes),
            chapters=found.chapters or described.chapters,
            keywords=_joined(found.keywords, described.keywords),
            warnings=(*described.warnings, *found.warnings),
        )
    return described


def overridden(under: DocumentAttributes, over: DocumentAttributes) -> DocumentAttributes:
    """Return attributes in which those of `over` win; keywords of both are kept, its own first."""
    stated = {
        each.name: value
        for each in fields(DocumentAttributes)
        if (value := getattr(over, each.name)) != getattr(NO_ATTRIBUTES, each.name)
    }
    stated["keywords"] = _joined(over.keywords, under.keywords)
    stated["extra"] = {**under.extra, **over.extra}
    return replace(under, **stated)


def _joined(first: Iterable[str], then: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *then)))


def _read(path: Path, document: str) -> Described:
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ParseRefused(
            Reason.CHANGED, f"sidecar {path.name} cannot be read: {reason}"
        ) from error
    try:
        text = decode(data).text
    except ParseRefused as refusal:
        return Described(warnings=(f"sidecar {path.name} is left out: {refusal.detail}",))
    content, slip = _content(text)
    if not isinstance(content, dict):
        return _left_out(path.name, text, slip)
    described = _described(content, document)
    notes = [f"is not valid JSON ({slip}) and was mended"] if slip else []
    notes += described.warnings
    attributes = described.attributes
    if slip and attributes.groups is None and names_rights(text):
        attributes = replace(attributes, groups=())
        notes.append("names groups that were lost in mending, so nobody may read it")
    told = tuple(f"sidecar {path.name}: {note}" for note in notes)
    return replace(described, attributes=attributes, warnings=told)


def _left_out(name: str, text: str, slip: str) -> Described:
    closed = names_rights(text)
    note = f"sidecar {name} is left out: {slip or 'it is no JSON object'}"
    return Described(
        attributes=NOBODY if closed else NO_ATTRIBUTES,
        warnings=(note + ("; it names groups, so nobody may read it" if closed else ""),),
    )


def _content(text: str) -> tuple[object, str]:
    """Return what a text says as JSON, and what is wrong with it, empty when nothing is."""
    try:
        return orjson.loads(text), ""
    except ValueError as error:
        slip = _where(error)
    text = _LIST_CLOSED_TWICE.sub(r"\1", _UNOPENED_LIST.sub(r"\1[\2", text))
    try:
        return json_repair.loads(text, skip_json_loads=True), slip
    except (ValueError, RecursionError):
        return None, slip


def _where(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):  # orjson's own error is one
        return f"line {error.lineno}, column {error.colno}"
    return "no place known"


def _described(content: Mapping[str, object], document: str) -> Described:
    """Return what an object says of a document, and its entry for that document over it."""
    chapters = [name for name, value in content.items() if is_chapter(name, value)]
    stated = read_fields(content, chapters)
    found = read_chapters(content)
    words = [word for chapter in found for word in chapter.keywords]
    attributes = replace(
        stated.attributes,
        keywords=_joined(stated.attributes.keywords, words),
    )
    described = Described(
        attributes=attributes,
        chapters=found,
        keywords=stated.attributes.keywords,
        warnings=stated.warnings,
    )
    singled = find_field(content, "documents")
    own = singled.get(document) if isinstance(singled, dict) else None
    if not isinstance(own, dict):
        return described
    inner = _described(dict(own), document)
    return Described(
        attributes=overridden(attributes, inner.attributes),
        chapters=inner.chapters or found,
        keywords=_joined(inner.keywords, described.keywords),
        warnings=(*stated.warnings, *inner.warnings),
    )
