"""Running heads, feet and page numbers go; what is text stays."""

from tasks.stages.parsing.page_furniture import drop_furniture


def pages(*bodies: str, head: str = "", foot: str = "") -> list[str]:
    return [
        "\n".join(part for part in (head.format(n=n), body, foot.format(n=n)) if part)
        for n, body in enumerate(bodies, start=1)
    ]


WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
BODIES = ("First text.", "Second text.", "Third text.", "Fourth text.")


def test_a_running_head_stays_on_the_first_page_alone():
    found = drop_furniture(pages(*BODIES, head="Guide of good practice"))
    assert found == ["Guide of good practice\nFirst text.", *BODIES[1:]]


def test_lines_that_count_pages_go_everywhere():
    for foot in ("{n}", "- {n} -", "Page {n} of 4", "Guide 2019 | {n}"):
        assert drop_furniture(pages(*BODIES, foot=foot)) == list(BODIES)


def test_page_numbers_that_begin_elsewhere_are_noticed():
    made = [f"{body}\n{number}" for number, body in enumerate(BODIES, start=17)]
    assert drop_furniture(made) == list(BODIES)


def test_two_lines_of_head_and_foot_go_from_the_edge_inwards():
    made = pages(*BODIES, head="Ministry\nDraft of 3 May", foot="Confidential\n{n}/4")
    assert drop_furniture(made)[2] == "Third text."


def test_heads_that_alternate_or_change_with_the_chapter_go():
    made = [f"{'Left' if n % 2 else 'Right'} head\n{WORDS[n]}" for n in range(8)]
    assert drop_furniture(made)[3:5] == WORDS[3:5]


def test_numbered_headings_at_the_top_of_pages_stay():
    made = [f"Article {number}\nSomething else, {number * 7}." for number in (3, 11, 12, 40, 51)]
    assert drop_furniture(made) == made


def test_a_row_of_figures_at_the_foot_stays():
    made = [f"text {a * b}\n{a} {b}" for a, b in ((14, 3), (99, 4), (7, 12), (81, 2))]
    assert drop_furniture(made) == made


def test_what_repeats_inside_a_page_stays():
    made = [f"top {n * n} x\na\nb\nThe same line\nc\nd\nbottom {n * n} y" for n in range(1, 7)]
    assert drop_furniture(made) == made


def test_a_title_beside_the_page_number_stays_on_the_first_page():
    found = drop_furniture(pages(*BODIES, foot="Guide to safe beds {n}"))
    assert found == ["First text.\nGuide to safe beds 1", *BODIES[1:]]


def test_a_page_that_would_lose_all_its_words_keeps_them():
    assert drop_furniture(["Same"] * 4) == ["Same"] * 4
    numbered = [f"Page\n{number}" for number in range(1, 5)]
    assert drop_furniture(numbered)[1:] == numbered[1:]


def test_two_pages_are_too_few_to_tell():
    made = pages("One.", "Two.", head="Head")
    assert drop_furniture(made) == made
