"""Sets of real documents with questions, judgements and, where they are known, answers."""

import json
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from tasks.stages.parsing.dispatch import parse_as
from tasks.stages.parsing.elements import ParsedDocument
from tasks.stages.parsing.normalisation import one_line
from tasks.stages.parsing.registry import parser_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """One end-to-end set: parsed documents, questions, answers and judgements."""

    name: str
    documents: dict[str, ParsedDocument]
    questions: dict[str, str]
    answers: dict[str, list[str]]
    relevant: dict[str, set[str]]


def load_all(folder: Path) -> list[Set]:
    """Load every set of a folder; end the program when there is none."""
    sets = [load(path.parent) for path in sorted(folder.glob("*/qrels.tsv"))]
    if not sets:
        sys.exit(f"no question sets in {folder}")
    return sets


def load(folder: Path) -> Set:
    """Parse the documents of a set and read its questions."""
    root = folder / "docs"
    paths = [path for path in sorted(root.rglob("*")) if path.is_file()]
    lines = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
    relevant: dict[str, set[str]] = defaultdict(set)
    for row in (folder / "qrels.tsv").read_text().splitlines()[1:]:
        question, path, _ = row.split("\t")
        relevant[question].add(path)
    return Set(
        name=folder.name,
        documents={
            str(path.relative_to(root)): parse_as(path, parser_for(path.name)) for path in paths
        },
        questions={line["_id"]: line["text"] for line in lines},
        answers={line["_id"]: line["answers"] for line in lines if line.get("answers")},
        relevant=relevant,
    )


def plain(text: str) -> str:
    """Return a text as it is compared: one line, without case."""
    return one_line(text).casefold()
