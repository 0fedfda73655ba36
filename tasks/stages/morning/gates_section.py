"""The part of the page about quality: every expectation, what was found, what it protects; pure.

It stands for the Data Docs of Great Expectations, whose pages load parts from other hosts.
"""

from tasks.stages.morning.html import Markup, details, table, tag
from tasks.stages.morning.words import measured
from tasks.stages.reporting import Finding, RunReport


def gates(report: RunReport, *, names: bool) -> Markup:
    """Return the results of all checks, those that failed first, then suite by suite."""
    title = tag("h2", "Quality and gates")
    if not report.findings:
        return tag("section", title, tag("p", "Nothing had to be checked."), id="gates")
    failed = [each for each in report.findings if not each.passed]
    failed.sort(key=lambda each: not each.blocks)
    parts = [_figures(report)]
    if failed:
        parts.append(_table(failed, names=names))
    suites = dict.fromkeys(_suite(each) for each in report.findings)
    inside = [
        part
        for suite in suites
        for part in (
            tag("h3", suite),
            _table([each for each in report.findings if _suite(each) == suite], names=names),
        )
    ]
    passed = len(report.findings) - len(failed)
    told = f"All {len(report.findings)} expectations, suite by suite; {passed} are met"
    parts.append(details(told, *inside))
    return tag("section", title, *parts, id="gates")


def _figures(report: RunReport) -> Markup:
    cards = [
        tag("div", tag("span", name), tag("b", value), css="card")
        for name, value in measured(report.quality, report.figures).items()
    ]
    return tag("div", *cards, css="cards") if cards else Markup()


def _table(findings: list[Finding], *, names: bool) -> Markup:
    rows = []
    for each in findings:
        colour = "good" if each.passed else "bad" if each.blocks else "warn"
        told = "met" if each.passed else "blocks" if each.blocks else "warning"
        found = (each.message,) if names else ()  # a message may name documents
        rows.append((tag("code", each.check), tag("b", told, css=colour), *found, each.protects))
    found_too = ("expected and found",) if names else ()
    return table(("expectation", "result", *found_too, "what it protects"), rows)


def _suite(finding: Finding) -> str:
    suite, parted, _ = finding.check.partition("/")
    return suite if parted else "version"
