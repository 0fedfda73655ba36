"""What a run says about itself: one record, and the texts that people read.

Invariants: pure; every count comes from the run's own records; no document text is ever part of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tasks.stages.diffing import Action, Plan
from tasks.stages.remedies import remedy
from tasks.stages.spending import RunCost
from tasks.stages.stretches import Stretch

SHOWN_ITEMS = 200  # rows of a table that a person still scrolls through


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedDocument:
    """One standing rejection.

    Attributes:
        uri: Name of the document.
        reason: Machine-readable reason.
        detail: One line for a person.
        attempts: How many runs have tried this content.
    """

    uri: str
    reason: str
    detail: str
    attempts: int = 1

    def as_json(self) -> dict[str, Any]:
        """Return what machines read, with what a person can do about it."""
        return {**asdict(self), "remedy": remedy(self.reason)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Result of one check of a new version.

    Attributes:
        check: Name of the check.
        passed: Whether it holds.
        message: What was expected and found.
        severity: `block` when a version that fails it stays a candidate, else `warn`.
        protects: One sentence that says what it protects, empty when its name does.
    """

    check: str
    passed: bool
    message: str
    severity: str = "block"
    protects: str = ""

    @property
    def blocks(self) -> bool:
        """Whether it keeps a version out of production."""
        return not self.passed and self.severity == "block"

    @property
    def result(self) -> str:
        """One word for tables."""
        return "passed" if self.passed else "**failed**" if self.blocks else "**warning**"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """Everything a run has to say.

    Attributes:
        run: Id of the run.
        began_at_ms: When its flow began, milliseconds since the epoch.
        collection: Name of the collection.
        version: Version that stands after the run, or None when there is none.
        parent: Version before it, or None.
        unchanged: Whether nothing had to be done.
        documents: Documents per outcome; all but `removed` add up to what was listed.
        chunks: Searchable in all, new in this version, dead rows in its shards.
        embedding: Texts and tokens embedded, requests made, vectors taken from the store.
        cost: What embedding cost, by source, and how the price is known.
        seconds: Wall-clock seconds per stage.
        promoted: Whether production is the version.
        rejections: Standing rejections, sorted by uri.
        without_chunks: Documents of which the chunker kept nothing.
        quality: Documents of every quality of text, by its name.
        poor: Documents whose text came out poor, sorted by uri.
        skipped: Entries of the source that are no documents, with the reason.
        warnings: What a person should look at.
        findings: Results of the checks.
        timeline: When each stage was at work.
        figures: Measured quality by name, such as of golden questions.
    """

    run: str
    began_at_ms: int
    collection: str
    version: str | None
    parent: str | None
    unchanged: bool = False
    documents: Mapping[str, int]
    chunks: Mapping[str, int]
    embedding: Mapping[str, int]
    cost: RunCost = field(default_factory=RunCost)
    seconds: Mapping[str, float]
    promoted: bool
    rejections: tuple[RejectedDocument, ...] = ()
    without_chunks: tuple[str, ...] = ()
    quality: Mapping[str, int] = field(default_factory=dict)
    poor: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = field(default_factory=tuple)
    timeline: tuple[Stretch, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def blocked_by(self) -> tuple[Finding, ...]:
        """The checks that keep the version out of production."""
        return tuple(finding for finding in self.findings if finding.blocks)

    def as_json(self) -> dict[str, object]:
        """Return the report as plain values for `--json` and for the store."""
        return {
            "run": self.run,
            "began_at_ms": self.began_at_ms,
            "collection": self.collection,
            "version": self.version,
            "parent": self.parent,
            "unchanged": self.unchanged,
            "documents": dict(self.documents),
            "chunks": dict(self.chunks),
            "embedding": dict(self.embedding),
            "cost": self.cost.as_json(),
            "seconds": {stage: round(spent, 3) for stage, spent in self.seconds.items()},
            "promoted": self.promoted,
            "rejections": [entry.as_json() for entry in self.rejections],
            "without_chunks": list(self.without_chunks),
            "quality": dict(self.quality),
            "poor": list(self.poor),
            "skipped": [{"uri": uri, "reason": reason} for uri, reason in self.skipped],
            "warnings": list(self.warnings),
            "checks": [
                {
                    "check": entry.check,
                    "passed": entry.passed,
                    "message": entry.message,
                    "severity": entry.severity,
                    "protects": entry.protects,
                }
                for entry in self.findings
            ],
            "timeline": [stretch.as_json() for stretch in self.timeline],
            "figures": dict(self.figures),
        }


def cost_markdown(cost: RunCost) -> str:
    """Return what embedding cost: in all, how that is known, and by source."""
    total = cost.total
    cells = {
        "spent": money(cost.spent),
        "billed tokens": f"{total.tokens:,}",
        "counted by the provider": f"{total.told:,}",
        "estimated by us": f"{total.tokens - total.told:,}",
        "at the night rate": f"{total.night:,}",
        "refused": f"{cost.refused:,}",
        "pooled": f"{cost.pooled:,}",
    }
    parts = [_row("cost", cells), escape_markdown(price_line(cost))]
    if len(cost.sources) > 1:
        rows = [
            (name, f"{each.tokens:,}", f"{each.night:,}", money(each.cost(cost.price)))
            for name, each in sorted(cost.sources.items())
        ]
        head = ("source or folder", "billed tokens", "at the night rate", "spent")
        parts.append(markdown_table(head, rows[:SHOWN_ITEMS]))
        parts += and_more(len(rows))
    return "\n\n".join(parts)


def price_line(cost: RunCost) -> str:
    """Return one line that says what a million tokens cost and how that is known."""
    amount = cost.price.per_million_tokens
    if amount is None:
        return f"The price is {cost.price.origin}."
    return f"A million tokens cost {amount:g} ({cost.price.origin})."


def money(amount: float | None) -> str:
    """Return an amount as people read it; what is not known is said to be."""
    return "unknown" if amount is None else f"{amount:,.6g}"


def plan_markdown(plan: Plan, *, kept: int) -> str:
    """Return what a run will do: counts, then every change with its reason.

    Args:
        plan: What it will do.
        kept: Documents that are kept as they are, which a stored plan has no items of.
    """
    changes = [item for item in plan.items if item.action is not Action.KEPT]
    counts = plan.counts() | {Action.KEPT.value: kept}
    parts = [markdown_table(("action", "documents"), [(a, f"{n:,}") for a, n in counts.items()])]
    if changes:
        rows = [(item.uri, item.action.value, item.reason) for item in changes[:SHOWN_ITEMS]]
        parts.append(markdown_table(("document", "action", "reason"), rows))
    return "\n\n".join(parts + and_more(len(changes))) + "\n"


def escape_markdown(text: str) -> str:
    """Return text that shows as itself in a Markdown table cell."""
    escaped = "".join(f"\\{mark}" if mark in "\\`*_[]<>|#" else mark for mark in text)
    return " ".join(escaped.split())


def _row(title: str, cells: Mapping[str, str]) -> str:
    return markdown_table((title, *cells), [("", *cells.values())])


def and_more(count: int) -> list[str]:
    """Return a line about the rows that a table of SHOWN_ITEMS leaves out, if there are any."""
    return [f"… and {count - SHOWN_ITEMS:,} more."] if count > SHOWN_ITEMS else []


_MARKED = ("**failed**", "**warning**")  # cells that are Markdown already


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are text, but for what `Finding.result` marks."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = [cell if cell in _MARKED else escape_markdown(cell) for cell in row]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
