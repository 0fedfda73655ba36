"""The page of a version: what the night did, what it cost, how good it is; pure.

Invariants: one file that needs nothing else and asks nobody for anything; text of reports is
escaped; without names it tells nothing that a reader without rights may not know.
"""

from dataclasses import dataclass
from importlib.resources import files

from tasks.stages.morning.comparing import Compared, compare_nights, compare_stages, stages_line
from tasks.stages.morning.gates_section import gates
from tasks.stages.morning.html import Markup, details, table, tag, text
from tasks.stages.morning.night_picture import night_svg
from tasks.stages.morning.nights_picture import nights_svg
from tasks.stages.morning.rejections_section import rejections
from tasks.stages.morning.words import amount, clock, moment
from tasks.stages.reporting import RunReport, money, price_line
from tasks.stages.run_records import RunRecord

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)
SHORT = 12
SHOWN_CHANGES = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A document that a run does something to.

    Attributes:
        uri: Its name.
        action: What happens to it.
        reason: Why.
    """

    uri: str
    action: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Morning:
    """What a person looks at in the morning.

    Attributes:
        report: What the run did.
        record: How it ended.
        changes: Documents that were to be changed, sorted by uri.
        before: Records of runs before it, newest first.
    """

    report: RunReport
    record: RunRecord
    changes: tuple[Change, ...] = ()
    before: tuple[RunRecord, ...] = ()

    @property
    def nights(self) -> tuple[RunRecord, ...]:
        """Runs of the same flow, oldest first, this one the last."""
        same = [run for run in self.before if run.flow == self.record.flow]
        return (*same[::-1], self.record)


def page(morning: Morning, *, names: bool = True) -> str:
    """Return the page.

    Args:
        morning: What it tells.
        names: Whether it may name documents.
    """
    report = morning.report
    title = f"{report.collection} {(report.version or 'no version')[:SHORT]}"
    sections = (
        _summary(morning),
        _changes(morning, names=names),
        rejections(report, names=names),
        gates(report, names=names),
        _night(morning),
        _nights(morning),
        _notes(report) if names else Markup(),
    )
    head = tag(
        "head",
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<link rel="icon" href="data:,">'),
        tag("title", title),
        tag("style", Markup(files(__package__).joinpath("page.css").read_text("utf-8"))),
    )
    footer = tag("footer", f"run {report.run}, version {report.version or 'none'}")
    body = tag("body", tag("main", *sections), footer)
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def verdict(report: RunReport) -> tuple[str, str]:
    """Return one line that says what to think of the version, and `good`, `warn` or `bad`."""
    blocked, warned = (
        report.blocked_by,
        [each for each in report.findings if not each.passed and not each.blocks],
    )
    if report.unchanged:
        return "Nothing changed; the version before stays.", "good"
    if blocked:
        told = ", ".join(each.check for each in blocked)
        return f"Blocked, production is as it was: {told}", "bad"
    if warned:
        told = ", ".join(each.check for each in warned)
        return f"{len(report.findings)} checks, none blocks; look at {told}", "warn"
    if not report.promoted:
        return f"All {len(report.findings)} checks passed; waits to be promoted", "warn"
    return f"All {len(report.findings)} checks passed", "good"


WHERE_TYPED = (
    "Typed where NIGHTPRESS_STORE and NIGHTPRESS_SOURCE are set as on the worker; elsewhere with "
    "--store and --source."
)


def commands(report: RunReport) -> tuple[str, ...]:
    """Return what a person may want to type next."""
    if report.version is None or report.unchanged:
        return ()
    version, of = report.version[:SHORT], f"--collection {report.collection}"
    if report.blocked_by:
        return (
            f"nightpress diff {(report.parent or version)[:SHORT]} {version} {of}",
            f'nightpress promote {version} {of} --override "why the checks are wrong"',
        )
    if report.promoted:
        return (f'nightpress rollback {of} --reason "why"',)
    return (f"nightpress promote {version} {of}",)


def _summary(morning: Morning) -> Markup:
    report, rows = morning.report, compare_nights(morning.record, morning.before)
    state = "in production" if report.promoted else "a candidate"
    told, colour = verdict(report)
    version = (report.version or "no version")[:SHORT]
    began = f"began {moment(report.began_at_ms)}, took {clock(morning.record.took_s)}"
    shown = {row.name: row for row in rows}
    cards = [
        _card(shown[name], title)
        for name, title in (
            ("documents", "documents"),
            ("added", "added"),
            ("changed", "changed"),
            ("removed", "removed"),
            ("rejected", "rejected"),
            ("chunks", "chunks"),
            ("spent", "spent"),
            ("took", "took"),
        )
    ]
    links = (("changes", "Changes"), ("rejections", "Rejections"), ("gates", "Quality and gates"))
    more = (("night", "The night"), ("nights", "Last nights"))
    return tag(
        "section",
        tag("h1", f"{report.collection}: {version}, {state}"),
        tag("p", f"{began}", css="soft"),
        tag("p", told, css=f"verdict {colour}"),
        tag("div", *cards, css="cards"),
        tag("nav", *(tag("a", name, href=f"#{place}") for place, name in (*links, *more))),
        tag("pre", *(tag("code", line) + Markup("\n") for line in commands(report))),
        tag("p", WHERE_TYPED if commands(report) else "", css="soft"),
        tag("p", stages_line(morning.record, morning.before), css="soft"),
        details("Beside the nights before", _compared(rows), tag("p", price_line(report.cost))),
    )


def _card(row: Compared, title: str) -> Markup:
    beside = f"last {row.last}, usual {row.usual}" if row.last else "the first night"
    return tag("div", tag("span", title), tag("b", row.now), tag("span", beside), css="card")


def _compared(rows: tuple[Compared, ...]) -> Markup:
    return table(
        ("", "this night", "the night before", "usual (median)"),
        [(row.name, row.now, row.last or "–", row.usual or "–") for row in rows],
        numbers=frozenset({1, 2, 3}),
    )


def _changes(morning: Morning, *, names: bool) -> Markup:
    counted: dict[tuple[str, str], int] = {}
    for change in morning.changes:
        # Each document that moved has a reason of its own: it names the one that it was.
        why = "under another name" if change.action == "moved" else change.reason
        counted[change.action, why] = counted.get((change.action, why), 0) + 1
    by_count = sorted(counted.items(), key=lambda each: -each[1])
    rows = [(action, reason, f"{count:,}") for (action, reason), count in by_count]
    # A reason may name a document ("moved from …"), so without names only actions are told.
    totals: dict[str, int] = {}
    for change in morning.changes:
        totals[change.action] = totals.get(change.action, 0) + 1
    if not morning.changes:
        return tag("section", tag("h2", "What changed"), tag("p", "Nothing."), id="changes")
    if not names:
        shown = table(
            ("action", "documents"),
            [(action, f"{count:,}") for action, count in totals.items()],
            numbers=frozenset({1}),
        )
        return tag("section", tag("h2", "What changed"), shown, id="changes")
    listed = [(each.uri, each.action, each.reason) for each in morning.changes[:SHOWN_CHANGES]]
    rest = len(morning.changes) - len(listed)
    return tag(
        "section",
        tag("h2", "What changed"),
        table(("action", "why", "documents"), rows[:30], numbers=frozenset({2})),
        details(
            f"{len(morning.changes):,} documents by name",
            table(("document", "action", "why"), listed),
            tag("p", f"… and {rest:,} more: nightpress diff lists them") if rest else Markup(),
        ),
        id="changes",
    )


def _night(morning: Morning) -> Markup:
    return tag(
        "section",
        tag("h2", "The night"),
        Markup(night_svg(morning.report.timeline, ink="currentColor")),
        details(
            "Seconds of each stage beside the nights before",
            _compared(compare_stages(morning.record, morning.before)),
        ),
        id="night",
    )


def _nights(morning: Morning) -> Markup:
    rows = [
        (
            moment(run.began_at_ms),
            run.end.value,
            (run.version or "none")[:SHORT],
            amount(run.held) if run.documents else "–",
            money(run.cost.get("spent")) if run.cost else "–",
            clock(run.took_s),
        )
        for run in morning.nights[::-1][:30]
    ]
    head = ("began", "ended", "version", "documents", "spent", "took")
    return tag(
        "section",
        tag("h2", "Last nights"),
        Markup(nights_svg(morning.nights, ink="currentColor")),
        details("As a table", table(head, rows, numbers=frozenset({3, 4, 5}))),
        id="nights",
    )


def _notes(report: RunReport) -> Markup:
    notes = [tag("li", warning) for warning in report.warnings]
    if report.poor:
        shown = [tag("li", uri) for uri in report.poor[:100]]
        notes.append(
            tag("li", details(f"{len(report.poor):,} documents came out poor", tag("ul", *shown)))
        )
    if report.without_chunks:
        shown = [tag("li", uri) for uri in report.without_chunks[:100]]
        told = f"{len(report.without_chunks):,} documents gave no chunk"
        notes.append(tag("li", details(told, tag("ul", *shown))))
    if report.skipped:
        shown = [tag("li", text(uri), f": {reason}") for uri, reason in report.skipped[:100]]
        told = f"{len(report.skipped):,} entries of the source are no documents"
        notes.append(tag("li", details(told, tag("ul", *shown))))
    if not notes:
        return Markup()
    return tag("section", tag("h2", "Notes"), tag("ul", *notes), id="notes")
