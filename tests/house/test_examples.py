"""The example documents show every format and may be passed on."""

import re
from pathlib import Path

from flows.setting_groups.source import DEFAULT_EXTENSIONS
from tasks.stages.parsing.registry import parser_for

MAX_BYTES = 3_000_000
REFUSED = {"doc", "ppt"}
"""Formats that are known only to name the remedy."""
LISTED = re.compile(r"^\| `(documents/[^`]+)` \|", re.MULTILINE)


def test_every_default_format_has_an_example(root: Path):
    files = [path for path in (root / "examples" / "documents").rglob("*") if path.is_file()]
    shown = {parser_for(path.name).name for path in files}

    assert {parser_for(f"a{ending}").name for ending in DEFAULT_EXTENSIONS} - shown == REFUSED


def test_every_example_has_its_licence_and_nothing_else_is_listed(root: Path):
    folder = root / "examples"
    files = {
        path.relative_to(folder).as_posix()
        for path in (folder / "documents").rglob("*")
        if path.is_file()
    }
    assert set(LISTED.findall((folder / "LICENCES.md").read_text())) == files


def test_examples_stay_small(root: Path):
    sizes = [path.stat().st_size for path in (root / "examples").rglob("*") if path.is_file()]
    assert sum(sizes) < MAX_BYTES
    assert 20 <= len(sizes) <= 60
