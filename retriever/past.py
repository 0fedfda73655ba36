"""Versions other than the one that is served, opened when somebody asks for one.

Invariants: at most so many are open, the one asked for longest ago goes first; a request holds its
version until it has its answer; a version is opened once, however many ask for it at the same time.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from index_store.log_records import PublishedVersion
from retriever.generation import Generation

OpenVersion = Callable[[PublishedVersion], Generation]


class PastVersions:
    """Opened versions of one collection, beside the live one.

    Args:
        open_version: Downloads, verifies, opens and warms a version.
        most: How many stay open, at least 1.
    """

    def __init__(self, open_version: OpenVersion, most: int) -> None:
        self._open_version = open_version
        self._most = most
        self._lock = threading.Lock()
        self._opened: dict[str, Generation] = {}  # the one asked for last comes last
        self._closed = False

    @contextmanager
    def hold(self, published: PublishedVersion) -> Iterator[Generation]:
        """Hold a version for the length of a request, opening it first if need be.

        Raises:
            IndexStoreError: It cannot be opened; the message says why.
        """
        generation = self._entered(published)
        try:
            yield generation
        finally:
            generation.leave()

    def close(self) -> None:
        """Close all of them; requests that are under way finish first."""
        with self._lock:
            opened, self._opened = self._opened, {}
            self._closed = True
        for generation in opened.values():
            generation.retire()

    def _entered(self, published: PublishedVersion) -> Generation:
        with self._lock:  # held while it is opened, so that the next who asks finds it open
            generation = self._opened.pop(published.version, None)
            if generation is None:
                self._make_room()
                generation = self._open_version(published)
            generation.enter()
            if self._closed:
                generation.retire()
            else:
                self._opened[published.version] = generation
            return generation

    def _make_room(self) -> None:
        while len(self._opened) >= self._most:
            oldest = next(iter(self._opened))
            self._opened.pop(oldest).retire()
