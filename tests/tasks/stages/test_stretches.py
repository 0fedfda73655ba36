"""Stretches of time: those that overlap are one, and there are never too many of them."""

from tasks.stages.stretches import Stretch, joined


def stretch(start_s: float, end_s: float) -> Stretch:
    return Stretch(stage="parse", start_s=start_s, end_s=end_s)


def test_overlapping_stretches_are_one_and_gaps_stay():
    found = joined([stretch(5, 6), stretch(0, 2), stretch(1, 3), stretch(1.5, 2)])
    assert found == [stretch(0, 3), stretch(5, 6)]


def test_the_smallest_gaps_close_when_there_are_too_many():
    found = joined([stretch(0, 1), stretch(1.1, 2), stretch(9, 10)], most=2)
    assert found == [stretch(0, 2), stretch(9, 10)]


def test_nothing_stays_nothing():
    assert joined([]) == []
