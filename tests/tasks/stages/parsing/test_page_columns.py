"""Two columns come out one after the other, however the file draws them."""

from pathlib import Path

from tasks.stages.parsing.page_columns import Piece, order_columns
from tasks.stages.parsing.pdf import parse_pdf
from tests.support.small_sources import pdf_of

Line = tuple[int, int, str]
LEFT = [f"left column line {n} with some words in it" for n in range(8)]
RIGHT = [f"right column line {n} with other words in" for n in range(8)]


def placed(x: int, texts: list[str], top: int = 700) -> list[Line]:
    return [(x, top - 12 * n, text) for n, text in enumerate(texts)]


def drawn(tmp_path: Path, lines: list[Line]) -> str:
    operators = " ".join(f"1 0 0 1 {x} {y} Tm ({text}) Tj" for x, y, text in lines)
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf_of(f"BT /F1 9 Tf {operators} ET".encode()))
    return " ".join(element.text for element in parse_pdf(path).elements)


def in_turns(one: list[Line], other: list[Line]) -> list[Line]:
    return [line for pair in zip(one, other, strict=True) for line in pair]


def interleaved() -> list[Line]:
    return [
        line for pair in zip(placed(40, LEFT), placed(320, RIGHT), strict=True) for line in pair
    ]


def test_columns_drawn_line_by_line_are_put_in_order(tmp_path: Path):
    assert drawn(tmp_path, interleaved()) == " ".join([*LEFT, *RIGHT])


def test_columns_drawn_one_after_the_other_are_left_alone(tmp_path: Path):
    text = drawn(tmp_path, placed(40, LEFT) + placed(320, RIGHT))
    assert text == " ".join([*LEFT, *RIGHT])


def test_a_title_across_both_columns_stays_on_top(tmp_path: Path):
    title = "A title that goes across both of the columns and names what is said in them, at length"
    text = drawn(tmp_path, [(40, 760, title), *interleaved()])
    assert text.startswith(title)
    assert text.endswith(" ".join([*LEFT, *RIGHT]))


def test_a_table_of_two_columns_is_read_row_by_row(tmp_path: Path):
    names = ["Name", "Day of birth", "City", "Street and its number", "Zip", "Tel", "Fax", "Mail"]
    values = ["Ada", "10 December 1815, a Sunday", "London", "12", "W1", "none", "no", "-"]
    lines = [
        line for pair in zip(placed(40, names), placed(320, values), strict=True) for line in pair
    ]
    text = drawn(tmp_path, lines)
    assert text.index("Ada") < text.index("City")


def test_few_lines_side_by_side_are_no_columns():
    pieces = [Piece(x, 700 - 12 * n, x + 200, 709 - 12 * n) for n in range(4) for x in (40, 320)]
    assert order_columns(pieces) is None
