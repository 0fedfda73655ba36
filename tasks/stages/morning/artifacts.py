"""What the Prefect UI shows of a night, as Markdown; pure.

Pictures are Markdown images with their bytes in the address, which is what that UI draws.
"""

import base64
from collections import Counter

from tasks.stages.morning.comparing import Compared, compare_nights, compare_stages, stages_line
from tasks.stages.morning.night_picture import night_svg
from tasks.stages.morning.nights_picture import nights_svg
from tasks.stages.morning.page import WHERE_TYPED, Morning, commands, verdict
from tasks.stages.morning.retrying import retry_command
from tasks.stages.morning.words import clock, measured, moment
from tasks.stages.remedies import remedy
from tasks.stages.reporting import (
    SHOWN_ITEMS,
    RunReport,
    and_more,
    cost_markdown,
    escape_markdown,
    markdown_table,
)
from tasks.stages.run_records import RunRecord

SHOWN_POOR = 20
NOTHING_CHECKED = "Nothing had to be checked.\n"


def summary_markdown(morning: Morning) -> str:
    """Return what a person reads first: verdict, figures beside the nights before, what next."""
    report = morning.report
    typed = "\n".join(commands(report))
    parts = [
        f"# {_headline(report)}",
        f"**{escape_markdown(verdict(report)[0])}**",
        f"Began {moment(report.began_at_ms)}, took {clock(morning.record.took_s)}.",
        _compared(compare_nights(morning.record, morning.before)),
        f"Stages: {stages_line(morning.record, morning.before) or 'none'}.",
        f"```\n{typed}\n```\n\n{WHERE_TYPED}" if typed else "",
        cost_markdown(report.cost),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def stopped_markdown(record: RunRecord) -> str:
    """Return what stopped a run that published nothing, and what to do next."""
    of = f"--collection {record.collection}"
    return (
        f"# {record.collection}: {record.end.value}, production is as it was\n\n"
        f"**{escape_markdown(record.reason)}**\n\n"
        f"Began {moment(record.began_at_ms)}, took {clock(record.took_s)}. "
        "What it finished is kept for the next run.\n\n"
        f"```\nnightpress plan {of}\nnightpress runs {of}\n```\n"
    )


def quality_markdown(report: RunReport) -> str:
    """Return what was measured and every check, those that failed first."""
    figures = measured(report.quality, report.figures)
    rows = [
        (entry.check, entry.result, entry.message, entry.protects)
        for entry in sorted(report.findings, key=lambda each: (each.passed, not each.blocks))
    ]
    parts = [
        markdown_table(("measured", ""), figures.items()) if figures else "",
        markdown_table(("check", "result", "found", "what it protects"), rows) if rows else "",
        f"{len(report.without_chunks):,} documents gave no chunk." if report.without_chunks else "",
        _poor(report),
        "\n".join(f"- {escape_markdown(warning)}" for warning in report.warnings),
    ]
    return "\n\n".join(part for part in parts if part) + "\n" if any(parts) else NOTHING_CHECKED


def rejections_markdown(report: RunReport) -> str:
    """Return standing rejections grouped by reason, each with the command that retries them."""
    if not report.rejections:
        return "No document is rejected.\n"
    parts = []
    for reason, count in Counter(entry.reason for entry in report.rejections).most_common():
        command = retry_command(report.collection, reason)
        told = escape_markdown(remedy(reason))
        parts.append(f"## {reason}: {count:,} documents\n\nWhat helps: {told}.\n\n`{command}`")
    rows = [
        (entry.uri, entry.reason, entry.detail, str(entry.attempts))
        for entry in report.rejections[:SHOWN_ITEMS]
    ]
    parts.append(WHERE_TYPED)
    parts.append(markdown_table(("document", "reason", "detail", "attempts"), rows))
    return "\n\n".join(parts + and_more(len(report.rejections))) + "\n"


def night_markdown(morning: Morning) -> str:
    """Return the picture of the night and the seconds of its stages."""
    picture = _picture("stages over time", night_svg(morning.report.timeline))
    return f"{picture}\n\n{_compared(compare_stages(morning.record, morning.before))}\n"


def nights_markdown(morning: Morning) -> str:
    """Return the picture of the last nights."""
    return _picture("the last nights", nights_svg(morning.nights)) + "\n"


def _headline(report: RunReport) -> str:
    version = (report.version or "no version")[:12]
    if report.unchanged:
        return f"{report.collection}: nothing changed, {version} stays"
    state = "in production" if report.promoted else "a candidate, production is as it was"
    return f"{report.collection}: {version} published, {state}"


def _poor(report: RunReport) -> str:
    if not report.poor:
        return ""
    shown = ", ".join(escape_markdown(uri) for uri in report.poor[:SHOWN_POOR])
    more = f" and {len(report.poor) - SHOWN_POOR:,} more" if report.poor[SHOWN_POOR:] else ""
    return f"The text of {len(report.poor):,} documents came out poor: {shown}{more}."


def _picture(name: str, svg: str) -> str:
    return f"![{name}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def _compared(rows: tuple[Compared, ...]) -> str:
    return markdown_table(
        ("", "this night", "the night before", "usual"),
        [(row.name, row.now, row.last or "–", row.usual or "–") for row in rows],
    )
