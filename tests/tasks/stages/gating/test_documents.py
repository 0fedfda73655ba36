"""What is measured of a night's documents: shares that a person would name the same way."""

from collections.abc import Sequence

import pyarrow as pa
import pytest

from index_store.attributes import DocumentAttributes, encode_attributes
from tasks.stages.gating.documents import FEW, Lines, changes, inventory

Row = tuple[str, str | None, str]  # uri, hash of what is indexed or None, language


def catalog(rows: Sequence[Row]) -> pa.Table:
    spoke = [digest is not None for _, digest, _ in rows]
    return pa.table(
        {
            "uri": pa.array([uri for uri, _, _ in rows], pa.string()),
            "indexed_hash": pa.array([digest for _, digest, _ in rows], pa.string()),
            "rejection_reason": pa.array(
                [None if each else "corrupt" for each in spoke], pa.string()
            ),
            "row_start": pa.array([0] * len(rows), pa.int64()),
            "row_end": pa.array([int(each) for each in spoke], pa.int64()),
            "tokens": pa.array([9 * each for each in spoke], pa.int64()),
            "attributes": pa.array(
                [encode_attributes(DocumentAttributes(language=tag)) for _, _, tag in rows],
                pa.string(),
            ),
            "quality": pa.array(["good" if each else None for each in spoke], pa.string()),
        }
    )


def lines(before: Sequence[Row], now: Sequence[Row]) -> Lines:
    return Lines(before=catalog(before), now=catalog(now), worked=pa.array([], pa.string()))


def speaking(language: str, count: int, *, name: str = "") -> list[Row]:
    name = name or language
    return [(f"{name}-{number}.txt", f"{name}-{number}", language) for number in range(count)]


def test_the_mix_of_languages_moves_by_the_share_that_speaks_another():
    before = speaking("fr", 30) + speaking("en", 10)
    other_names = speaking("fr", 15, name="new") + speaking("de", 15) + speaking("en", 10)
    (shift,) = inventory(lines(before, other_names)).columns["language_shift"]
    assert shift == pytest.approx(15 / 40)
    (none,) = inventory(lines(before, [*before, ("a.log", "a", "")])).columns["language_shift"]
    assert none == 0


def test_a_few_documents_tell_no_mix():
    few = speaking("fr", FEW - 1)
    assert inventory(lines(few, speaking("en", 99))).columns["language_shift"] == (None,)


def test_what_was_rewritten_is_told_of_what_could_be_found():
    before = [*speaking("fr", 40), *((f"bad-{number}.pdf", None, "") for number in range(40))]
    now = [(uri, "other", tag) if uri < "fr-2" and digest else (uri, digest, tag)
           for uri, digest, tag in before]  # fmt: skip
    rewritten = sum(digest == "other" for _, digest, _ in now)
    assert changes(lines(before, now)).columns["changed_share"] == (rewritten / 40,)
    assert changes(lines(before, before)).columns["changed_share"] == (0,)
