"""Files speak of the project alone: no paths of a machine, no registries, nothing a merge left."""

import re
from pathlib import Path

# Written in pieces, so that this file passes its own test.
FORBIDDEN = re.compile(
    "|".join(
        (
            r"(?<![\w.])/" + r"work/",
            r"/t" + r"mp/w\b",
            r"/" + r"home/\w",
            r"/" + r"root/",
            r"py" + r"pi\.org",
            r"python" + r"hosted\.org",
            r"npm" + r"js\.",
            r"crates" + r"\.io",
        )
    ),
    re.IGNORECASE,
)
MERGE_LEFT = re.compile(r"^(<{7}|>{7}) ")
BINARY = {
    ".pdf", ".docx", ".xlsx", ".xls", ".xlsm", ".pptx", ".png", ".faiss", ".arrow", ".parquet",
    ".roaring", ".bin", ".gz", ".zip", ".fast", ".fieldnorm", ".idx", ".pos", ".store", ".term",
}  # fmt: skip


def lines_that(words: re.Pattern[str], root: Path, tracked: list[Path]) -> list[str]:
    found = []
    for path in tracked:
        if path.suffix.lower() in BINARY or root / "examples" / "documents" in path.parents:
            continue
        if root / "tests" / "data" in path.parents:
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            match = words.search(line)
            if match:
                found.append(f"{path.relative_to(root)}:{number}: {match[0]}")
    return found


def test_no_tracked_file_names_a_machine_or_a_registry(root: Path, tracked: list[Path]):
    assert lines_that(FORBIDDEN, root, tracked) == []


def test_no_tracked_file_keeps_both_sides_of_a_merge(root: Path, tracked: list[Path]):
    assert lines_that(MERGE_LEFT, root, tracked) == []
