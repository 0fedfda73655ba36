"""Compare a version with the live one: golden questions and what readers asked lately."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from index_store.embedder import Embedder
from index_store.errors import UsageError
from index_store.snapshot import Snapshot
from tasks.stages.gating.expectation import Severity
from tasks.stages.gating.golden import (
    QuestionScore,
    ask_golden,
    losers,
    means,
    read_golden,
    unreachable,
)
from tasks.stages.gating.options import GateOptions
from tasks.stages.gating.replay import overlaps, read_questions
from tasks.stages.reporting import Finding

SHOWN = 5  # questions and documents that a message names


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A version with the embedder that made its vectors."""

    snapshot: Snapshot
    embedder: Embedder


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Findings, and figures by name for the history of the collection."""

    findings: tuple[Finding, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)


def compare(new: Side, live: Callable[[], Side | None], options: GateOptions) -> Compared:
    """Ask golden questions, and questions of readers, of both versions.

    Args:
        new: The version that is judged.
        live: Opens the version that is in production; None when there is none. It raises
            UsageError when there is one that cannot be asked, which is told and costs no run.
        options: Which questions, and what may be lost.

    Raises:
        UsageError: A file of questions cannot be read.
        TransientError: An embedder is out of reach.
    """
    if not options.golden_path and not options.replay_path:
        return Compared()
    unasked: tuple[Finding, ...] = ()
    try:
        before = live()
    except UsageError as error:
        before, unasked = None, (_unasked(error),)
    golden = _golden(new, before, options) if options.golden_path else Compared()
    replayed = _replayed(new, before, options) if options.replay_path else Compared()
    return Compared(
        findings=unasked + golden.findings + replayed.findings,
        figures={**golden.figures, **replayed.figures},
    )


def _unasked(error: UsageError) -> Finding:
    return Finding(
        check="live version",
        passed=False,
        message=f"it cannot be asked, so nothing is compared with it: {error}",
        severity=Severity.WARN.value,
        protects="A version is promoted because it answers no worse than the live one.",
    )


def judge_golden(
    now: Sequence[QuestionScore], before: Sequence[QuestionScore], options: GateOptions
) -> tuple[Finding, ...]:
    """Return the findings of golden questions; pure."""
    figures, known = means(now), means(before) if before else {}
    severity = options.severities.get("golden", Severity.BLOCK)
    findings = []
    for name, value in figures.items():
        least = options.golden_least if name == "recall" else 0.0
        fell = name in known and known[name] - value > options.golden_drop + 1e-9
        told = f"{value:.3f} over {len(now)} questions, at {options.golden_hits} hits"
        if name in known:
            told += f"; {known[name]:.3f} in the live version, may fall by {options.golden_drop:g}"
        if least:
            told += f"; at least {least:g} is asked for"
        # Also in a night that is good on the whole: one question may have lost its answer.
        worst = losers(before, now)[:SHOWN] if fell or name == "ndcg" else []
        told += "".join(f"; {each} {was:.2f} → {has:.2f}" for each, was, has in worst)
        findings.append(
            Finding(
                check=f"golden/{name}",
                passed=not fell and value >= least,
                message=told,
                severity=severity.value,
                protects="Readers keep getting the answers that are known to be right.",
            )
        )
    gone = unreachable(before, now)
    shown = ", ".join(gone[:SHOWN]) + (f" and {len(gone) - SHOWN} more" if gone[SHOWN:] else "")
    findings.append(
        Finding(
            check="golden/unreachable",
            passed=not gone,
            message=f"{len(gone)} documents that questions found are not found any more"
            + (f": {shown}" if gone else ""),
            severity=Severity.WARN.value,
            protects="Documents that answered questions go on answering them.",
        )
    )
    return () if severity is Severity.OFF else tuple(findings)


def _golden(new: Side, live: Side | None, options: GateOptions) -> Compared:
    questions = read_golden(options.golden_path)
    hits = options.golden_hits
    now = ask_golden(new.snapshot, new.embedder, questions, hits=hits)
    before = ask_golden(live.snapshot, live.embedder, questions, hits=hits) if live else ()
    figures = {f"golden_{name}": round(value, 4) for name, value in means(now).items()}
    return Compared(findings=judge_golden(now, before, options), figures=figures)


def _replayed(new: Side, live: Side | None, options: GateOptions) -> Compared:
    severity = options.severities.get("replay", Severity.WARN)
    questions = read_questions(options.replay_path, last=options.replay_questions)
    if live is None or not questions or severity is Severity.OFF:
        return Compared()
    shares = overlaps((live.snapshot, live.embedder), (new.snapshot, new.embedder), questions)
    mean = sum(shares) / len(shares)
    found = Finding(
        check="replay/overlap",
        passed=mean >= options.replay_overlap,
        message=f"{mean:.2f} of the documents that {len(questions)} recent questions found are "
        f"found again, at least {options.replay_overlap:g} is asked for; "
        f"{sum(not share for share in shares)} questions find none of them",
        severity=severity.value,
        protects="What readers asked lately is answered much as it was.",
    )
    return Compared(findings=(found,), figures={"replay_overlap": round(mean, 4)})
