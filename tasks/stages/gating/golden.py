"""Golden questions: questions whose answers are known, asked of every version.

A file of them is YAML (a list of mappings) or CSV (a line each, several values parted by `|`), with
`question`, and `documents` or `passages` that answer it, and if wanted `id`, `groups` and, for
evaluations of answers, `answer`.

Invariants: a target is met by the first hit that is of its document or holds its passage; the
figures of a question lie in [0, 1].
"""

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from index_store.embedder import Embedder
from index_store.errors import UsageError
from index_store.records import Hit
from index_store.search_options import Question, SearchOptions
from index_store.snapshot import Snapshot

FIELDS = frozenset({"id", "question", "documents", "passages", "groups", "answer"})
TEXTS = ("id", "question", "answer")  # fields of one text; the others hold several


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenQuestion:
    """A question whose answer is known.

    Attributes:
        id: Short name for reports.
        question: In the words of a reader.
        documents: Uris of documents that answer it.
        passages: Texts that answer it, found in a chunk whatever its blanks and capitals.
        groups: Groups of the reader; None leaves rights aside.
        answer: The answer that is right, for evaluations; empty when nobody wrote one.
    """

    id: str
    question: str
    documents: tuple[str, ...] = ()
    passages: tuple[str, ...] = ()
    groups: frozenset[str] | None = None
    answer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionScore:
    """What a version answers to a question.

    Attributes:
        id: Name of the question.
        recall: Share of the targets that are among the hits.
        reciprocal_rank: One over the rank of the first hit that meets a target, 0 when none does.
        ndcg: Normalised discounted cumulative gain, each target counted once.
        met: Documents that were wanted and found.
        top: Uris of the hits, the best first.
    """

    id: str
    recall: float
    reciprocal_rank: float
    ndcg: float
    met: tuple[str, ...]
    top: tuple[str, ...] = ()


def read_golden(path: str, *, needs_targets: bool = True) -> tuple[GoldenQuestion, ...]:
    """Read a file of golden questions.

    Args:
        path: The file.
        needs_targets: Whether each question must name documents or passages.

    Raises:
        UsageError: It cannot be read; every problem is listed with the number of its question.
    """
    try:
        data = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"golden questions {path!r} cannot be read: {error}") from error
    rows = _csv_rows(data) if path.lower().endswith(".csv") else _yaml_rows(data, path)
    problems: list[str] = []
    questions = [_question(number, row, problems) for number, row in enumerate(rows, start=1)]
    if needs_targets:
        problems += [
            f"question {number}: it names neither documents nor passages that answer it"
            for number, question in enumerate(questions, start=1)
            if not question.documents and not question.passages
        ]
    names = [question.id for question in questions]
    problems += [
        f"id {name!r} is given twice" for name in sorted({*names}) if names.count(name) > 1
    ]
    if not questions:
        problems.append("there is no question in it")
    if problems:
        raise UsageError(f"golden questions {path!r}: {'; '.join(problems)}")
    return tuple(questions)


def ask_golden(
    snapshot: Snapshot, embedder: Embedder, questions: Sequence[GoldenQuestion], *, hits: int
) -> tuple[QuestionScore, ...]:
    """Ask a version every question.

    Args:
        snapshot: The version, opened.
        embedder: The embedder of that version.
        questions: What is asked.
        hits: Hits that are looked at, at least 1.

    Raises:
        TransientError: The embedder is out of reach.
    """
    scores = []
    for question in questions:
        options = SearchOptions(k=hits, groups=question.groups, all_groups=question.groups is None)
        vector = embedder.embed_question(question.question)
        found = snapshot.search(Question(text=question.question, vector=vector), options)
        scores.append(score(question, found))
    return tuple(scores)


def score(question: GoldenQuestion, hits: Sequence[Hit]) -> QuestionScore:
    """Return what hits are worth as an answer to a question."""
    targets = [_of_document(uri) for uri in question.documents]
    targets += [_of_passage(passage) for passage in question.passages]
    waiting, ranks = list(targets), []
    for rank, hit in enumerate(hits, start=1):
        met = next((target for target in waiting if target(hit)), None)
        if met is not None:
            waiting.remove(met)
            ranks.append(rank)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(targets), len(hits)) + 1))
    gain = sum(1 / math.log2(rank + 1) for rank in ranks)
    found = {uri for hit in hits for uri in (hit.uri, *hit.also_in)}
    return QuestionScore(
        id=question.id,
        recall=len(ranks) / len(targets),
        reciprocal_rank=1 / ranks[0] if ranks else 0.0,
        ndcg=gain / ideal if ideal else 0.0,
        met=tuple(uri for uri in question.documents if uri in found),
        top=tuple(hit.uri for hit in hits),
    )


def means(scores: Sequence[QuestionScore]) -> dict[str, float]:
    """Return the mean of each figure over the questions, by name."""
    count = max(len(scores), 1)
    return {
        "recall": sum(each.recall for each in scores) / count,
        "mrr": sum(each.reciprocal_rank for each in scores) / count,
        "ndcg": sum(each.ndcg for each in scores) / count,
    }


def losers(
    before: Sequence[QuestionScore], now: Sequence[QuestionScore]
) -> list[tuple[str, float, float]]:
    """Return (question, nDCG before, nDCG now) of those that lost, the greatest loss first."""
    known = {each.id: each.ndcg for each in before}
    lost = [
        (each.id, known[each.id], each.ndcg)
        for each in now
        if each.id in known and each.ndcg < known[each.id]
    ]
    return sorted(lost, key=lambda line: line[2] - line[1])


def unreachable(before: Sequence[QuestionScore], now: Sequence[QuestionScore]) -> tuple[str, ...]:
    """Return the documents that some question found before, and none finds now, sorted."""
    met_before = {uri for each in before for uri in each.met}
    return tuple(sorted(met_before - {uri for each in now for uri in each.met}))


def _of_document(uri: str) -> Callable[[Hit], bool]:
    return lambda hit: uri == hit.uri or uri in hit.also_in


def _of_passage(passage: str) -> Callable[[Hit], bool]:
    wanted = _folded(passage)
    return lambda hit: wanted in _folded(hit.text)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _csv_rows(data: str) -> list[Mapping[str, Any]]:
    dialect = csv.excel
    head = data.partition("\n")[0]
    separator = ";" if head.count(";") > head.count(",") else ","
    rows = csv.DictReader(io.StringIO(data), dialect=dialect, delimiter=separator)
    return [
        {
            name: value
            if name in TEXTS
            else [part.strip() for part in value.split("|") if part.strip()]
            for name, value in row.items()
            if isinstance(name, str) and value
        }
        for row in rows
    ]


def _yaml_rows(data: str, path: str) -> list[Mapping[str, Any]]:
    try:
        rows = yaml.safe_load(data)
    except yaml.YAMLError as error:
        told = " ".join(str(error).split())
        raise UsageError(f"golden questions {path!r} are not YAML: {told}") from error
    if isinstance(rows, dict):
        rows = rows.get("questions")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UsageError(f"golden questions {path!r}: expected a list of mappings")
    return rows


def _question(number: int, row: Mapping[str, Any], problems: list[str]) -> GoldenQuestion:
    told = f"question {number}"
    problems += [f"{told}: field {name!r} is unknown" for name in sorted(row.keys() - FIELDS)]
    question = str(row.get("question") or "").strip()
    documents, passages = _texts(row.get("documents")), _texts(row.get("passages"))
    if not question:
        problems.append(f"{told}: it asks nothing")
    groups = row.get("groups")
    return GoldenQuestion(
        id=str(row.get("id") or number),
        question=question,
        documents=documents,
        passages=passages,
        groups=None if groups is None else frozenset(_texts(groups)),
        answer=str(row.get("answer") or "").strip(),
    )


def _texts(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    listed = value if isinstance(value, list) else [value]
    return tuple(str(each).strip() for each in listed if str(each).strip())
