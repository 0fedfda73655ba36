"""How much of a sweep over all operations a test does: a sample, or everything with `make soak`."""

from enum import Enum

import pytest


def sampled(every: int) -> pytest.MarkDecorator:
    """Parametrize `every`: a sample of every so many operations, and all of them in the soak."""
    everything = pytest.param(1, marks=pytest.mark.soak, id="all")
    return pytest.mark.parametrize("every", [pytest.param(every, id="sample"), everything])


def places(operations: int, every: int, kind: Enum) -> list[int]:
    """Choose which operations are struck.

    Args:
        operations: Number of operations; the first is 1.
        every: Distance between those that are struck.
        kind: How they are struck; each kind begins elsewhere, so that together they strike more.

    Returns:
        Numbers of operations, ascending; the last one is always among them.
    """
    kinds = list(type(kind))
    first = 1 + kinds.index(kind) * every // len(kinds)
    return sorted({*range(first, operations + 1, every), operations})
