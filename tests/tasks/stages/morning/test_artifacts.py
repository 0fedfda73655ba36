"""What the Prefect UI shows: the verdict first, tables that no name breaks, pictures in place."""

import base64
import re
from dataclasses import replace

from lxml import etree

from index_store.records import Reason
from tasks.stages.morning.artifacts import (
    night_markdown,
    nights_markdown,
    quality_markdown,
    rejections_markdown,
    stopped_markdown,
    summary_markdown,
)
from tasks.stages.remedies import remedy
from tasks.stages.reporting import SHOWN_ITEMS, RejectedDocument, escape_markdown
from tasks.stages.run_records import RunEnd
from tests.tasks.stages.morning.builders import FAILED, REPORT, morning, night


def test_summary_says_first_what_stands_now_and_then_the_verdict():
    told = summary_markdown(morning())
    assert told.startswith("# docs: ffffffffffff published, in production\n\n**All 1 checks passed")
    assert "| documents | 1,238 | 1,238 | 1,119 |" in told
    assert "Stages: scan 1.2 s (usually 1.2 s), parse 8.0 s (usually 8.0 s)." in told
    unchanged = summary_markdown(morning(replace(REPORT, unchanged=True)))
    assert unchanged.startswith("# docs: nothing changed, ffffffffffff stays")
    blocked = summary_markdown(morning(replace(REPORT, promoted=False, findings=(FAILED,))))
    assert "a candidate, production is as it was" in blocked
    assert "--override" in blocked


def test_a_run_that_was_stopped_says_why_and_that_production_is_as_it_was():
    told = stopped_markdown(night(1, end=RunEnd.STOPPED, reason="source 'law' is gone"))
    assert told.startswith("# docs: stopped, production is as it was\n\n**source 'law' is gone**")


def test_checks_that_failed_come_first_with_what_they_protect():
    told = quality_markdown(replace(REPORT, findings=(*REPORT.findings, FAILED)))
    assert told.index("folders/kept") < told.index("vectors/norm")
    assert "| folders/kept | **failed** |" in told
    assert "| golden ndcg | 0.875 |" in told
    assert "| documents whose text came out well | 9 |" in told
    assert "The text of 1 documents came out poor: people/dismissals.docx." in told


def test_rejections_are_grouped_by_reason_with_the_command_that_retries_them():
    told = rejections_markdown(REPORT)
    assert "`nightpress run --collection docs --retry-rejected --set ocr=auto`" in told
    assert "## timeout: 1 documents" in told
    for reason in Reason:
        one = RejectedDocument(uri="a.pdf", reason=reason.value, detail="why")
        page = rejections_markdown(replace(REPORT, rejections=(one, one)))
        assert page.count(escape_markdown(remedy(reason.value))) == 1
    assert rejections_markdown(replace(REPORT, rejections=())) == "No document is rejected.\n"


def test_a_name_cannot_break_a_table_or_become_markup():
    name = "a|b\n<img src=x>*`_[c](d)"
    rejected = RejectedDocument(uri=name, reason="corrupt", detail="half of it is missing")
    row = rejections_markdown(replace(REPORT, rejections=(rejected,))).splitlines()[-1]
    assert row.startswith("| a\\|b \\<img src=x\\>\\*\\`\\_\\[c\\](d) |")
    assert escape_markdown("\\") == "\\\\"


def test_long_tables_are_cut_and_say_so():
    many = tuple(
        RejectedDocument(uri=f"{number}.pdf", reason="corrupt", detail="half")
        for number in range(SHOWN_ITEMS + 7)
    )
    told = rejections_markdown(replace(REPORT, rejections=many))
    assert told.rstrip().endswith("… and 7 more.")
    assert f"## corrupt: {SHOWN_ITEMS + 7} documents" in told


def test_pictures_stand_in_the_text_itself():
    for told in (night_markdown(morning()), nights_markdown(morning())):
        picture = re.search(r"!\[[^]]+\]\(data:image/svg\+xml;base64,([^)]+)\)", told)
        assert picture is not None
        assert etree.fromstring(base64.b64decode(picture[1])).tag.endswith("svg")
