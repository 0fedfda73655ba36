"""How runs ended: a small record each, so that nights which published nothing are known too.

Whoever ends a run writes its record; `nightpress runs`, the pictures of the last nights and the
page of a version read them. Nothing else depends on them.

Invariants: a record is written once and never changed; the newest MOST_RECORDS of a collection are
kept; one that is damaged or of a newer format is passed over.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import PurePosixPath

import orjson

from index_store.errors import CorruptArtifactError, NotFoundError
from index_store.fields import Fields, parse_object, raise_problems
from index_store.layout import RUNS_FOLDER, history_key, history_prefix
from index_store.storage.base import Storage
from tasks.stages.compaction_end import CompactionReport
from tasks.stages.reporting import RunReport

FORMAT_VERSION = 1
MOST_RECORDS = 400  # more than a year of nights, at about one kilobyte each
SLACK_RECORDS = 20  # old ones go together, so that not every run has to delete one
READERS = 8  # a record is one small request each, so that most of the time is waiting


class RunEnd(Enum):
    """How a run ended."""

    PUBLISHED = "published"  # a version is in production, or waits there as was asked
    UNCHANGED = "unchanged"  # nothing had to be done
    BLOCKED = "blocked"  # a version stays a candidate, for a gate blocks it
    STOPPED = "stopped"  # a tripwire or a budget stopped it before there was a version
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """How one run ended.

    Attributes:
        run: Its id.
        flow: Name of the flow.
        collection: Name of the collection.
        began_at_ms: When it began, milliseconds since the epoch.
        ended_at_ms: When it ended, likewise.
        end: How it ended.
        reason: Why, one line; empty when there is nothing to say.
        version: The version that stood after it, or None.
        promoted: Whether that version was in production then.
        documents: Documents per outcome, as in a report.
        chunks: Chunks, as in a report.
        embedding: Texts, tokens and requests, as in a report.
        cost: What embedding cost in all, as in a report; without `spent` the price is not known.
        seconds: Wall-clock seconds per stage.
        figures: Measured quality by name; `readable_share` of all documents, then golden questions.
    """

    run: str
    flow: str
    collection: str
    began_at_ms: int
    ended_at_ms: int
    end: RunEnd
    reason: str = ""
    version: str | None = None
    promoted: bool = False
    documents: Mapping[str, float] = field(default_factory=dict)
    chunks: Mapping[str, float] = field(default_factory=dict)
    embedding: Mapping[str, float] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def took_s(self) -> float:
        """Seconds from its beginning to its end."""
        return (self.ended_at_ms - self.began_at_ms) / 1000

    @property
    def held(self) -> int:
        """Documents that could be found after it."""
        found = ("added", "changed", "moved", "reembedded", "kept")
        return int(sum(self.documents.get(name, 0) for name in found))

    def as_json(self) -> dict[str, object]:
        """Return it as plain values."""
        return {
            "format_version": FORMAT_VERSION,
            "run": self.run,
            "flow": self.flow,
            "collection": self.collection,
            "began_at_ms": self.began_at_ms,
            "ended_at_ms": self.ended_at_ms,
            "end": self.end.value,
            "reason": self.reason,
            "version": self.version,
            "promoted": self.promoted,
            "documents": dict(self.documents),
            "chunks": dict(self.chunks),
            "embedding": dict(self.embedding),
            "cost": dict(self.cost),
            "seconds": {stage: round(spent, 3) for stage, spent in self.seconds.items()},
            "figures": dict(self.figures),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedRun:
    """A run that left checkpoints and no record: it is at work, or it was killed.

    Attributes:
        run: Its id.
        last_ms: When it wrote something last, by the store's clock.
    """

    run: str
    last_ms: int


def record_of(report: RunReport, ended_at_ms: int) -> RunRecord:
    """Return the record of a run that came to its end."""
    blocked = report.blocked_by
    end = RunEnd.PUBLISHED
    if report.unchanged:
        end = RunEnd.UNCHANGED
    elif blocked:
        end = RunEnd.BLOCKED
    return RunRecord(
        run=report.run,
        flow="reindex",
        collection=report.collection,
        began_at_ms=report.began_at_ms,
        ended_at_ms=ended_at_ms,
        end=end,
        reason=", ".join(finding.check for finding in blocked),
        version=report.version,
        promoted=report.promoted,
        documents=report.documents,
        chunks=report.chunks,
        embedding=report.embedding,
        cost=_known(report.cost.as_json()),
        seconds=report.seconds,
        figures={**_readable(report.quality), **report.figures},
    )


def record_of_compaction(
    report: CompactionReport, run: str, *, began_at_ms: int, ended_at_ms: int
) -> RunRecord:
    """Return the record of a compaction that came to its end."""
    failed = [finding.check for finding in report.findings if finding.blocks]
    end = RunEnd.PUBLISHED if report.merges else RunEnd.UNCHANGED
    return RunRecord(
        run=run,
        flow="compact",
        collection=report.collection,
        began_at_ms=began_at_ms,
        ended_at_ms=ended_at_ms,
        end=RunEnd.BLOCKED if failed else end,
        reason=", ".join(failed),
        version=report.version,
        promoted=report.promoted,
    )


def write_record(storage: Storage, record: RunRecord) -> None:
    """Keep a record unless the run has one already, and forget the oldest ones.

    Raises:
        TransientError: The store is out of reach.
    """
    key = history_key(record.collection, record.run)
    try:
        storage.read(key)
    except NotFoundError:
        storage.put(key, orjson.dumps(record.as_json(), option=orjson.OPT_INDENT_2))
    keys = [entry.key for entry in storage.list(history_prefix(record.collection))]
    if len(keys) > MOST_RECORDS + SLACK_RECORDS:
        for old in keys[:-MOST_RECORDS]:
            storage.delete(old)


def read_records(storage: Storage, collection: str, most: int) -> tuple[RunRecord, ...]:
    """Return the records of the runs that began last, newest first.

    Raises:
        TransientError: The store is out of reach.
    """
    keys = [entry.key for entry in storage.list(history_prefix(collection))][::-1][:most]
    with ThreadPoolExecutor(READERS) as readers:
        found = readers.map(lambda key: _read(storage, key), keys)
        return tuple(record for record in found if record is not None)


def unfinished_runs(storage: Storage, collection: str) -> tuple[UnfinishedRun, ...]:
    """Return the runs that left checkpoints and have no record, newest first.

    Raises:
        TransientError: The store is out of reach.
    """
    ended = {PurePosixPath(entry.key).stem for entry in storage.list(history_prefix(collection))}
    last_ms: dict[str, int] = {}
    prefix = f"{collection}/{RUNS_FOLDER}/"
    for entry in storage.list(prefix):
        run = entry.key.removeprefix(prefix).split("/", 1)[0]
        last_ms[run] = max(last_ms.get(run, 0), entry.modified_ms)
    return tuple(
        UnfinishedRun(run=run, last_ms=last_ms[run])
        for run in sorted(last_ms, reverse=True)
        if run not in ended
    )


def parse_record(data: bytes, what: str) -> RunRecord:
    """Read a record.

    Raises:
        CorruptArtifactError: It is damaged or of a newer format; every problem is listed.
    """
    problems: list[str] = []
    fields = Fields(parse_object(data, what), "", problems)
    if fields.whole("format_version", minimum=1) != FORMAT_VERSION:
        fields.problem("format_version", f"expected {FORMAT_VERSION}")
    ends = {each.value: each for each in RunEnd}
    end = ends.get(fields.text("end"))
    if end is None:
        fields.problem("end", f"expected one of {', '.join(ends)}")
    record = RunRecord(
        run=fields.text("run"),
        flow=fields.text("flow"),
        collection=fields.text("collection"),
        began_at_ms=fields.whole("began_at_ms"),
        ended_at_ms=fields.whole("ended_at_ms"),
        end=end or RunEnd.FAILED,
        reason=fields.text("reason"),
        version=fields.text_or_none("version"),
        promoted=bool(fields.rest().get("promoted")),
        **{
            name: _numbers(fields, name)
            for name in ("documents", "chunks", "embedding", "cost", "seconds", "figures")
        },
    )
    raise_problems(what, problems)
    return record


def _readable(quality: Mapping[str, int]) -> dict[str, float]:
    """Return the share of documents whose text came out well, if anybody judged it."""
    judged = sum(quality.values())
    return {"readable_share": round(quality.get("good", 0) / judged, 4)} if judged else {}


def _read(storage: Storage, key: str) -> RunRecord | None:
    with suppress(NotFoundError, CorruptArtifactError):
        return parse_record(storage.read(key), key)
    return None


def _known(values: Mapping[str, object]) -> dict[str, float]:
    return {name: value for name, value in values.items() if isinstance(value, int | float)}


def _numbers(fields: Fields, name: str) -> dict[str, float]:
    return _known(fields.free_form(name))
