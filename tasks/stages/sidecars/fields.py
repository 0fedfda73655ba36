"""What the fields of a sidecar mean, in the words that source systems use; pure.

Names are compared without case, accents and joiners, so `mots-clés`, `mots_cles` and `Mots clés`
are one.

Invariants: a field that is not understood is told, never dropped in silence; a statement about who
may read a document that is not understood lets nobody read it.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from index_store.attributes import NO_ATTRIBUTES, DocumentAttributes

_EXTRA_CHARS = 1000  # a longer value is content, not something to filter by

_NAMES = {
    "title": "title titre",
    "url": "url link lien adresse webui source_url",
    "date": "date last_modified modified updated published publication_date date_publication "
    "date_de_publication date_modification",
    "language": "language lang langue",
    "document_type": "document_type type doc_type type_document type_de_document nature category "
    "categorie",
    "theme": "theme topic subject sujet thematique domaine space",
    "keywords": "keywords mots_cles motscles tags etiquettes",
    "groups": "groups groupes allowed_groups rights droits permissions acl readers lecteurs",
    "page": "page pages",
    "documents": "documents files fichiers",
    "children": "chapters chapitres chapitre parts parties partie sections section sous_sections "
    "sous_section subsections children toc sommaire",
}
_FIELD_OF = {name: field for field, names in _NAMES.items() for name in names.split()}
_TEXTS = ("title", "url", "language", "document_type", "theme")

_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
_ISO_DAY = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?!\d)|(\d{4})(\d{2})(\d{2})(?!\d)")
_DAY_FIRST = re.compile(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})(?!\d)")
_LONG_DAY = re.compile(r"(\d{1,2})(?:er|st|nd|rd|th)?\s+([^\W\d_]+)\.?\s+(\d{4})")
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "janvier january",
            "fevrier february",
            "mars march",
            "avril april",
            "mai may",
            "juin june",
            "juillet july",
            "aout august",
            "septembre september",
            "octobre october",
            "novembre november",
            "decembre december",
        ),
        1,
    )
    for name in names.split()
}
_LISTED = re.compile(r"\s*[;,|\n]\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What the fields of one object state.

    Attributes:
        attributes: The fields that describe a document.
        warnings: One note per field that was not understood; never its value.
    """

    attributes: DocumentAttributes = NO_ATTRIBUTES
    warnings: tuple[str, ...] = ()


def plain_name(name: str) -> str:
    """Return a name in the form in which names are compared."""
    decomposed = unicodedata.normalize("NFKD", name)
    letters = "".join(each for each in decomposed if not unicodedata.combining(each))
    return _NOT_IN_NAMES.sub("_", letters.casefold()).strip("_")


def field_of(name: str) -> str:
    """Return which field a name stands for, empty when it is not known."""
    return _FIELD_OF.get(plain_name(name), "")


def find_field(fields: Mapping[str, object], wanted: str) -> object:
    """Return the first value that stands for a field, or None."""
    return next((value for name, value in fields.items() if field_of(name) == wanted), None)


def read_fields(fields: Mapping[str, object], passed_over: Iterable[str] = ()) -> Stated:
    """Read the fields of an object.

    Args:
        fields: Values by name.
        passed_over: Names that mean something else where they stand, such as chapters.
    """
    reader = _Reader(set(passed_over))
    for name, value in fields.items():
        reader.take(name, value)
    return reader.stated()


def names_rights(text: str) -> bool:
    """Tell whether a text that is no JSON seems to state who may read a document."""
    named = re.findall(r"[\"']([^\"'\n]{1,40})[\"']\s*:", text)
    return any(field_of(name) == "groups" for name in named)


def names_a_field(names: Iterable[str]) -> bool:
    """Tell whether any of these names is one that a sidecar has."""
    return any(field_of(name) for name in names)


class _Reader:
    def __init__(self, passed_over: set[str]) -> None:
        self._passed_over = passed_over
        self._values: dict[str, str] = {}
        self._keywords: dict[str, None] = {}
        self._groups: tuple[str, ...] | None = None
        self._extra: dict[str, str] = {}
        self._warnings: list[str] = []

    def stated(self) -> Stated:
        attributes = DocumentAttributes(
            **self._values,
            keywords=tuple(self._keywords),
            groups=self._groups,
            extra=dict(sorted(self._extra.items())),
        )
        return Stated(attributes=attributes, warnings=tuple(self._warnings))

    def take(self, name: str, value: object) -> None:
        field = field_of(name)
        if name in self._passed_over or field in ("documents", "children"):
            return
        if field == "groups":
            self._restrict(name, value)
        elif value is None or value in ("", [], {}):
            return
        elif field == "keywords":
            self._keywords.update(dict.fromkeys(listed(value)))
        elif field == "date":
            self._take_day(name, value)
        elif field in _TEXTS and field not in self._values and (text := _text(value)):
            self._values[field] = text.lower()[:2] if field == "language" else text
        else:
            self._keep(name, value)

    def _restrict(self, name: str, value: object) -> None:
        """Narrow who may read: a second statement can only take away."""
        if isinstance(value, dict):
            inner = [each for each in value if field_of(each) == "groups"]
            value = value[inner[0]] if len(inner) == len(value) == 1 else 0
        if isinstance(value, str):
            value = [part for part in _LISTED.split(value.strip()) if part]
        if isinstance(value, list) and all(isinstance(each, str) and each for each in value):
            stated = tuple(dict.fromkeys(value))
        else:
            stated = ()
            self._warnings.append(f"field {name!r} is not understood, so nobody may read it")
        before = self._groups
        self._groups = stated if before is None else tuple(g for g in before if g in stated)

    def _take_day(self, name: str, value: object) -> None:
        day = day_of(str(value))
        if day and "date" not in self._values:
            self._values["date"] = day
        else:
            if not day:
                self._warnings.append(f"field {name!r} is no date")
            self._keep(name, value)

    def _keep(self, name: str, value: object) -> None:
        text = _text(value) or ", ".join(listed(value))
        if not text:
            self._warnings.append(f"field {name!r} is not understood")
        elif len(text) > _EXTRA_CHARS:
            self._warnings.append(f"field {name!r} is longer than {_EXTRA_CHARS} characters")
        else:
            self._extra[name] = text


def listed(value: object) -> Iterator[str]:
    """Yield the texts of a list, or of a text that lists them with commas or semicolons."""
    if isinstance(value, str):
        yield from (part for part in _LISTED.split(value.strip()) if part)
    elif isinstance(value, list):
        for each in value:
            if text := _text(each):
                yield text


def day_of(text: str) -> str:
    """Return the day that a text begins with as YYYY-MM-DD, empty when there is none."""
    plain = text.strip()
    if match := _ISO_DAY.match(plain):
        year, month, day = (int(part) for part in match.groups() if part)
    elif match := _DAY_FIRST.match(plain):
        day, month, year = (int(part) for part in match.groups())
    elif match := _LONG_DAY.match(plain):
        month = _MONTHS.get(plain_name(match[2]), 0)
        day, year = int(match[1]), int(match[3])
    else:
        return ""
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return ""


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return " ".join(str(value).split())
    return ""
