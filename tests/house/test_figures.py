"""Figures that are shown are those that were measured."""

import re
from pathlib import Path

from benchmarks.side_by_side.results import load, picture
from docs.write_tables import FIRST_FIGURES, MEASURED, all_figures, first_figures


def test_the_readme_shows_what_was_kept(root: Path):
    found = FIRST_FIGURES.search((root / "README.md").read_text())
    assert found
    assert found[0].removeprefix(found[1]).removesuffix(found[2]) == first_figures()


def test_the_page_of_figures_is_written_from_what_was_kept(root: Path):
    assert (root / "benchmarks" / "FIGURES.md").read_text() == all_figures()


def test_every_picture_is_that_of_its_figures(root: Path):
    for name in MEASURED:
        kept = root / "benchmarks" / "results" / name
        result = load(kept.with_suffix(".json"))
        assert kept.with_suffix(".svg").read_text() == picture(result)
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", result.seen["day"])
