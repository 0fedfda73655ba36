"""Remembers that a person pressed Ctrl-C, whatever exception comes of it.

A library that is interrupted may raise something of its own in place of `KeyboardInterrupt`:
Prefect says "Task run is not set" when it is interrupted before a task run has begun.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """Whether Ctrl-C was pressed."""

    def __init__(self) -> None:
        self.happened = False


@contextmanager
def noted_interruption() -> Iterator[Interruption]:
    """Note Ctrl-C for as long as the block runs; it raises `KeyboardInterrupt` as ever.

    Outside the main thread, and where SIGINT is ignored, nothing is noted.
    """
    interruption = Interruption()
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield interruption
        return

    def note(number: int, frame: FrameType | None) -> None:
        interruption.happened = True
        before(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, before)
