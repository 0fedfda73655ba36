"""Tables of figures among the lines of a page stay rows."""

from tasks.stages.parsing.builder import ElementBuilder
from tasks.stages.parsing.elements import ElementKind
from tasks.stages.parsing.page_layout import add_page
from tasks.stages.parsing.table_lines import find_rows

TABLE = [
    "Total . . . . . . 11,062.6 1,540.0 9,522.6",
    "Violent crime ........ 459.8 69.1 390.7",
    "Other (n.e.c.) 10.5% - (X)",
]


def test_lines_that_end_in_as_many_figures_are_rows():
    found = find_rows(["Offense Total Under 18 Over", *TABLE, "Source: the bureau."])
    assert found == {
        1: ["Total", "11,062.6", "1,540.0", "9,522.6"],
        2: ["Violent crime", "459.8", "69.1", "390.7"],
        3: ["Other (n.e.c.)", "10.5%", "-", "(X)"],
    }


def test_two_lines_another_width_and_tables_of_contents_are_no_table():
    assert find_rows(TABLE[:2]) == {}
    assert find_rows([*TABLE[:2], "Other 1 2"]) == {}
    assert find_rows([f"{n}.1 Chapter . . . . . {n * 7}" for n in range(1, 9)]) == {}


def test_sentences_that_end_in_numbers_are_no_table():
    lines = ["In the years of which we speak there were many more than in those of 2010 2011"] * 4
    assert find_rows(lines) == {}


def test_a_page_keeps_its_prose_around_its_rows():
    builder = ElementBuilder()
    add_page(builder, "\n".join(["Before it.", *TABLE, "After it."]), ())
    kinds = [(element.kind, element.text) for element in builder.build().elements]
    assert kinds == [
        (ElementKind.PARAGRAPH, "Before it."),
        (ElementKind.TABLE_ROW, "Total | 11,062.6 | 1,540.0 | 9,522.6"),
        (ElementKind.TABLE_ROW, "Violent crime | 459.8 | 69.1 | 390.7"),
        (ElementKind.TABLE_ROW, "Other (n.e.c.) | 10.5% | - | (X)"),
        (ElementKind.PARAGRAPH, "After it."),
    ]
