"""What a file is by its content, compressed text, and old Office files."""

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from index_store.records import Reason
from tasks.stages.parsing import compressed
from tasks.stages.parsing.detection import detect, detect_text
from tasks.stages.parsing.dispatch import parse_as
from tasks.stages.parsing.elements import ParsedDocument
from tasks.stages.parsing.refusal import ParseRefused
from tasks.stages.parsing.registry import parser_for
from tests.tasks.stages.parsing.builders import write_docx, write_package

_WORDS = b"three plain words"


def _parse(tmp_path: Path, name: str, content: bytes) -> ParsedDocument:
    path = tmp_path / name
    path.write_bytes(content)
    return parse_as(path, parser_for(name))


def _refusal(tmp_path: Path, name: str, content: bytes) -> ParseRefused:
    with pytest.raises(ParseRefused, match=r"\w") as caught:
        _parse(tmp_path, name, content)
    return caught.value


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"%PDF-1.7\n", "pdf"),
        (b"{\\rtf1 x}", "rtf"),
        (b"<!DOCTYPE html><p>x", "html"),
        (b'<?xml version="1.0"?>\n<!-- c --><html><body>x', "html"),
        (b'<?xml version="1.0"?><feed>x</feed>', "xml"),
        (b"\x1f\x8b\x08\x00", "compressed"),
        (b"plain words", ""),
    ],
)
def test_marks_of_a_type_decide(tmp_path: Path, content: bytes, found: str):
    path = tmp_path / "a.bin"
    path.write_bytes(content)

    assert detect(path) == found


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"From: a@b.org\nTo: c@d.org\nSubject: x\n\nbody", "eml"),
        (b"From a@b.org Mon Mar  2 09:15:00 2026\nFrom: a@b.org\n\nbody", "mbox"),
        (b'{"a": 1}', "json"),
        ("des mots à lire".encode(), "text"),
        ("des mots à lire".encode("utf-16"), "text"),
        ("des mots à lire".encode("cp1252"), ""),
        (b"nul \0 inside", ""),
    ],
)
def test_plain_text_is_told_apart_by_what_is_certain(tmp_path: Path, content: bytes, found: str):
    path = tmp_path / "a.bin"
    path.write_bytes(content)

    assert detect_text(path) == found


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.doc", b"<html><body><p>three plain words</p></body></html>", "html"),
        ("a.xls", b"name\tage\nAda\t36\nMax\t7\n", "csv"),
        ("a.pdf", _WORDS, "text"),
        ("a.msg", b"From: a@b.org\nTo: c@d.org\nSubject: s\n\nthree plain words", "eml"),
        ("a.docx", b'{"text": "three plain words"}', "json"),
        ("a.txt", b'<?xml version="1.0"?><a>three plain words</a>', "xml"),
    ],
)
def test_disguised_document_is_parsed_as_what_it_is_and_noted(
    tmp_path: Path, name: str, content: bytes, found: str
):
    parsed = _parse(tmp_path, name, content)

    assert parsed.attributes.media_type == found
    assert parsed.warnings[0] == f"named as {parser_for(name).name}, parsed as {found}"


def test_text_of_marks_alone_is_read_as_text(tmp_path: Path):
    parsed = _parse(tmp_path, "a.txt", b'<?xml version="1.0"?><link rel="x" target="y"/>')

    assert parsed.attributes.media_type == "text"


def test_noise_is_text_under_no_name(tmp_path: Path):
    noise = bytes((7 * number * number + 13 * number) % 256 for number in range(1, 20_000))
    for name in ("a.pdf", "a.docx", "a.rtf", "a.eml", "a.json", "a.epub", "a.msg", "a.gz", "a.rst"):
        refusal = _refusal(tmp_path, name, noise)
        assert refusal.reason in (Reason.CORRUPT, Reason.UNSUPPORTED), name


def test_word_document_under_another_name_keeps_its_headings(tmp_path: Path):
    path = write_docx(tmp_path / "a.odt", "<w:p><w:r><w:t>three plain words</w:t></w:r></w:p>")

    assert parse_as(path, parser_for(path.name)).warnings == ("named as odt, parsed as docx",)


def test_archive_that_is_no_document_is_refused_by_name(tmp_path: Path):
    path = write_package(tmp_path / "a.docx", {"notes.txt": "three plain words"})
    with pytest.raises(ParseRefused, match="no document") as caught:
        parse_as(path, parser_for(path.name))

    assert caught.value.reason is Reason.UNSUPPORTED


@pytest.mark.parametrize(
    ("content", "meaning"),
    [
        (b"\0\0\0\x18ftypmp42", "film"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "sound"),
        (b"ID3\x04\0", "MP3"),
        (b"\x7fELF\x02", "program"),
        (b"PAR1\x15", "Parquet"),
    ],
)
def test_what_no_parser_reads_is_called_by_its_name(tmp_path: Path, content: bytes, meaning: str):
    refusal = _refusal(tmp_path, "a.pdf", content + bytes(200))

    assert refusal.reason is Reason.UNSUPPORTED
    assert meaning in refusal.detail


_COMPRESSORS = [
    (".gz", gzip.compress),
    (".bz2", bz2.compress),
    (".xz", lzma.compress),
    (".zst", zstandard.compress),
]


@pytest.mark.parametrize(("ending", "compress"), _COMPRESSORS)
def test_compressed_text_is_read_by_the_name_inside(
    tmp_path: Path, ending: str, compress: Callable[[bytes], bytes]
):
    parsed = _parse(tmp_path, f"a.csv{ending}", compress(b"name;age\nAda;36\nMax;7\n"))

    assert [element.text for element in parsed.elements] == ["name | age", "Ada | 36", "Max | 7"]
    assert parsed.warnings == ()


@pytest.mark.parametrize(("ending", "compress"), _COMPRESSORS)
def test_what_unfolds_to_too_much_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
    compress: Callable[[bytes], bytes],
):
    monkeypatch.setattr(compressed, "_MOST_BYTES", 1 << 20)
    refusal = _refusal(tmp_path, f"a.txt{ending}", compress(b"word " * (1 << 18)))

    assert refusal.reason is Reason.TOO_LARGE


def test_content_is_unfolded_only_when_the_name_says_so(tmp_path: Path):
    refusal = _refusal(tmp_path, "a.csv", gzip.compress(_WORDS))

    assert refusal.reason is Reason.UNSUPPORTED
    assert "name does not say so" in refusal.detail


def test_text_that_was_unfolded_and_kept_its_name_is_read(tmp_path: Path):
    parsed = _parse(tmp_path, "a.csv.gz", b"name;age\nAda;36\nMax;7\n")

    assert parsed.warnings == ("named as compressed, parsed as csv",)


def test_archive_of_files_is_refused_with_the_remedy(tmp_path: Path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"))
    for name in ("a.tar.gz", "a.gz"):
        refusal = _refusal(tmp_path, name, gzip.compress(buffer.getvalue()))
        assert (refusal.reason, "unpack" in refusal.detail) == (Reason.UNSUPPORTED, True)


def test_compressed_file_cut_off_is_refused(tmp_path: Path):
    content = gzip.compress(os.urandom(5000))[:-100]

    assert _refusal(tmp_path, "a.txt.gz", content).reason is Reason.CORRUPT


def _old_document(tmp_path: Path) -> Path:
    """Write a file that is known as an old Word document by the name of its stream alone."""
    path = tmp_path / "old.doc"
    head = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504)
    path.write_bytes(head + "WordDocument\0".encode("utf-16-le"))
    return path


def test_old_word_document_is_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    path = _old_document(tmp_path)
    with pytest.raises(ParseRefused, match=r"save it as \.docx, or install LibreOffice") as caught:
        parse_as(path, parser_for(path.name))

    assert caught.value.reason is Reason.UNSUPPORTED


def test_old_word_document_goes_through_libreoffice_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = write_docx(tmp_path / "made.docx", "<w:p><w:r><w:t>three plain words</w:t></w:r></w:p>")
    program = tmp_path / "soffice"
    program.write_text(f'#!/bin/sh\nfor last; do :; done\ncp {made} "${{last%.doc}}.docx"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    path = _old_document(tmp_path)

    parsed = parse_as(path, parser_for(path.name))

    assert [element.text for element in parsed.elements] == ["three plain words"]


def test_libreoffice_that_does_not_run_is_told_from_a_damaged_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    program = tmp_path / "soffice"
    program.write_text("#!/bin/sh\nexit 127\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    path = _old_document(tmp_path)

    with pytest.raises(ParseRefused, match="exit code 127: save it as") as caught:
        parse_as(path, parser_for(path.name))

    assert caught.value.reason is Reason.UNSUPPORTED
