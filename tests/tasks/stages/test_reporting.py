from index_store.records import Reason
from tasks.stages.diffing import Action, Plan, PlanItem
from tasks.stages.remedies import remedy
from tasks.stages.reporting import (
    SHOWN_ITEMS,
    Finding,
    RejectedDocument,
    RunReport,
    escape_markdown,
    plan_markdown,
    rejections_markdown,
    summary_markdown,
)


def report(**fields: object) -> RunReport:
    values: dict[str, object] = {
        "run": "run-1",
        "collection": "docs",
        "version": "f" * 64,
        "parent": None,
        "documents": {"added": 1234},
        "chunks": {"total": 1},
        "embedding": {"texts": 1},
        "seconds": {"scan": 1.23456},
        "promoted": True,
        "began_at_ms": 1_700_000_000_000,
    }
    return RunReport(**(values | fields))  # type: ignore[arg-type]


def rejected(uri: str) -> RejectedDocument:
    return RejectedDocument(uri=uri, reason="corrupt", detail="half of it is missing")


def test_summary_says_first_what_stands_now():
    assert summary_markdown(report()).startswith("# docs: ffffffffffff published, in production")
    assert "1,234" in summary_markdown(report())
    unchanged = summary_markdown(report(unchanged=True))
    assert unchanged.startswith("# docs: nothing changed, ffffffffffff stays")
    failed = report(promoted=False, findings=(Finding(check="x", passed=False, message="m"),))
    assert "a candidate, production is as it was" in summary_markdown(failed)
    assert "| x | **failed** | m |" in summary_markdown(failed)


def test_a_name_cannot_break_a_table_or_become_markup():
    name = "a|b\n<img src=x>*`_[c](d)"
    page = rejections_markdown(report(rejections=(rejected(name),)), "retry")
    row = page.splitlines()[-1]
    assert row.startswith("| a\\|b \\<img src=x\\>\\*\\`\\_\\[c\\](d) |")
    assert escape_markdown("\\") == "\\\\"


def test_long_tables_are_cut_and_say_so():
    many = tuple(rejected(f"{number}.pdf") for number in range(SHOWN_ITEMS + 7))
    page = rejections_markdown(report(rejections=many), "nightpress run --retry-rejected")
    assert page.rstrip().endswith("… and 7 more.")
    assert f"| corrupt | {SHOWN_ITEMS + 7} |" in page
    assert "`nightpress run --retry-rejected`" in page
    assert rejections_markdown(report(), "retry") == "No document is rejected.\n"


def test_plan_lists_changes_with_reasons_and_leaves_out_what_is_kept():
    items = [
        PlanItem(uri="a.txt", action=Action.ADDED, reason="not in the last catalog"),
        PlanItem(uri="b.txt", action=Action.KEPT, reason="same content"),
    ]
    page = plan_markdown(Plan(items=tuple(items)))
    assert "| a.txt | added | not in the last catalog |" in page
    assert "b.txt" not in page


def test_json_rounds_seconds_and_lists_rejections_in_full():
    told = report(rejections=(rejected("a.pdf"),)).as_json()
    assert told["seconds"] == {"scan": 1.235}
    assert told["rejections"] == [
        {
            "uri": "a.pdf",
            "reason": "corrupt",
            "detail": "half of it is missing",
            "attempts": 1,
            "remedy": "open it in its own program and save it again, or restore it",
        }
    ]


def test_every_reason_has_a_remedy_that_is_shown_once_for_its_group():
    many = tuple(
        RejectedDocument(uri=f"{n}-{reason.value}", reason=reason.value, detail="why")
        for reason in Reason
        for n in range(2)
    )
    page = rejections_markdown(report(rejections=many), "retry")
    for reason in Reason:
        assert page.count(f"| {reason.value} | 2 | {escape_markdown(remedy(reason.value))} |") == 1


def test_documents_whose_text_came_out_poor_are_named():
    made = report(quality={"good": 3, "poor": 2}, poor=("a|b.pdf", "c.pdf"))
    assert "The text of 2 documents came out poor: a\\|b.pdf, c.pdf." in summary_markdown(made)
    assert made.as_json()["quality"] == {"good": 3, "poor": 2}
    assert made.as_json()["poor"] == ["a|b.pdf", "c.pdf"]
