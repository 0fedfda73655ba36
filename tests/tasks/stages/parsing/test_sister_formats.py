"""Endings that share a parser with a better known one, on real files or as programs write them."""

import gzip
import shutil
from pathlib import Path

import pytest

from tasks.stages.parsing.dispatch import parse_as
from tasks.stages.parsing.elements import ElementKind
from tasks.stages.parsing.registry import parser_for

_DOCUMENTS = Path(__file__).parents[3] / "data" / "documents"


@pytest.mark.parametrize(
    ("real", "sisters"),
    [
        ("tables.docx", (".docm", ".dotx", ".dotm")),
        ("cells.pptx", (".pptm", ".ppsx", ".potx")),
        ("titled.xlsx", (".xlsm",)),
        ("preavis.html", (".htm", ".xhtml")),
        ("question.md", (".MD",)),
    ],
)
def test_a_sister_is_read_like_the_file_that_it_is(
    tmp_path: Path, real: str, sisters: tuple[str, ...]
):
    known = parse_as(_DOCUMENTS / real, parser_for(real))
    for ending in sisters:
        path = tmp_path / f"copy{ending}"
        shutil.copyfile(_DOCUMENTS / real, path)
        assert parse_as(path, parser_for(path.name)).elements == known.elements
        assert not parse_as(path, parser_for(path.name)).warnings[len(known.warnings) :]


def test_tabs_make_the_columns_of_a_tsv(tmp_path: Path):
    path = tmp_path / "a.tsv"
    path.write_text("name\tnotice\nclerk\tone month, paid\ncook\ttwo weeks\n")
    rows = parse_as(path, parser_for(path.name)).elements
    assert [row.text for row in rows] == [
        "name | notice",
        "clerk | one month, paid",
        "cook | two weeks",
    ]
    assert rows[1].header == "name | notice"


def test_every_line_of_a_log_stands_for_itself_with_its_trace(tmp_path: Path):
    path = tmp_path / "a.log.gz"
    lines = "12:00 batch 7 began\n12:01 batch 7 failed\n  at release()\n12:02 batch 8 began\n"
    path.write_bytes(gzip.compress(lines.encode()))
    found = parse_as(path, parser_for(path.name)).elements
    assert [(each.kind, each.text) for each in found] == [
        (ElementKind.PARAGRAPH, "12:00 batch 7 began"),
        (ElementKind.PARAGRAPH, "12:01 batch 7 failed at release()"),
        (ElementKind.PARAGRAPH, "12:02 batch 8 began"),
    ]
