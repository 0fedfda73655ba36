"""The grid that answers are marked by: exactness, completeness and format, each from 0 to 10; pure.

Invariants: the final mark is half exactness, three tenths completeness and two tenths format; a
question that nobody marked counts in no mean; marks of people go before marks of a model.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

WEIGHTS = {"exactness": 0.5, "completeness": 0.3, "format": 0.2}
CRITERIA = tuple(WEIGHTS)
HIGHEST = 10.0
BY_PEOPLE, BY_MODEL = "people", "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What somebody thinks of an answer.

    Attributes:
        exactness: Whether it is true, in [0, 10].
        completeness: Whether anything is missing, in [0, 10].
        format: Whether it reads well and cites its sources, in [0, 10].
        by: `people` or `model`.
        note: Why, one line.
    """

    exactness: float
    completeness: float
    format: float
    by: str = BY_PEOPLE
    note: str = ""

    @property
    def final(self) -> float:
        """The mark in one number, in [0, 10]."""
        return sum(weight * self.of(name) for name, weight in WEIGHTS.items())

    def of(self, criterion: str) -> float:
        """The mark for one criterion."""
        given = (self.exactness, self.completeness, self.format)
        return given[CRITERIA.index(criterion)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One question, its answer and its mark.

    Attributes:
        id: Short name of the question.
        question: In the words of a reader.
        expected: The answer that is right, empty when nobody wrote one.
        answer: What was answered.
        sources: Documents that the answer rests on, the best first.
        found: Share of the documents that answer it among those, None when it names none.
        mark: What somebody thinks of it, None while nobody marked it.
    """

    id: str
    question: str
    expected: str = ""
    answer: str = ""
    sources: tuple[str, ...] = ()
    found: float | None = None
    mark: Mark | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """All questions asked of one version.

    Attributes:
        version: The version.
        run: The run that asked.
        at_ms: When, milliseconds since the epoch.
        answered_by: What wrote the answers.
        rows: One for each question, in the order of the file.
    """

    version: str
    run: str
    at_ms: int
    answered_by: str
    rows: tuple[Row, ...] = ()

    @property
    def marked(self) -> tuple[Row, ...]:
        """The questions that were marked."""
        return tuple(row for row in self.rows if row.mark is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """An evaluation in a few numbers.

    Attributes:
        questions: How many were asked.
        marked: How many were marked.
        means: Mean of each criterion and of the final mark; empty while nothing is marked.
        found: Mean share of the right documents among the sources, None when no question names any.
    """

    questions: int
    marked: int
    means: Mapping[str, float] = field(default_factory=dict)
    found: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How the mark of one question differs between two versions."""

    id: str
    before: float
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two evaluations, over the questions that both marked.

    Attributes:
        version: The version that is compared with.
        common: How many questions both marked.
        before: Means of that version.
        now: Means of this one.
        changes: Questions whose mark differs, the greatest loss first.
    """

    version: str
    common: int
    before: Mapping[str, float]
    now: Mapping[str, float]
    changes: tuple[Change, ...]


def summarise(evaluation: Evaluation) -> Summary:
    """Return the means of an evaluation."""
    shares = [row.found for row in evaluation.rows if row.found is not None]
    return Summary(
        questions=len(evaluation.rows),
        marked=len(evaluation.marked),
        means=mean_marks(row.mark for row in evaluation.marked if row.mark is not None),
        found=sum(shares) / len(shares) if shares else None,
    )


def compare(now: Evaluation, before: Evaluation) -> Comparison:
    """Compare two versions over the questions that were marked for both.

    A question belongs to another when its words are the same, whatever it is called.
    """
    known = {row.question: row.mark for row in before.marked}
    pairs = [
        (row.id, known[row.question], row.mark)
        for row in now.marked
        if row.mark is not None and row.question in known
    ]
    both = [(name, was, has) for name, was, has in pairs if was is not None]
    changes = [
        Change(id=name, before=was.final, now=has.final)
        for name, was, has in both
        if was.final != has.final
    ]
    return Comparison(
        version=before.version,
        common=len(both),
        before=mean_marks(was for _, was, _ in both),
        now=mean_marks(has for _, _, has in both),
        changes=tuple(sorted(changes, key=lambda each: each.now - each.before)),
    )


def mean_marks(marks: Iterable[Mark]) -> dict[str, float]:
    """Return the mean of each criterion and of the final mark; nothing for no marks."""
    given = list(marks)
    if not given:
        return {}
    means = {name: sum(mark.of(name) for mark in given) / len(given) for name in CRITERIA}
    return means | {"final": sum(mark.final for mark in given) / len(given)}


def with_marks(rows: Sequence[Row], marks: Mapping[str, Sequence[Mark]]) -> tuple[Row, ...]:
    """Return rows with marks of people; where several marked a question, with their mean."""
    marked = []
    for row in rows:
        given = marks.get(row.id, ())
        if not given:
            marked.append(row)
            continue
        means = mean_marks(given)
        note = "; ".join(mark.note for mark in given if mark.note)
        marked.append(replace(row, mark=mark_of(means, note=note)))
    return tuple(marked)


def mark_of(values: Mapping[str, float], *, by: str = BY_PEOPLE, note: str = "") -> Mark:
    """Return a mark from its criteria by name."""
    exactness, completeness, form = (values[name] for name in CRITERIA)
    return Mark(exactness=exactness, completeness=completeness, format=form, by=by, note=note)
