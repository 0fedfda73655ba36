"""Shadow replay: what readers asked lately is asked of the new version beside the live one.

Invariants: the audit log is only read, its end first kept; lines that are no question are passed
over, whoever wrote them; no question is ever written anywhere.
"""

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from index_store.embedder import Embedder
from index_store.errors import UsageError
from index_store.search_options import Question, SearchOptions
from index_store.snapshot import Snapshot

# Names under which a line may hold what was asked.
QUESTION_FIELDS = ("question", "query", "text")
DEPTH = 5  # documents that are compared for each question


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedQuestion:
    """A question from the log.

    Attributes:
        text: What was asked.
        groups: Groups of the reader; None when nothing is known of them.
    """

    text: str
    groups: frozenset[str] | None = None


def read_questions(path: str, *, last: int) -> tuple[AskedQuestion, ...]:
    """Return the most recent different questions of an audit log of JSON lines, oldest first.

    Raises:
        UsageError: The file cannot be read.
    """
    asked: deque[AskedQuestion] = deque()
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as stream:
            for line in stream:
                question = _question(line)
                if question is None:
                    continue
                if question in asked:
                    asked.remove(question)
                asked.append(question)
                if len(asked) > last:
                    asked.popleft()
    except OSError as error:
        raise UsageError(f"setting 'replay_log': {path!r} cannot be read: {error}") from error
    return tuple(asked)


def overlaps(
    live: tuple[Snapshot, Embedder],
    new: tuple[Snapshot, Embedder],
    questions: Sequence[AskedQuestion],
) -> list[float]:
    """Return for each question the share of the live version's documents that are found again."""
    shares = []
    for question in questions:
        before, now = (_documents(*side, question) for side in (live, new))
        shares.append(len(before & now) / len(before) if before else 1.0)
    return shares


def _documents(snapshot: Snapshot, embedder: Embedder, question: AskedQuestion) -> set[str]:
    options = SearchOptions(k=DEPTH, groups=question.groups, per_document=1)
    vector = embedder.embed_question(question.text)
    return {
        hit.uri for hit in snapshot.search(Question(text=question.text, vector=vector), options)
    }


def _question(line: str) -> AskedQuestion | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict):
        return None
    texts = (row.get(name) for name in QUESTION_FIELDS)
    text = next((each.strip() for each in texts if isinstance(each, str) and each.strip()), "")
    groups = row.get("groups")
    known = frozenset(map(str, groups)) if isinstance(groups, list) else None
    return AskedQuestion(text=text, groups=known) if text else None
