"""The cheap first look of a plan: which listed documents need no second one.

Invariants: pure; what is passed over here is what `diffing` would keep without a word, so leaving
it out changes nothing but the time and memory that a plan takes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from index_store.arrow_numpy import flags_of, numbers_of
from tasks.stages.diffing import WorkKeys
from tasks.stages.listing import ListedFile

NO_KEY = -1

KeysOf = Callable[[str, str], WorkKeys]
"""From a document's ending and the hash of its sidecars to what would be applied to it."""

_Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a first look leaves over.

    Attributes:
        files: Listed documents that are new or look different, in the order of the listing.
        untouched: Number of the others.
        vanished: Documents of the catalog that are not listed.
    """

    files: tuple[ListedFile, ...]
    untouched: int
    vanished: tuple[str, ...]


def look_quickly(
    files: Sequence[ListedFile],
    lines: pa.Table,
    keys_of: KeysOf,
    *,
    retry_rejected: bool,
) -> Looked:
    """Compare a listing with a catalog, column by column.

    Args:
        files: Complete listing, each uri once.
        lines: What `catalog_look.look` returned.
        keys_of: Identities of what would be applied to a document.
        retry_rejected: Whether rejected documents are looked at in any case.

    Returns:
        What is left to be judged document by document.
    """
    names = pa.array((file.uri for file in files), pa.string(), size=len(files))
    places = numbers_of(pc.index_in(names, value_set=lines.column("uri")).fill_null(-1))
    listed = np.zeros(lines.num_rows, np.bool_)
    listed[places[places >= 0]] = True
    same = _same(files, places, lines, keys_of, retry_rejected=retry_rejected)
    vanished = lines.column("uri").filter(pa.array(~listed)).to_pylist()
    return Looked(
        files=tuple(compress(files, ~same)),
        untouched=int(same.sum()),
        vanished=tuple(sorted(vanished)),
    )


def _same(
    files: Sequence[ListedFile],
    places: npt.NDArray[np.int32],
    lines: pa.Table,
    keys_of: KeysOf,
    *,
    retry_rejected: bool,
) -> _Flags:
    """Return which files look as they did and have been dealt with as they would be today."""
    count = len(files)
    same: _Flags = places >= 0
    if not lines.num_rows:
        return same
    at = np.maximum(places, 0)
    sizes = np.fromiter((file.size_bytes for file in files), np.int64, count)
    same &= sizes == numbers_of(lines.column("size_bytes"))[at]
    times = np.fromiter((file.mtime_ns for file in files), np.int64, count)
    same &= times == numbers_of(lines.column("mtime_ns"))[at]
    same &= flags_of(lines.column("hashed"))[at]
    rejected = flags_of(lines.column("rejected"))[at]
    if retry_rejected:
        same &= ~rejected
    applied, codes = _applied_keys(lines)
    indexing, attempt = _expected_keys(files, keys_of, codes)
    same &= applied[at] == np.where(rejected, attempt, indexing)
    return same


def _applied_keys(lines: pa.Table) -> tuple[npt.NDArray[np.int64], dict[str, int]]:
    """Return the number of each line's work key, and the number of each key."""
    column = lines.column("work_key").combine_chunks()
    merged = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    codes = {key: code for code, key in enumerate(merged.dictionary.to_pylist())}
    return numbers_of(merged.indices).astype(np.int64), codes


def _expected_keys(
    files: Sequence[ListedFile], keys_of: KeysOf, codes: dict[str, int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    kinds: dict[tuple[str, str], int] = {}  # there are few, and very many files
    expected: list[tuple[int, int]] = []

    def kind_of(file: ListedFile) -> int:
        kind = (_ending(file.uri), file.described)
        if kind not in kinds:
            keys = keys_of(PurePosixPath(file.uri).suffix.lower(), file.described)
            kinds[kind] = len(expected)
            expected.append((codes.get(keys.indexing, NO_KEY), codes.get(keys.attempt, NO_KEY)))
        return kinds[kind]

    found = np.fromiter((kind_of(file) for file in files), np.int64, len(files))
    pairs = np.array(expected, np.int64).reshape(-1, 2)[found]
    return pairs[:, 0], pairs[:, 1]


def _ending(uri: str) -> str:
    """Return what the suffix follows from; cheaper than taking a path apart."""
    dot = uri.rfind(".")
    return uri[dot:] if dot > 0 and uri[dot - 1] != "/" else ""
