"""Tables of PDF pages whose rules are drawn."""

from pathlib import Path

import pytest

from tasks.stages.parsing.elements import Element, ElementKind
from tasks.stages.parsing.page_tables import Rule, find_grids
from tasks.stages.parsing.pdf import parse_pdf
from tests.support.small_sources import pdf_of

CELLS = (
    ("Grade", "Duties", "Notice"),
    ("Clerk", "keeps the books", "one month"),
    ("Cook", "cooks for all", "two weeks"),
)
ACROSS = [Rule(700 - 30 * n, 50, 350) for n in range(4)]
DOWN = [Rule(50 + 100 * n, 610, 700) for n in range(4)]


def shown(text: str, x: float, y: float) -> str:
    return f"BT /F1 9 Tf {x} {y} Td ({text}) Tj ET "


def strokes(across: list[Rule], down: list[Rule]) -> str:
    lines = [f"{r.start} {r.at} m {r.end} {r.at} l S " for r in across]
    lines += [f"{r.at} {r.start} m {r.at} {r.end} l S " for r in down]
    return "".join(lines)


def boxes() -> str:
    """The same rules as a rectangle around each cell."""
    return "".join(
        f"{50 + 100 * column} {670 - 30 * row} 100 30 re S "
        for row in range(3)
        for column in range(3)
    )


def page(tmp_path: Path, drawn: str, beside: str = "") -> list[Element]:
    words = [
        shown(text, 55 + 100 * column, 680 - 30 * row)
        for column in range(3)  # a file may draw its columns one after the other
        for row, text in enumerate(cells[column] for cells in CELLS)
    ]
    above, below = shown("What everybody does", 50, 750), shown("Agreed in May by all.", 50, 500)
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf_of((above + drawn + "".join(words) + beside + below).encode()))
    return list(parse_pdf(path).elements)


@pytest.mark.parametrize("drawn", [strokes(ACROSS, DOWN), boxes()], ids=["lines", "boxes"])
def test_cells_of_words_stay_rows_between_the_text_around_them(tmp_path: Path, drawn: str):
    found = page(tmp_path, drawn)
    assert [each.text for each in found] == [
        "What everybody does",
        "Grade | Duties | Notice",
        "Clerk | keeps the books | one month",
        "Cook | cooks for all | two weeks",
        "Agreed in May by all.",
    ]
    kinds = [each.kind is ElementKind.TABLE_ROW for each in found]
    assert kinds == [False, True, True, True, False]
    assert [each.header for each in found[1:4]] == ["", *["Grade | Duties | Notice"] * 2]


def test_a_cell_over_several_columns_is_one(tmp_path: Path):
    down = [DOWN[0], Rule(150, 610, 670), Rule(250, 610, 670), DOWN[3]]
    texts = [each.text for each in page(tmp_path, strokes(ACROSS, down))]
    assert "Clerk | keeps the books | one month" in texts
    assert any("Grade" in text and "Notice" in text and "|" not in text for text in texts)


def test_text_beside_a_table_is_never_lost(tmp_path: Path):
    found = page(tmp_path, strokes(ACROSS, DOWN), shown("a note in the margin", 400, 650))
    assert not any(each.kind is ElementKind.TABLE_ROW for each in found)
    assert any("a note in the margin" in each.text for each in found)


def test_a_frame_around_a_page_is_no_table(tmp_path: Path):
    found = page(tmp_path, strokes([Rule(780, 30, 560), Rule(60, 30, 560)], [Rule(30, 60, 780)]))
    assert not any(each.kind is ElementKind.TABLE_ROW for each in found)


def test_rules_that_do_not_meet_are_two_grids_from_the_top():
    lower = [Rule(rule.at - 300, rule.start, rule.end) for rule in ACROSS]
    lower_down = [Rule(rule.at, rule.start - 300, rule.end - 300) for rule in DOWN]
    grids = find_grids([*lower, *ACROSS], [*lower_down, *DOWN])
    assert [grid.heights[0] for grid in grids] == [700, 400]
    assert [len(grid.heights) for grid in grids] == [4, 4]


def test_grids_side_by_side_are_left_alone():
    right = [Rule(rule.at, rule.start + 400, rule.end + 400) for rule in ACROSS]
    right_down = [Rule(rule.at + 400, rule.start, rule.end) for rule in DOWN]
    assert find_grids([*right, *ACROSS], [*right_down, *DOWN]) == []
