"""Pictures: bars are where and as long as what they stand for, and need nothing around them."""

from lxml import etree

from tasks.stages.morning.night_picture import LEFT, RIGHT, WIDTH, night_svg
from tasks.stages.morning.nights_picture import SHOWN_NIGHTS, nights_svg, panels_of
from tasks.stages.run_records import RunEnd
from tests.tasks.stages.morning.builders import REPORT, night

BAR = "{http://www.w3.org/2000/svg}rect"


def bars(svg: str) -> list[etree._Element]:
    drawn = etree.fromstring(svg.encode())
    return [each for each in drawn.iter(BAR) if each.find("{*}title") is not None]


def test_a_bar_stands_where_its_stage_was_at_work():
    drawn = bars(night_svg(REPORT.timeline))
    wide = WIDTH - LEFT - RIGHT
    places = [(float(each.get("x", 0)), float(each.get("width", 0))) for each in drawn]
    expected = [
        (LEFT + wide * stretch.start_s / 9.5, wide * (stretch.end_s - stretch.start_s) / 9.5)
        for stretch in REPORT.timeline
    ]
    for (x, width), (left, wanted) in zip(places, expected, strict=True):
        assert abs(x - left) < 0.1
        assert abs(width - wanted) < 0.1
    assert drawn[1].get("y") == drawn[2].get("y") != drawn[0].get("y")


def test_a_night_without_stages_is_an_empty_picture():
    assert bars(night_svg(())) == []


def test_each_run_has_a_bar_in_each_panel_in_the_colour_of_its_end():
    runs = [night(1), night(2, end=RunEnd.FAILED, documents={}, figures={}), night(3)]
    drawn = bars(nights_svg(runs))
    assert len(drawn) == 4 * len(runs)
    first = [each.get("fill") for each in drawn[:3]]
    assert first[0] == first[2] != first[1]
    assert "failed: not known" in drawn[1].findtext("{*}title")


def test_only_the_last_nights_are_shown_and_none_is_fine():
    assert len(bars(nights_svg([night(number) for number in range(90)]))) == 4 * SHOWN_NIGHTS
    assert bars(nights_svg([])) == []


def test_what_costs_nothing_is_shown_in_tokens_and_golden_questions_come_first():
    assert [panel.title for panel in panels_of([night(1)])][1:] == [
        "spent on embedding",
        "duration",
        "nDCG of golden questions",
    ]
    free = night(1, cost={"billed_tokens": 7, "spent": 0.0}, figures={"readable_share": 0.5})
    _, cost, _, quality = panels_of([free])
    assert (cost.title, cost.values) == ("tokens embedded", (7,))
    assert quality.values == (0.5,)
