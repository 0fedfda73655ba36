"""The page of a version: it needs nothing else, shows text as text, and keeps names to itself."""

import re
from dataclasses import replace

import pytest
from lxml import etree, html

from tasks.stages.morning.page import WHERE_TYPED, commands, page, verdict
from tasks.stages.reporting import RunReport
from tests.tasks.stages.morning.builders import FAILED, NASTY, REPORT, RESTRICTED, morning

BLOCKED = replace(REPORT, promoted=False, findings=(FAILED,))


def test_the_page_loads_nothing_and_runs_nothing():
    tree = html.document_fromstring(page(morning()))
    assert not tree.xpath("//script|//iframe|//object|//img|//form|//base")
    assert [each.get("href") for each in tree.xpath("//link")] == ["data:,"]
    assert all(each.get("href").startswith("#") for each in tree.xpath("//a"))
    assert not any(name.startswith("on") for each in tree.iter("*") for name in each.attrib)
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg|HOST:9998)", page(morning()))
    assert "url(" not in page(morning())
    policy = tree.xpath("//meta[@http-equiv='Content-Security-Policy']")[0].get("content")
    assert policy.startswith("default-src 'none'")


def test_a_name_is_text_wherever_it_stands():
    tree = html.document_fromstring(page(morning()))
    shown = NASTY.replace("\x1b", "\\x1b")
    assert [each.text for each in tree.xpath("//td") if each.text == shown] == [shown] * 2
    assert "\x1b" not in page(morning())


@pytest.mark.parametrize("report", [REPORT, BLOCKED], ids=["good", "blocked"])
def test_without_names_no_document_is_named(report: RunReport):
    told = page(morning(report), names=False)
    assert RESTRICTED not in told
    assert "dismissals" not in told
    assert "script&gt;" not in told
    assert "1,238" in told
    assert RESTRICTED in page(morning(report))


def test_every_link_leads_somewhere():
    tree = html.document_fromstring(page(morning()))
    places = {each.get("id") for each in tree.xpath("//*[@id]")}
    assert {each.get("href")[1:] for each in tree.xpath("//a")} <= places


def test_figures_stand_beside_the_nights_before():
    tree = html.document_fromstring(page(morning()))
    rows = {
        cells[0]: cells[1:]
        for line in tree.xpath("//tr")
        if len(cells := [each.text_content() for each in line.xpath("td")]) == 4
    }
    assert rows["documents"] == ["1,238", "1,238", "1,119"]
    assert rows["took"] == ["1 min 30 s", "1 min 0 s", "1 min 0 s"]
    assert rows["parse"] == ["8.0 s"] * 3


def test_every_check_says_what_it_protects_and_failed_ones_come_first():
    report = replace(REPORT, findings=(*REPORT.findings, FAILED), promoted=False)
    tree = html.document_fromstring(page(morning(report)))
    checks = [each.text for each in tree.xpath("//section[@id='gates']//td/code")]
    assert checks == ["folders/kept", "vectors/norm", "folders/kept"]
    told = page(morning(report))
    assert all(each.protects in told for each in report.findings)


def test_the_verdict_and_what_to_type_follow_what_happened():
    assert verdict(REPORT) == ("All 1 checks passed", "good")
    assert verdict(BLOCKED) == ("Blocked, production is as it was: folders/kept", "bad")
    warned = replace(BLOCKED, findings=(replace(FAILED, severity="warn"),))
    assert verdict(warned)[1] == "warn"
    assert verdict(replace(REPORT, unchanged=True))[1] == "good"
    assert verdict(replace(REPORT, promoted=False))[1] == "warn"
    assert "rollback" in commands(REPORT)[0]
    shown = html.document_fromstring(page(morning(BLOCKED))).xpath("//pre")[0].text_content()
    assert shown.splitlines() == list(commands(BLOCKED))
    assert WHERE_TYPED in page(morning(BLOCKED))
    assert WHERE_TYPED not in page(morning(replace(REPORT, unchanged=True)))
    assert [line.split()[1] for line in commands(BLOCKED)] == ["diff", "promote"]
    assert "--override" in commands(BLOCKED)[1]
    assert commands(replace(REPORT, unchanged=True)) == ()


def test_a_first_night_with_nothing_to_tell_has_a_page_too():
    bare = RunReport(
        run="r",
        began_at_ms=0,
        collection="docs",
        version=None,
        parent=None,
        documents={},
        chunks={},
        embedding={},
        seconds={},
        promoted=False,
    )
    told = page(morning(bare, changes=(), before=()))
    assert "No document is rejected." in told
    assert etree.fromstring(re.findall(r"<svg.*?</svg>", told)[0]) is not None
