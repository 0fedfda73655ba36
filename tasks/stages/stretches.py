"""When stages were at work, as few stretches of time as a picture needs; pure.

Invariant: the stretches of a stage are sorted, and between two of them it was not at work.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

MOST = 60  # stretches of one stage; more would be thinner than a line of the picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A time in which a stage was at work.

    Attributes:
        stage: Name of the stage.
        start_s: Seconds from the beginning of the run.
        end_s: Likewise.
    """

    stage: str
    start_s: float
    end_s: float

    def as_json(self) -> dict[str, object]:
        """Return it as plain values."""
        return {
            "stage": self.stage,
            "start_s": round(self.start_s, 3),
            "end_s": round(self.end_s, 3),
        }


def joined(stretches: Iterable[Stretch], most: int = MOST) -> list[Stretch]:
    """Return the stretches of one stage, those that overlap as one.

    Args:
        stretches: In any order.
        most: How many are left at most; the smallest gaps are closed until it is so.
    """
    united: list[Stretch] = []
    for stretch in sorted(stretches, key=lambda each: each.start_s):
        if united and stretch.start_s <= united[-1].end_s:
            united[-1] = replace(united[-1], end_s=max(united[-1].end_s, stretch.end_s))
        else:
            united.append(stretch)
    while len(united) > most:
        gaps = [after.start_s - before.end_s for before, after in pairwise(united)]
        place = gaps.index(min(gaps))
        united[place : place + 2] = [replace(united[place], end_s=united[place + 1].end_s)]
    return united
