"""What expiry did or would do, as Markdown for people; pure."""

from collections.abc import Sequence

from index_store.collector import PassResult
from index_store.retention import ExpiryPlan, FoundObject

SHOWN_OBJECTS = 200

_EMBEDDINGS = "Stored embeddings are never expired: they are what was paid for."


def plan_markdown(plan: ExpiryPlan) -> str:
    """Describe what expiry would do."""
    lines = ["# Expiry, dry run", "", "| version | would | why |", "|---|---|---|"]
    lines += [f"| `{version[:12]}` | keep | {why} |" for version, why in plan.kept.items()]
    lines += [f"| `{version[:12]}` | retire | kept by no rule |" for version in plan.versions]
    lines += [
        "",
        f"- would retire {_amount(plan.retire)}",
        f"- would delete {_amount(plan.delete)} retired before the grace",
        f"- would delete {_amount(plan.stale)} of runs that did not come back",
        f"- waiting for the end of their grace: {_amount(plan.waiting)}",
        "",
        _EMBEDDINGS,
        *_listed("Would be deleted", (*plan.delete, *plan.stale)),
        *_listed("Would be retired", plan.retire),
    ]
    return "\n".join(lines)


def passes_markdown(purged: PassResult, retired: PassResult) -> str:
    """Describe what both passes did."""
    lines = [
        "# Expiry",
        "",
        f"- deleted {_amount(purged.deleted)} and {purged.uploads} interrupted writes",
        f"- retired {len(retired.versions)} versions and {_amount(retired.retired)}, "
        "deleted by an expiry after the grace",
        "",
        _EMBEDDINGS,
        *(f"- retired version `{version}`" for version in retired.versions),
        *_listed("Deleted", purged.deleted),
        *_listed("Retired", retired.retired),
    ]
    return "\n".join(lines)


def _listed(title: str, objects: Sequence[FoundObject]) -> list[str]:
    if not objects:
        return []
    rows = [f"| `{found.key}` | {found.size_bytes} |" for found in objects[:SHOWN_OBJECTS]]
    more = len(objects) - len(rows)
    rest = [f"\n… and {more} more"] if more else []
    return ["", f"## {title}", "", "| object | bytes |", "|---|---|", *rows, *rest]


def _amount(objects: Sequence[FoundObject]) -> str:
    size_bytes = sum(found.size_bytes for found in objects)
    return f"{len(objects)} objects, {size_bytes / (1 << 20):.1f} MiB"
