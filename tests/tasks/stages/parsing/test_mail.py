"""Messages: headers, the best body, and attachments as documents of their own."""

from email.message import EmailMessage
from pathlib import Path

import pytest

from index_store.records import Reason
from tasks.stages.parsing.dispatch import parse_as
from tasks.stages.parsing.elements import ElementKind, ParsedDocument
from tasks.stages.parsing.messages import read_message
from tasks.stages.parsing.refusal import ParseRefused
from tasks.stages.parsing.registry import parser_for

_EXAMPLES = Path(__file__).parents[4] / "examples" / "documents" / "en"


def _parse(tmp_path: Path, content: bytes, name: str = "a.eml") -> ParsedDocument:
    path = tmp_path / name
    path.write_bytes(content)
    return parse_as(path, parser_for(name))


def _message(body: str = "three plain words", subject: str = "Hello") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Ada <ada@example.org>"
    message["To"] = "max@example.org"
    message["Date"] = "Mon, 02 Mar 2026 09:15:00 +0100"
    message["Subject"] = subject
    message.set_content(body)
    return message


def _texts(parsed: ParsedDocument) -> list[str]:
    return [element.text for element in parsed.elements]


def test_headers_and_body_are_kept_and_the_subject_is_the_title(tmp_path: Path):
    parsed = _parse(tmp_path, bytes(_message("one\ntwo\n\n> quoted words", "Réunion à Noël")))

    assert _texts(parsed) == [
        "Réunion à Noël",
        "From: Ada <ada@example.org>; To: max@example.org; Date: Mon, 02 Mar 2026 09:15:00 +0100",
        "one two",
        "quoted words",
    ]
    assert (parsed.attributes.title, parsed.attributes.date) == ("Réunion à Noël", "2026-03-02")
    assert parsed.attributes.media_type == "eml"


@pytest.mark.parametrize(
    ("plain", "html", "chosen"),
    [
        ("the whole text in plain words", "<p>the whole text in plain words</p>", "plain"),
        ("see the web page", "<p>a long text that stands in the page alone</p>", "html"),
        (
            "name age Ada 36",
            "<table><tr><td>name</td><td>age</td></tr><tr><td>Ada</td><td>36</td></tr></table>",
            "html",
        ),
    ],
)
def test_the_best_of_two_bodies_is_taken_once(tmp_path: Path, plain: str, html: str, chosen: str):
    message = _message(plain)
    message.add_alternative(f"<html><body>{html}</body></html>", subtype="html")
    body = _parse(tmp_path, bytes(message)).elements[2:]

    if chosen == "plain":
        assert [element.text for element in body] == [plain]
    else:
        assert plain not in " ".join(element.text for element in body)
        assert body[0].text in ("a long text that stands in the page alone", "name | age")


def test_attachment_is_parsed_under_a_heading_that_names_it(tmp_path: Path):
    message = _message()
    table = b"name;age\nAda;36\nMax;7\n"
    message.add_attachment(table, maintype="text", subtype="csv", filename="liste à jour.csv")
    parsed = _parse(tmp_path, bytes(message))

    assert [(e.kind, e.level) for e in parsed.elements[:4]] == [
        (ElementKind.HEADING, 1),
        (ElementKind.PARAGRAPH, 0),
        (ElementKind.PARAGRAPH, 0),
        (ElementKind.HEADING, 2),
    ]
    assert _texts(parsed)[3:] == [
        "Attachment: liste à jour.csv",
        "name | age",
        "Ada | 36",
        "Max | 7",
    ]
    assert parsed.elements[5].header == "name | age"
    assert parsed.elements[5].row == 2


def test_name_of_an_attachment_never_becomes_a_path(tmp_path: Path):
    message = _message()
    outside = tmp_path / "outside.txt"
    message.add_attachment(
        b"some words here", maintype="text", subtype="plain", filename=str(outside)
    )
    parsed = _parse(tmp_path, bytes(message))

    assert "some words here" in _texts(parsed)
    assert not outside.exists()


def test_attachment_that_cannot_be_read_costs_itself_alone(tmp_path: Path):
    message = _message()
    message.add_attachment(
        b"%PDF-1.7 broken", maintype="application", subtype="pdf", filename="a.pdf"
    )
    message.add_attachment(
        b"\x89PNG\r\n\x1a\n", maintype="image", subtype="png", filename="logo.png"
    )
    message.add_attachment("still to be read", filename="b.txt")
    parsed = _parse(tmp_path, bytes(message))

    assert _texts(parsed)[3:] == ["Attachment: b.txt", "still to be read"]
    assert [warning.split(":")[0] for warning in parsed.warnings] == ["attachment .pdf not read"]


def test_message_inside_a_message_is_read_with_its_own_attachment(tmp_path: Path):
    inner = _message("inner words are these", "Inner")
    inner.add_attachment("words of a note", filename="note.txt")
    outer = _message("outer words are these", "Outer")
    outer.add_attachment(inner)
    parsed = _parse(tmp_path, bytes(outer))

    headings = [(e.level, e.text) for e in parsed.elements if e.kind is ElementKind.HEADING]
    assert headings == [
        (1, "Outer"),
        (2, "Attachment: message"),
        (3, "Inner"),
        (4, "Attachment: note.txt"),
    ]
    assert "words of a note" in _texts(parsed)


def test_messages_inside_messages_without_end_are_cut(tmp_path: Path):
    message = _message("the innermost words")
    for _ in range(30):
        outer = _message()
        outer.add_attachment(message)
        message = outer
    parsed = _parse(tmp_path, bytes(message))

    assert "messages inside messages were left out, there are too many" in parsed.warnings


def test_bytes_decide_when_the_declared_charset_lies(tmp_path: Path):
    head = b"Subject: =?utf-8?B?w4l0w6k=?=\r\nFrom: \xe9mile@example.org\r\n"
    body = "été comme hiver, à Noël".encode("cp1252")
    content = head + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + body

    assert _texts(_parse(tmp_path, content)) == [
        "Été",
        "From: émile@example.org",
        "été comme hiver, à Noël",
    ]


def test_message_that_is_only_a_header_says_nothing(tmp_path: Path):
    with pytest.raises(ParseRefused, match="besides the header") as caught:
        _parse(tmp_path, bytes(_message("ok")))

    assert caught.value.reason is Reason.NO_TEXT


def test_mailbox_keeps_its_messages_apart(tmp_path: Path):
    one, two = bytes(_message(">From here on", "One")), bytes(_message("second words are", "Two"))
    line = b"From a@example.org Mon Mar  2 09:15:00 2026\n"
    parsed = _parse(tmp_path, line + one + b"\n" + line + two, "a.mbox")

    headings = [e.text for e in parsed.elements if e.kind is ElementKind.HEADING]
    assert headings == ["One", "Two"]
    assert {e.level for e in parsed.elements} == {0, 1}


def test_outlook_message_is_read_with_its_attachments():
    path = _EXAMPLES / "email-with-attachment.msg"
    parsed = parse_as(path, parser_for(path.name))

    assert _texts(parsed)[:3] == [
        "Email with Attachment",
        "From: Alice Example <alice@example.com>; To: Bob Example <bob@example.com>; "
        "Date: 2026-05-20 10:30+00:00",
        "This email contains an attachment.",
    ]
    assert "Attachment: test.txt" in _texts(parsed)
    assert parsed.attributes.date == "2026-05-20"


def test_outlook_message_under_the_name_of_a_mail_is_parsed_as_what_it_is(tmp_path: Path):
    content = (_EXAMPLES / "email-with-attachment.msg").read_bytes()
    parsed = _parse(tmp_path, content, "a.eml")

    assert parsed.warnings[0] == "named as eml, parsed as msg"


@pytest.mark.parametrize("content", [b"\x00\x01\x02 binary", b"plain words\nwithout a header"])
def test_what_has_no_header_is_no_message(content: bytes):
    with pytest.raises(ParseRefused, match="header") as caught:
        read_message(content)

    assert caught.value.reason is Reason.CORRUPT
