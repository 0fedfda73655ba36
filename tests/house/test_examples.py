"""The example documents show every format and may be passed on."""

import re
from pathlib import Path

from flows.setting_groups.source import DEFAULT_EXTENSIONS

MAX_BYTES = 3_000_000
LISTED = re.compile(r"^\| `(documents/[^`]+)` \|", re.MULTILINE)


def test_every_supported_extension_has_an_example(root: Path):
    examples = {path.suffix for path in (root / "examples" / "documents").rglob("*")}
    assert set(DEFAULT_EXTENSIONS) <= examples


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
    assert 20 <= len(sizes) <= 41
