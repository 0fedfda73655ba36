"""Files of the project speak of the project alone: no paths of one machine, no registries."""

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
BINARY = {
    ".pdf", ".docx", ".xlsx", ".xls", ".xlsm", ".pptx", ".png", ".faiss", ".arrow", ".parquet",
    ".roaring", ".bin", ".gz", ".zip", ".fast", ".fieldnorm", ".idx", ".pos", ".store", ".term",
}  # fmt: skip


def test_no_tracked_file_names_a_machine_or_a_registry(root: Path, tracked: list[Path]):
    found = []
    for path in tracked:
        if path.suffix.lower() in BINARY or root / "examples" / "documents" in path.parents:
            continue
        if root / "tests" / "data" in path.parents:
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            match = FORBIDDEN.search(line)
            if match:
                found.append(f"{path.relative_to(root)}:{number}: {match[0]}")
    assert found == []
