"""The part of the page about refused documents: by reason, with what to do about it; pure."""

from collections import Counter

from tasks.stages.morning.html import Markup, details, table, tag
from tasks.stages.morning.retrying import retry_command
from tasks.stages.remedies import remedy
from tasks.stages.reporting import RejectedDocument, RunReport

SHOWN = 50  # documents of one reason


def rejections(report: RunReport, *, names: bool) -> Markup:
    """Return what is refused and why."""
    title = tag("h2", "Rejections")
    if not report.rejections:
        return tag("section", title, tag("p", "No document is rejected."), id="rejections")
    counted = Counter(entry.reason for entry in report.rejections)
    rows, lists = [], []
    for reason, count in counted.most_common():
        command = tag("code", retry_command(report.collection, reason))
        rows.append((tag("b", reason), f"{count:,}", remedy(reason), command))
        entries = [entry for entry in report.rejections if entry.reason == reason]
        lists.append(details(f"The documents: {reason}", _entries(entries)))
    head = ("reason", "documents", "what helps", "tries them again")
    shown = table(head, rows, numbers=frozenset({1}))
    return tag("section", title, shown, *(lists if names else ()), id="rejections")


def _entries(entries: list[RejectedDocument]) -> Markup:
    rows = [(each.uri, each.detail, str(each.attempts)) for each in entries[:SHOWN]]
    rest = len(entries) - len(rows)
    more = tag("p", f"… and {rest:,} more: nightpress rejected lists them") if rest else Markup()
    head = ("document", "detail", "attempts")
    return tag("div", table(head, rows, numbers=frozenset({2})), more)
