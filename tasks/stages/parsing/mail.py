"""What a message says: its headers, the best of its bodies, and what is attached.

Invariants: an attachment is parsed as the document that it is, under a heading that names it; one
that cannot be read costs itself alone, and is warned of; the name of an attachment never becomes
the name of a file.
"""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from index_store.attributes import DocumentAttributes
from index_store.records import Reason
from tasks.stages.parsing.builder import ElementBuilder
from tasks.stages.parsing.children import parse_child
from tasks.stages.parsing.elements import ElementKind, ParsedDocument
from tasks.stages.parsing.normalisation import count_words, one_line
from tasks.stages.parsing.refusal import ParseRefused
from tasks.stages.parsing.web import read_page

_DEEPEST = 8  # messages inside messages
_MOST_ATTACHMENTS = 500
_FEW_WORDS = 3
_NAME_CHARS = 120
_PLAIN_SHARE = 0.8
"""A plain body with fewer of the words of its HTML twin is a stub that points to it."""
_BLANK_LINES = re.compile(r"\n[ \t>]*(?:\n[ \t>]*)+")
_QUOTE_MARKS = re.compile(r"^(?:> ?)+", re.MULTILINE)
_PICTURE = re.compile(r"\.(?:png|jpe?g|gif|bmp|svg|webp|tiff?|ico|emf|wmf)$", re.IGNORECASE)
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,10}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """What hangs on a message.

    Attributes:
        name: Name that the sender gave it, possibly empty.
        data: Its bytes, or the message that it is.
        inline: Whether the body shows it, as it does pictures.
    """

    name: str
    data: "bytes | Mail"
    inline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One message.

    Attributes:
        subject: Its subject, possibly empty.
        headers: Names and values for a person, such as ("From", "A. Person <a@example.org>").
        date: Day on which it was sent as YYYY-MM-DD, or empty.
        body: What it says, in order.
        attachments: What hangs on it, in order.
        warnings: Notes for the report.
    """

    subject: str
    headers: tuple[tuple[str, str], ...]
    date: str
    body: tuple[ParsedDocument, ...]
    attachments: tuple[Attachment, ...]
    warnings: tuple[str, ...] = ()


def plain_body(text: str) -> ParsedDocument:
    """Return the paragraphs of a plain body, marks of quotation taken off."""
    builder = ElementBuilder()
    for paragraph in _BLANK_LINES.split(text.replace("\r\n", "\n")):
        builder.add(ElementKind.PARAGRAPH, _QUOTE_MARKS.sub("", paragraph))
    return builder.build()


def html_body(text: str) -> ParsedDocument:
    """Return what a body of HTML says."""
    return read_page(text)


def best_body(plain: ParsedDocument, page: ParsedDocument) -> ParsedDocument:
    """Return the one of two bodies that says the same in more detail.

    Args:
        plain: The body as plain text, possibly without elements.
        page: The body as HTML, possibly without elements.
    """
    structured = any(
        element.kind in (ElementKind.TABLE_ROW, ElementKind.HEADING) for element in page.elements
    )
    complete = _words(plain) >= _PLAIN_SHARE * _words(page)
    return plain if complete and not structured else page


def add_mail(builder: ElementBuilder, mail: Mail, *, level: int = 0, depth: int = 0) -> int:
    """Add a message and what hangs on it.

    Args:
        builder: Where it goes.
        mail: The message.
        level: Level of the heading that it stands under, 0 for none.
        depth: How many messages it is inside of.

    Returns:
        How many attached documents were read, those of messages inside included.
    """
    builder.add_heading(mail.subject, level + 1)
    for warning in mail.warnings:
        builder.warn(warning)
    builder.add(ElementKind.PARAGRAPH, _header(mail))
    for body in mail.body:
        builder.include(body, below=level + 1)
    if len(mail.attachments) > _MOST_ATTACHMENTS:
        builder.warn(f"only the first {_MOST_ATTACHMENTS} attachments were read")
    return sum(
        _add_attachment(builder, attachment, level=level + 1, depth=depth)
        for attachment in mail.attachments[:_MOST_ATTACHMENTS]
    )


def build_mail(mail: Mail) -> ParsedDocument:
    """Return a message as a document of its own.

    Raises:
        ParseRefused: Its header is all that it says.
    """
    builder = ElementBuilder()
    read = add_mail(builder, mail)
    words = _own_words(mail)
    if words < _FEW_WORDS and not read:
        raise ParseRefused(Reason.NO_TEXT, f"{words} words came out besides the header")
    builder.describe(DocumentAttributes(date=mail.date))
    return builder.build(title=mail.subject)


def _add_attachment(
    builder: ElementBuilder, attachment: Attachment, *, level: int, depth: int
) -> int:
    """Add an attachment; return how many documents were read for it."""
    name = one_line(attachment.name)
    data = attachment.data
    if isinstance(data, Mail):
        if depth >= _DEEPEST:
            builder.warn("messages inside messages were left out, there are too many")
            return 0
        builder.add_heading(f"Attachment: {name or 'message'}"[:_NAME_CHARS], level + 1)
        return add_mail(builder, data, level=level + 1, depth=depth + 1)
    ending = _EXTENSION.search(PurePosixPath(name).name)
    extension = ending[0].lower() if ending else ""
    try:
        parsed = _parse(data, extension)
    except ParseRefused as refusal:
        if not _PICTURE.search(extension):
            builder.warn(f"attachment{extension and ' ' + extension} not read: {refusal.detail}")
        return 0
    builder.add_heading(f"Attachment: {name or 'without a name'}"[:_NAME_CHARS], level + 1)
    builder.include(parsed, below=level + 1)
    return 1


def _parse(data: bytes, extension: str) -> ParsedDocument:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"attachment{extension}"
        path.write_bytes(data)
        return parse_child(path)


def _header(mail: Mail) -> str:
    return "; ".join(f"{name}: {value}" for name, value in mail.headers if value.strip())


def _own_words(mail: Mail) -> int:
    """Count what a message and those inside it say themselves, up to a few words."""
    bodies = (element.text for body in mail.body for element in body.elements)
    inside = (each.data for each in mail.attachments if isinstance(each.data, Mail))
    return count_words([mail.subject, *bodies], enough=_FEW_WORDS) + sum(map(_own_words, inside))


def _words(parsed: ParsedDocument) -> int:
    return sum(len(element.text.split()) for element in parsed.elements)
