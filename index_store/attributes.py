"""What is known of a document besides its text: what filters, citations and rights are made of.

Attributes come from the document itself, from a sidecar beside it or from a file of its folder.

Invariants: frozen; canonical JSON, so equal attributes are equal bytes; unknown fields of a JSON
text are refused, since a right that is not understood must never widen who may read.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

import orjson

from index_store.errors import CorruptArtifactError


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentAttributes:
    """What is known of one document.

    Attributes:
        title: Title, empty when there is none.
        url: Address at which a person finds the document, empty when there is none.
        date: Day of the document as YYYY-MM-DD, empty when not known.
        language: Primary language tag such as "fr", empty when not known.
        media_type: What the content was found to be, such as "pdf"; the name of a parser.
        document_type: Kind of document in the words of the sidecar, such as "guideline".
        theme: Subject in the words of the sidecar.
        keywords: Words that describe it, in the order given.
        groups: Groups that may read it; None means everybody, empty means nobody.
        extra: Every other field of the sidecar, as text.
    """

    title: str = ""
    url: str = ""
    date: str = ""
    language: str = ""
    media_type: str = ""
    document_type: str = ""
    theme: str = ""
    keywords: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


NO_ATTRIBUTES = DocumentAttributes()


def encode_attributes(attributes: DocumentAttributes) -> str:
    """Return canonical JSON that leaves out whatever is not known; empty for `NO_ATTRIBUTES`."""
    known = {
        name: value
        for name, value in asdict(attributes).items()
        if value != getattr(NO_ATTRIBUTES, name)
    }
    return orjson.dumps(known, option=orjson.OPT_SORT_KEYS).decode() if known else ""


def decode_attributes(text: str, name: str) -> DocumentAttributes:
    """Read what `encode_attributes` wrote.

    Args:
        text: The JSON text, or the empty text.
        name: What to call it in messages.

    Raises:
        CorruptArtifactError: It is something else.
    """
    if not text:
        return NO_ATTRIBUTES
    try:
        line = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise CorruptArtifactError(f"{name}: attributes are not JSON: {error}") from error
    if not isinstance(line, dict):
        raise CorruptArtifactError(f"{name}: attributes are not an object")
    problems = sorted(_problems(line))
    if problems:
        raise CorruptArtifactError(f"{name}: attributes: {'; '.join(problems)}")
    for listed in ("keywords", "groups"):
        if listed in line:
            line[listed] = tuple(line[listed])
    return DocumentAttributes(**line)


def _problems(line: Mapping[str, object]) -> list[str]:
    known = {each.name for each in fields(DocumentAttributes)}
    problems = [f"{name} is not known" for name in line.keys() - known]
    for name in line.keys() & known:
        value = line[name]
        if name in ("keywords", "groups"):
            fits = isinstance(value, list) and all(isinstance(each, str) for each in value)
        elif name == "extra":
            fits = isinstance(value, dict) and all(isinstance(v, str) for v in value.values())
        else:
            fits = isinstance(value, str)
        if not fits:
            problems.append(f"{name} is of the wrong type")
    return problems
