"""A collection of any size made from the sentences of the example documents, and its next night.

Invariants: the same numbers give the same bytes; every document has a sentence that stands nowhere
else, so that it can be asked for, and missed; all else in it comes from one example document, so
that it keeps its language when it is rewritten.
"""

import random
import re
from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "documents"
PER_FOLDER = 200
SENTENCES_PER_PARAGRAPH = 4
FEWEST_SENTENCES = 40  # of an example document that others are made from
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """What a night changed.

    Attributes:
        removed: Sentences that only removed documents held.
        rewritten: Sentences that only the former text of changed documents held.
        added: Sentences that only the new text of changed documents holds.
    """

    removed: tuple[str, ...]
    rewritten: tuple[str, ...]
    added: tuple[str, ...]


def write_collection(folder: Path, documents: int, characters: int) -> None:
    """Write documents of about the given length each, as plain text in UTF-8."""
    sentences = _sentences()
    for number in range(documents):
        path = _path(folder, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_text(number, 0, characters, sentences), encoding="utf-8")


def next_night(folder: Path, documents: int, characters: int, share: float) -> Night:
    """Rewrite half of `share` of the documents and remove the other half, spread evenly.

    Args:
        folder: Where `write_collection` wrote.
        documents: How many it wrote.
        characters: Their length.
        share: Share of the documents that changes, in (0, 1].
    """
    sentences = _sentences()
    count = max(2, round(documents * share))
    chosen = [documents * place // count for place in range(count)]
    rewritten, removed = chosen[::2], chosen[1::2]
    for number in rewritten:
        text = _text(number, 1, characters, sentences)
        _path(folder, number).write_text(text, encoding="utf-8")
    for number in removed:
        _path(folder, number).unlink()
    return Night(
        removed=tuple(own_sentence(number, 0) for number in removed),
        rewritten=tuple(own_sentence(number, 0) for number in rewritten),
        added=tuple(own_sentence(number, 1) for number in rewritten),
    )


def own_sentence(number: int, edition: int) -> str:
    """Return the sentence that only this edition of this document holds."""
    drawn = random.Random(f"own {number} {edition}")  # noqa: S311 - not a secret
    words = [
        "".join(drawn.choices("bcdfglmnprstv", k=1) + drawn.choices("aeiou", k=1))
        for _ in range(40)
    ]
    names = ["".join(words[place : place + 4]) for place in range(0, 40, 4)]
    return f"Case {number} of {edition} was told by {' '.join(names)}."


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number // PER_FOLDER:04d}" / f"{number:07d}.md"


def _text(number: int, edition: int, characters: int, sources: list[list[str]]) -> str:
    drawn = random.Random(f"{number} {edition}")  # noqa: S311 - not a secret
    parts = [f"# Document {number}", own_sentence(number, edition)]
    length = sum(map(len, parts))
    sentences = sources[number % len(sources)]
    while length < characters:
        paragraph = " ".join(drawn.choices(sentences, k=SENTENCES_PER_PARAGRAPH))
        parts.append(paragraph)
        length += len(paragraph) + 2
    return "\n\n".join(parts) + "\n"


def _sentences() -> list[list[str]]:
    """Return the sentences of each example document that is long plain text, in a fixed order."""
    found: list[list[str]] = []
    for path in sorted(EXAMPLES.rglob("*")):
        if path.suffix in (".txt", ".md"):
            text = " ".join(_decoded(path).split())
            parts = {part for part in _SENTENCE.split(text) if 20 <= len(part) <= 400}
            if len(parts) >= FEWEST_SENTENCES:
                found.append(sorted(parts))
    return found


def _decoded(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
