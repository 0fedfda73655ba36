"""Runs real code of several actors one storage operation at a time, in an order that a test picks.

Each actor is a thread, and only one of them ever runs: it holds the baton until it asks the storage
for something that others could notice, and waits there until it is chosen again. An actor that is
chosen last looks to the others like one that crashed, so crashes need no schedules of their own as
long as the invariants are checked after every step.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from index_store.storage.base import Storage, StoredObject
from index_store.storage.memory import MemoryStorage

Actor = Callable[[Storage], object]
Choose = Callable[[int], int]  # from the number of actors that could go on to the one that does


class ScheduledStorage(MemoryStorage):
    """A view of a store that waits for its turn before an operation that others could notice."""

    def __init__(self, inner: MemoryStorage, wait: Callable[[], None]) -> None:
        super().__init__("scheduled")
        self._inner = inner
        self._wait = wait

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        return self._inner.read(key, start=start, end=end)

    def put(self, key: str, source: bytes | Path) -> None:
        if "/log/" not in key and "/runs/" not in key:
            self._wait()
        self._inner.put(key, source)

    def create(self, key: str, data: bytes) -> None:
        self._wait()
        self._inner.create(key, data)

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        if "/log/" in prefix and not after.endswith("checkpoint"):
            self._wait()
        return self._inner.list(prefix, after=after)

    def delete(self, key: str) -> None:
        if "/log/" not in key and "/runs/" not in key:
            self._wait()
        self._inner.delete(key)


class _Player:
    """One actor in a thread of its own."""

    def __init__(self, actor: Actor, storage: MemoryStorage) -> None:
        self._go = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        self.is_done = False
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._play, args=(actor, storage), daemon=True)
        self._thread.start()

    def step(self) -> None:
        self._go.release()
        self._stopped.acquire()

    def _wait(self) -> None:
        self._stopped.release()
        self._go.acquire()

    def _play(self, actor: Actor, storage: MemoryStorage) -> None:
        self._go.acquire()
        try:
            actor(ScheduledStorage(storage, self._wait))
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error
        self.is_done = True
        self._stopped.release()


def play(
    storage: MemoryStorage,
    actors: Sequence[Actor],
    choose: Choose,
    check: Callable[[], None],
) -> list[BaseException | None]:
    """Run all actors to their end and return what each raised.

    Args:
        storage: The store they share.
        actors: What they do.
        choose: Picks who goes on.
        check: Called after every step.
    """
    players = [_Player(actor, storage) for actor in actors]
    while alive := [player for player in players if not player.is_done]:
        alive[choose(len(alive))].step()
        check()
    return [player.error for player in players]


class _Path:
    """The choices of one run: those of a given path first, then always the first option."""

    def __init__(self, given: Sequence[int]) -> None:
        self._given = given
        self.taken: list[tuple[int, int]] = []  # (choice, of how many)

    def choose(self, options: int) -> int:
        step = len(self.taken)
        choice = self._given[step] if step < len(self._given) else 0
        self.taken.append((choice, options))
        return choice

    def next(self) -> "_Path | None":
        """Return the path after this one in depth-first order, or None after the last."""
        taken = self.taken
        while taken and taken[-1][0] + 1 == taken[-1][1]:
            taken.pop()
        if not taken:
            return None
        return _Path([choice for choice, _ in taken[:-1]] + [taken[-1][0] + 1])


def every_schedule(run: Callable[[Choose], None]) -> int:
    """Call `run` with every possible sequence of choices and return how many there were."""
    path: _Path | None = _Path([])
    schedules = 0
    while path is not None:
        run(path.choose)
        schedules += 1
        path = path.next()
    return schedules
