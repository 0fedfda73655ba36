from tasks.stages.diffing import Action, Plan, PlanItem
from tasks.stages.reporting import (
    RejectedDocument,
    RunReport,
    plan_markdown,
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


def test_plan_lists_changes_with_reasons_and_leaves_out_what_is_kept():
    items = [
        PlanItem(uri="a.txt", action=Action.ADDED, reason="not in the last catalog"),
        PlanItem(uri="b.txt", action=Action.KEPT, reason="same content"),
    ]
    page = plan_markdown(Plan(items=tuple(items)), kept=1234)
    assert "| kept | 1,234 |" in page
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
