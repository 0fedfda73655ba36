"""What was found out about a store, remembered in it, so that it is tried once and not every night.

A verdict belongs to the address under which the store was tried: url, endpoint and the revision of
the trial. Invariants: a store is tried before the first write of a run, unless it passed before; a
store that failed is written to only by those who say that they are its single writer, and bears a
mark that says so.
"""

from collections.abc import Callable
from dataclasses import dataclass

import orjson

from index_store.clock import system_clock_ms
from index_store.errors import ConflictError, NotFoundError, UnfitStoreError, UnknownOutcomeError
from index_store.fields import Fields, parse_object, raise_problems
from index_store.ids import hex_digest
from index_store.storage.base import Storage
from index_store.storage.fitness import FitnessReport, check_store

VERDICT_SCHEME = "nightpress.fitness.v1"  # the number grows when more is tried
VERDICT_VERSION = 1
VERDICT_FOLDER = ".nightpress/fitness/"  # no collection's name begins like this
FIT = "fit"
SINGLE_WRITER = "single-writer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitness:
    """What is known about a store.

    Attributes:
        fit: Whether it kept every promise when it was tried.
        single_writer: Whether it is used on somebody's word that only one run writes at a time.
        checked_at_ms: When it was tried, milliseconds since the epoch.
        broken: The promises that were not kept, each with what was seen.
    """

    fit: bool
    single_writer: bool
    checked_at_ms: int
    broken: tuple[str, ...]


def ensure_fit(
    storage: Storage,
    *,
    single_writer: bool,
    clock_ms: Callable[[], int] = system_clock_ms,
    check: Callable[[Storage], FitnessReport] = check_store,
) -> Fitness:
    """Make sure that a store may be written to; call it before the first write of a run.

    Args:
        storage: The store.
        single_writer: Use it even when it is unfit, because only one run writes at a time.
        clock_ms: Milliseconds since the epoch.
        check: Tries the store.

    Raises:
        UnfitStoreError: The store broke a promise, and nobody vouches for a single writer.
        UsageError: The store cannot be used at all.
        TransientError: The store could not be reached.
    """
    known = _verdict(storage, FIT)
    if known is None and single_writer:
        known = _verdict(storage, SINGLE_WRITER)
    if known is not None:
        return known
    return remember(storage, check(storage), single_writer=single_writer, checked_at_ms=clock_ms())


def remember(
    storage: Storage, report: FitnessReport, *, single_writer: bool, checked_at_ms: int
) -> Fitness:
    """Store the verdict of a trial and return it.

    Raises:
        UnfitStoreError: The store broke a promise, and nobody vouches for a single writer.
        TransientError: The store could not be written.
    """
    found = Fitness(
        fit=report.fit,
        single_writer=single_writer and not report.fit,
        checked_at_ms=checked_at_ms,
        broken=report.broken,
    )
    if report.fit:
        _store(storage, FIT, found)
        storage.delete(_key(storage, SINGLE_WRITER))
        return found
    if _verdict(storage, FIT) is not None:
        storage.delete(_key(storage, FIT))
    if not single_writer:
        raise UnfitStoreError(
            f"store {storage.url} does not keep what publishing relies on: "
            f"{'; '.join(report.broken)}; use another store, or --single-writer when never more "
            "than one run writes to it"
        )
    _store(storage, SINGLE_WRITER, found)
    return found


def read_fitness(storage: Storage) -> Fitness | None:
    """Return what is known about a store, or None when it was not tried at this address.

    Raises:
        CorruptArtifactError: The verdict is damaged; deleting it has the store tried again.
        TransientError: The store could not be read.
    """
    return _verdict(storage, FIT) or _verdict(storage, SINGLE_WRITER)


def _verdict(storage: Storage, name: str) -> Fitness | None:
    key = _key(storage, name)
    try:
        data = storage.read(key)
    except NotFoundError:
        return None
    problems: list[str] = []
    fields = Fields(parse_object(data, key), "", problems)
    if fields.whole("format_version", minimum=1) > VERDICT_VERSION:
        return None  # of a newer nightpress; this one tries for itself
    found = Fitness(
        fit=name == FIT,
        single_writer=name == SINGLE_WRITER,
        checked_at_ms=fields.whole("checked_at_ms"),
        broken=tuple(fields.text("broken").splitlines()),
    )
    raise_problems(key, problems)
    return found


def _store(storage: Storage, name: str, found: Fitness) -> None:
    body = orjson.dumps(
        {
            "format_version": VERDICT_VERSION,
            "checked_at_ms": found.checked_at_ms,
            "store": storage.url,
            "broken": "\n".join(found.broken),
        },
        option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
    )
    try:
        storage.create(_key(storage, name), body)
    except (ConflictError, UnknownOutcomeError):
        return  # somebody else came to it first, or the next run comes to it again


def _key(storage: Storage, name: str) -> str:
    endpoint = getattr(storage, "endpoint", "")
    address = hex_digest(VERDICT_SCHEME, storage.url, str(endpoint))
    return f"{VERDICT_FOLDER}{address}.{name}.json"
