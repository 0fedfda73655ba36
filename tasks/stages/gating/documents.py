"""What a version's documents are, beside those of the version before; pure.

Invariants: a document that goes by another name now, with the same content, is not lost; a share of
few documents is not known, since one of them would decide it.
"""

from collections import Counter
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from index_store.attributes import decode_attributes
from tasks.stages.gating.expectation import Frame, one_row

COLUMNS = (
    "indexed_hash",
    "content_hash",
    "rejection_reason",
    "row_start",
    "row_end",
    "tokens",
    "attributes",
    "quality",
)
FEW = 20  # documents below which a share says nothing
FEW_CHANGED = 10  # likewise of documents that changed, of a kind or in a folder
FEW_RESTRICTED = 5  # likewise of documents that not everybody may read
FEW_FOR_GROWTH = 100  # the first imports of a collection multiply it


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Catalogs of two versions, each with `uri` and COLUMNS.

    Attributes:
        before: Of the version before; without lines for a first one.
        now: Of the version that is judged.
        worked: Names of the documents that this run parsed.
    """

    before: pa.Table
    now: pa.Table
    worked: pa.Array

    @property
    def has_before(self) -> bool:
        """Whether there is something to compare with."""
        return bool(self.before.num_rows)


def inventory(lines: Lines) -> Frame:
    """Measure how many documents there are and how many of those before are still found."""
    had, kept = _had_and_kept(lines)
    before, now = _accepted(lines.before), _accepted(lines.now)
    return one_row(
        kept_share=_share(pc.sum(kept).as_py() or 0, len(had), FEW),
        growth=now / before if before >= FEW_FOR_GROWTH else None,
        poor_share_rise=_poor_share_rise(lines),
        language_shift=_language_shift(lines),
    )


def folders(lines: Lines) -> Frame:
    """Measure the same for each folder at the top of the source: a row each."""
    had, kept = _had_and_kept(lines)
    names = pc.replace_substring_regex(had.column("uri"), "^([^/]*)/.*$", r"\1/")
    counted = (
        pa.table({"folder": names, "kept": pc.cast(kept, pa.int64())})
        .group_by("folder")
        .aggregate([("kept", "sum"), ("kept", "count")])
        .sort_by("folder")
        .to_pylist()
    )
    deep = [line for line in counted if line["folder"].endswith("/")]
    known = [line for line in deep if line["kept_count"] >= FEW_CHANGED]
    return Frame(
        columns={"kept_share": [line["kept_sum"] / line["kept_count"] for line in known]},
        labels=tuple(line["folder"] for line in known),
    )


def outcomes(lines: Lines) -> Frame:
    """Measure what became of the documents that this run parsed."""
    tried = lines.now.filter(pc.is_in(lines.now.column("uri"), value_set=lines.worked))
    refused = pc.is_valid(tried.column("rejection_reason"))
    known = lines.before.filter(pc.is_valid(lines.before.column("rejection_reason")))
    again = pc.is_in(tried.column("content_hash"), value_set=_one(known.column("content_hash")))
    fresh = tried.filter(pc.invert(pc.and_(refused, again)))
    reasons = fresh.column("rejection_reason")
    read = fresh.filter(pc.is_null(reasons))
    silent = pc.equal(read.column("row_end"), read.column("row_start"))
    poor = pc.fill_null(pc.equal(read.column("quality"), "poor"), fill_value=False)
    killed = pc.is_in(reasons, value_set=pa.array(["timeout", "memory", "crashed"]))
    return one_row(
        rejected_share=_share(fresh.num_rows - read.num_rows, fresh.num_rows, FEW),
        killed_share=_share(_count(killed), fresh.num_rows, FEW),
        silent_share=_share(_count(silent), read.num_rows, FEW),
        poor_share=_share(_count(poor), read.num_rows, FEW),
    )


def changes(lines: Lines) -> Frame:
    """Measure what documents became that stood in the version before with another content."""
    both = lines.before.join(lines.now, "uri", right_suffix="_now", join_type="inner")
    same = pc.equal(both.column("indexed_hash"), both.column("indexed_hash_now"))
    rewritten = both.filter(pc.invert(pc.fill_null(same, fill_value=False)))
    spoke = pc.and_(
        pc.greater(rewritten.column("tokens"), 0), pc.greater(rewritten.column("tokens_now"), 0)
    )
    told = rewritten.filter(spoke)
    before, now = pc.sum(told.column("tokens")).as_py(), pc.sum(told.column("tokens_now")).as_py()
    return one_row(
        changed_share=_share(_with_chunks(rewritten).num_rows, _with_chunks(both).num_rows, FEW),
        tokens_ratio=now / before if told.num_rows >= FEW_CHANGED else None,
        language_changed_share=_language_changed(told),
        **_attributes_lost(both),
    )


def _poor_share_rise(lines: Lines) -> float | None:
    """Return by how much the share of poor documents rose, of those that can be found."""
    before, now = _poor_share(lines.before), _poor_share(lines.now)
    return None if before is None or now is None else now - before


def _language_shift(lines: Lines) -> float | None:
    """Return the share of documents by which the mix of languages moved, of those that are known.

    It is 0 for the same mix and 1 when no language is left that there was.
    """
    before, now = _languages(lines.before), _languages(lines.now)
    had, have = before.total(), now.total()
    if min(had, have) < FEW:
        return None
    return sum(abs(before[each] / had - now[each] / have) for each in before | now) / 2


def _languages(table: pa.Table) -> Counter[object]:
    """Count the documents of each language among those that can be found."""
    found = _attribute(_with_chunks(table).column("attributes"), "language")
    return Counter(language for language in found if language)


def _poor_share(table: pa.Table) -> float | None:
    verdicts = pc.drop_null(_with_chunks(table).column("quality"))
    return _share(_count(pc.equal(verdicts, "poor")), len(verdicts), FEW)


def _had_and_kept(lines: Lines) -> tuple[pa.Table, pa.Array]:
    """Return the lines that could be found before, and for each whether it still can."""
    had, have = _with_chunks(lines.before), _with_chunks(lines.now)
    by_name = pc.is_in(had.column("uri"), value_set=_one(have.column("uri")))
    by_text = pc.is_in(had.column("indexed_hash"), value_set=_one(have.column("indexed_hash")))
    return had, pc.or_(by_name, by_text)


def _language_changed(told: pa.Table) -> float | None:
    pairs = [
        (before, now)
        for before, now in zip(
            _attribute(told.column("attributes"), "language"),
            _attribute(told.column("attributes_now"), "language"),
            strict=True,
        )
        if before and now
    ]
    return _share(sum(before != now for before, now in pairs), len(pairs), FEW_CHANGED)


def _attributes_lost(both: pa.Table) -> dict[str, float | None]:
    """Return shares of documents that were restricted, or had an address, and have it no more."""
    lost = {}
    for measure, name, least in (
        ("opened_share", "groups", FEW_RESTRICTED),
        ("address_lost_share", "url", FEW),
    ):
        before = _attribute(both.column("attributes"), name)
        now = _attribute(both.column("attributes_now"), name)
        had = [after for was, after in zip(before, now, strict=True) if was not in (None, "")]
        lost[measure] = _share(sum(after in (None, "") for after in had), len(had), least)
    return lost


def _attribute(column: pa.ChunkedArray, name: str) -> list[object]:
    """Return one attribute of each line; equal attributes are read once."""
    values: dict[str | None, object] = {}
    texts = column.to_pylist()
    for text in texts:
        if text not in values:
            values[text] = getattr(decode_attributes(text or "", "catalog"), name)
    return [values[text] for text in texts]


def _with_chunks(table: pa.Table) -> pa.Table:
    return table.filter(pc.greater(table.column("row_end"), table.column("row_start")))


def _accepted(table: pa.Table) -> int:
    return int(table.column("rejection_reason").null_count)


def _count(flags: pa.ChunkedArray) -> int:
    return int(pc.sum(flags).as_py() or 0)


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _share(part: int, whole: int, least: int) -> float | None:
    return part / whole if whole >= max(least, 1) else None
