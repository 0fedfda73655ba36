"""Evaluations beside their version, so that another one can be compared with it.

Invariant: what is damaged or of a newer format is passed over; nothing depends on it.
"""

from contextlib import suppress
from dataclasses import asdict

import orjson

from index_store.errors import CorruptArtifactError
from index_store.fields import Fields, parse_object, raise_problems
from index_store.layout import evaluation_key
from index_store.storage.base import Storage
from tasks.stages.evaluation.grid import CRITERIA, Evaluation, Mark, Row, mark_of

FORMAT_VERSION = 1


def keep_evaluation(storage: Storage, collection: str, evaluation: Evaluation) -> str:
    """Store an evaluation and return its key.

    Raises:
        TransientError: The store is out of reach.
    """
    key = evaluation_key(collection, evaluation.version, evaluation.run)
    body = {"format_version": FORMAT_VERSION, **asdict(evaluation)}
    storage.put(key, orjson.dumps(body, option=orjson.OPT_INDENT_2))
    return key


def last_evaluation(storage: Storage, collection: str, version: str) -> Evaluation | None:
    """Return the newest evaluation of a version that was marked, else the newest one, or None.

    Raises:
        TransientError: The store is out of reach.
    """
    prefix = evaluation_key(collection, version, "").removesuffix(".json")
    newest: Evaluation | None = None
    for key in reversed([entry.key for entry in storage.list(prefix)]):
        with suppress(CorruptArtifactError):
            found = parse_evaluation(storage.read(key), key)
            newest = newest or found
            if found.marked:
                return found
    return newest


def parse_evaluation(data: bytes, what: str) -> Evaluation:
    """Read an evaluation.

    Raises:
        CorruptArtifactError: It is damaged or of a newer format; every problem is listed.
    """
    problems: list[str] = []
    fields = Fields(parse_object(data, what), "", problems)
    if fields.whole("format_version", minimum=1) != FORMAT_VERSION:
        fields.problem("format_version", f"expected {FORMAT_VERSION}")
    evaluation = Evaluation(
        version=fields.text("version"),
        run=fields.text("run"),
        at_ms=fields.whole("at_ms"),
        answered_by=fields.text("answered_by"),
        rows=tuple(_row(each) for each in fields.children("rows")),
    )
    raise_problems(what, problems)
    return evaluation


def _row(fields: Fields) -> Row:
    mark = fields.child_or_none("mark")
    return Row(
        id=fields.text("id"),
        question=fields.text("question"),
        expected=fields.text("expected"),
        answer=fields.text("answer"),
        sources=fields.texts("sources"),
        found=fields.real_or_none("found"),
        mark=None if mark is None else _mark(mark),
    )


def _mark(fields: Fields) -> Mark:
    values = {name: fields.real(name) for name in CRITERIA}
    return mark_of(values, by=fields.text("by"), note=fields.text("note"))
