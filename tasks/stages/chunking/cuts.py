"""Where to cut a run of units: content-defined places, so that an edit moves only the cuts near it.

A place's rank is the strength of what starts there (heading, paragraph, sentence …) and then a hash
of the texts on both sides. *Anchors* are places that outrank every other within one reach; they are
always cut, and nothing before an anchor influences a cut after it. Between anchors, chunks are
filled up to the best-ranked place in their last half.
"""

from collections import deque
from collections.abc import Sequence

from tasks.stages.chunking.units import Unit

Place = tuple[int, int]  # (index of the unit that starts there, rank)


def rank(before: Unit, after: Unit) -> int:
    """Return the rank of the place between two units; larger is better."""
    mixed = (before.near * 2654435761 + after.near * 40503) & 0xFFFFFFFF
    return after.strength << 32 | mixed


def places(units: Sequence[Unit]) -> list[Place]:
    """Return the places where a run may be cut: anywhere but after a heading."""
    return [
        (index, rank(units[index - 1], units[index]))
        for index in range(1, len(units))
        if not units[index - 1].is_heading
    ]


def anchors(candidates: Sequence[Place], positions: Sequence[int], reach: int) -> list[int]:
    """Return the units at which a cut is certain.

    Args:
        candidates: Places in reading order.
        positions: Token position at which each unit starts, one more than there are units.
        reach: Tokens on both sides within which an anchor outranks all others; also kept from the
            ends of the run, half of it.
    """
    first, last = reach // 2, positions[-1] - reach // 2
    inner = [place for place in candidates if first <= positions[place[0]] <= last]
    best: deque[Place] = deque()
    found = []
    ahead = 0
    for index, _ in inner:
        here = positions[index]
        while ahead < len(inner) and positions[inner[ahead][0]] <= here + reach:
            while best and best[-1][1] < inner[ahead][1]:
                best.pop()
            best.append(inner[ahead])
            ahead += 1
        while positions[best[0][0]] < here - reach:
            best.popleft()
        if best[0][0] == index:
            found.append(index)
    return found
