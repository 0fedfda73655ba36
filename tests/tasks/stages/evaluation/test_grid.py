"""The grid: what marks add up to, whose marks count, and how two versions compare."""

from dataclasses import replace

import pytest

from tasks.stages.evaluation.grid import (
    BY_MODEL,
    Evaluation,
    Mark,
    Row,
    compare,
    summarise,
    with_marks,
)


def mark(exactness: float, completeness: float, form: float, **more: str) -> Mark:
    return Mark(exactness=exactness, completeness=completeness, format=form, **more)  # type: ignore[arg-type]


def row(number: int, given: Mark | None = None) -> Row:
    return Row(id=f"q{number}", question=f"Question {number}?", mark=given)


def evaluation(*rows: Row, version: str = "b" * 64) -> Evaluation:
    return Evaluation(version=version, run="r", at_ms=0, answered_by="x", rows=rows)


def test_a_mark_is_half_exactness_three_tenths_completeness_two_tenths_format():
    assert mark(10, 0, 0).final == pytest.approx(5)
    assert mark(0, 10, 0).final == pytest.approx(3)
    assert mark(0, 0, 10).final == pytest.approx(2)


def test_twenty_questions_of_known_sums_give_the_known_final_mark():
    exact = [9.0] * 20  # 180
    complete = [8.0] * 11 + [9.0] * 9  # 169
    form = [9.0] * 19 + [10.0]  # 181
    rows = [
        row(n, mark(e, c, f)) for n, (e, c, f) in enumerate(zip(exact, complete, form, strict=True))
    ]
    means = summarise(evaluation(*rows)).means
    assert means == pytest.approx(
        {"exactness": 9.0, "completeness": 8.45, "format": 9.05, "final": 8.845}
    )


def test_what_nobody_marked_counts_in_no_mean():
    told = summarise(evaluation(row(1, mark(4, 4, 4)), row(2)))
    assert (told.questions, told.marked, told.means["final"]) == (2, 1, pytest.approx(4))
    assert summarise(evaluation(row(1))).means == {}
    assert (
        summarise(evaluation(replace(row(1), found=1.0), replace(row(2), found=0.5))).found == 0.75
    )


def test_marks_of_people_take_the_place_of_a_models_and_several_are_averaged():
    rows = (row(1, mark(1, 1, 1, by=BY_MODEL)), row(2, mark(2, 2, 2, by=BY_MODEL)))
    marked = with_marks(rows, {"q1": [mark(8, 6, 4, note="so"), mark(10, 8, 6, note="yes")]})
    assert marked[0].mark == mark(9, 7, 5, note="so; yes")
    assert marked[1] == rows[1]


def test_versions_compare_over_what_both_marked_the_greatest_loss_first():
    before = evaluation(
        row(1, mark(9, 9, 9)),
        row(2, mark(9, 9, 9)),
        row(3, mark(1, 1, 1)),
        row(4),
        version="a" * 64,
    )
    now = evaluation(
        row(1, mark(8, 8, 8)), row(2, mark(2, 2, 2)), row(3, mark(1, 1, 1)), row(5, mark(3, 3, 3))
    )
    told = compare(now, before)
    assert (told.version, told.common) == ("a" * 64, 3)
    assert [change.id for change in told.changes] == ["q2", "q1"]
    assert told.before["final"] == pytest.approx(19 / 3)
    assert told.now["final"] == pytest.approx(11 / 3)
    nothing = compare(now, evaluation())
    assert (nothing.common, nothing.before, nothing.changes) == (0, {}, ())
