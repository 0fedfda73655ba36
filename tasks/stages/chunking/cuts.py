"""Where to cut a run of units: content-defined places, so that an edit moves only the cuts near it.

A place's rank is the strength of what starts there (heading, paragraph, sentence …), then a hash of
the words that start there. A run that is too long is cut at its best-ranked place, and so are its
halves: whether a place is cut depends on the run between the nearest better places alone, so that
an edit reaches the chunks beside it and no further.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence

from tasks.stages.chunking.units import Unit

Place = tuple[int, int]  # (index of the unit that starts there, rank)
Fits = Callable[[int, int], bool]  # whether units [start, stop) are no longer than a chunk
_LEAST_SHARE = 3  # of a chunk's room: nothing shorter is cut off while there is a choice


def rank(before: Unit, after: Unit) -> int:
    """Return the rank of the place between two units; larger is better.

    What stands before decides between equal beginnings only, so that an edit at the end of a
    paragraph leaves the place after it as good as it was.
    """
    return after.strength << 128 | after.near << 64 | before.near


def places(units: Sequence[Unit]) -> list[Place]:
    """Return the places where a run may be cut: anywhere but after a heading."""
    return [
        (index, rank(units[index - 1], units[index]))
        for index in range(1, len(units))
        if not units[index - 1].is_heading
    ]


def cuts(candidates: Sequence[Place], positions: Sequence[int], room: int, fits: Fits) -> list[int]:
    """Return the units before which a run is cut.

    Args:
        candidates: Places in reading order.
        positions: Token position at which each unit starts, one more than there are units.
        room: Tokens of the longest chunk, without what it repeats.
        fits: Tells whether a part needs no cut.

    Returns:
        Indexes of units in reading order. A part without any candidate stays too long.
    """
    found: list[int] = []
    waiting = [(0, len(positions) - 1)]
    while waiting:
        start, stop = waiting.pop()
        if fits(start, stop):
            continue
        index = _best(candidates, positions, (start, stop), room)
        if index is not None:
            found.append(index)
            waiting += [(start, index), (index, stop)]
    return sorted(found)


def _best(
    candidates: Sequence[Place], positions: Sequence[int], part: tuple[int, int], room: int
) -> int | None:
    """Return the best place of a part, away from its ends where possible."""
    start, stop = part
    size = positions[stop] - positions[start]
    least = room // _LEAST_SHARE
    for margin in (max(least, size - room) if size <= 2 * room - least else least, 0):
        low = bisect_left(positions, positions[start] + margin, start + 1, stop)
        high = bisect_right(positions, positions[stop] - margin, start + 1, stop)
        inner = candidates[bisect_left(candidates, (low, 0)) : bisect_left(candidates, (high, 0))]
        if inner:
            return max(inner, key=lambda place: place[1])[0]
    return None
