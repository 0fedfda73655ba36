"""Find the rows that may answer a question, by vectors, by words, or by both.

Invariants: a row that is dead, that a filter refuses or that may not be read is never looked at
further; filters are applied inside the search, so a narrow one finds as many as there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from index_store.embedder import Vectors
from index_store.fusion import DEPTH, fuse
from index_store.lexical.engine import LexicalReader
from index_store.lexical.questions import question_words
from index_store.open_shard import Accepted, OpenShard
from index_store.search_options import Retrieval, SearchOptions

# With so few documents left the lexical index is asked for theirs alone; beyond, more rows are
# asked for than wanted, and those of other documents are passed over.
KEYED_DOCUMENTS = 1000
SPARE = 1.5  # rows asked for beyond the share that passes
WIDENING = 4  # times as many rows when too few passed


@dataclass(slots=True)
class Candidate:
    """A row that may answer the question, and its scores so far."""

    shard: OpenShard
    row: int
    score: float
    dense: float | None = None
    lexical: float | None = None
    fused: float | None = None
    verbatim: bool = False


class CandidateFinder:
    """Searches the shards of one version.

    Args:
        shards: All of them.
        lexical: Their lexical indexes, in the same order; None when a shard has none.
        exact_rows: Up to this many rows every one is compared.
    """

    def __init__(
        self, shards: Sequence[OpenShard], lexical: LexicalReader | None, exact_rows: int
    ) -> None:
        self._shards = shards
        self._lexical = lexical
        self._exact_rows = exact_rows
        self._rows = sum(shard.entry.live for shard in shards)
        indexed = [shard.entry.lexical for shard in shards if shard.entry.lexical is not None]
        self._languages = sorted({language for each in indexed for language in each.languages})
        self._analyses = {each.analysis for each in indexed}

    def find(
        self, text: str, query: Vectors | None, options: SearchOptions, depth: int
    ) -> list[Candidate]:
        """Return candidates, best first.

        Args:
            text: The question; used by a search by words.
            query: float32, shape (1, dimension), norm 1; None in a search by words alone.
            options: How to search.
            depth: Rows to return at least, if there are as many.
        """
        accepted = [
            shard.accepted(options.filter, options.groups, all_groups=options.all_groups)
            for shard in self._shards
        ]
        retrieval = options.retrieval if self._lexical is not None else Retrieval.DENSE
        if retrieval is Retrieval.DENSE or not text:
            return [] if query is None else self._dense(query, accepted, depth)
        if retrieval is Retrieval.LEXICAL:
            found = self._by_words(text, accepted, depth)
            return found if query is None else _with_cosines(found, query)
        if query is None:
            return []
        depth = max(depth, DEPTH)
        by_words = self._by_words(text, accepted, depth)
        return _fused(query, by_words, self._dense(query, accepted, depth))

    def _dense(self, query: Vectors, accepted: Sequence[Accepted], depth: int) -> list[Candidate]:
        exact = self._rows <= self._exact_rows
        found: list[Candidate] = []
        for shard, allowed in zip(self._shards, accepted, strict=True):
            if not allowed.rows:
                continue
            # A narrow filter starves the graph, and is cheap to search exactly.
            few = allowed.places is not None and allowed.rows <= self._exact_rows
            wanted = min(depth, allowed.rows)
            scores, rows = shard.reader.search(
                query, wanted, exact=exact or few, among=allowed.among
            )
            found += [
                Candidate(shard, row, score, dense=score)
                for score, row in zip(scores[0].tolist(), rows[0].tolist(), strict=True)
                if row >= 0
            ]
        if len(self._shards) > 1:
            found.sort(key=lambda each: -each.score)
        return found[:depth]

    def _by_words(self, text: str, accepted: Sequence[Accepted], depth: int) -> list[Candidate]:
        passing = sum(allowed.rows for allowed in accepted)
        words = question_words(text, self._languages, self._analyses)
        if self._lexical is None or not words or not passing:
            return []
        keys = self._keys(accepted)
        rows = sum(shard.entry.rows for shard in self._shards)
        count = depth if keys is not None else ceil(SPARE * depth * rows / passing)
        count = depth if passing == rows else count
        while True:
            count = min(count, rows)
            scores, numbers, places = self._lexical.search(words, count, document_keys=keys)
            found = []
            for score, number, row in zip(
                scores.tolist(), numbers.tolist(), places.tolist(), strict=True
            ):
                if accepted[number].among.mask[row]:
                    found.append(Candidate(self._shards[number], row, score, lexical=score))
            if len(found) >= depth or len(scores) < count or count == rows:
                return found[:depth]
            count *= WIDENING

    def _keys(self, accepted: Sequence[Accepted]) -> list[bytes] | None:
        """Return what the documents that pass go by, or None when they are many."""
        if any(allowed.places is None for allowed in accepted):
            return None
        if sum(len(allowed.places) for allowed in accepted if allowed.places is not None) > (
            KEYED_DOCUMENTS
        ):
            return None
        return [
            key
            for shard, allowed in zip(self._shards, accepted, strict=True)
            if allowed.places is not None
            for key in shard.document_keys(allowed.places.tolist())
        ]


def _fused(
    query: Vectors, by_words: list[Candidate], by_vectors: list[Candidate]
) -> list[Candidate]:
    found = {(id(each.shard), each.row): each for each in by_vectors}
    lacking = []
    for each in by_words:
        known = found.setdefault((id(each.shard), each.row), each)
        if known is each:
            lacking.append(each)
        else:
            known.lexical = each.lexical
    _with_cosines(lacking, query)
    candidates = list(found.values())
    fused = fuse(
        np.array([each.dense for each in candidates], np.float32),
        np.array([each.lexical or 0.0 for each in candidates], np.float32),
    )
    for each, score in zip(candidates, fused.tolist(), strict=True):
        each.score = each.fused = score
    candidates.sort(key=lambda each: -each.score)
    return candidates


def _with_cosines(candidates: list[Candidate], query: Vectors) -> list[Candidate]:
    """Compute the cosine similarity of rows that were found by words."""
    for shard in {id(each.shard): each.shard for each in candidates}.values():
        of_shard = [each for each in candidates if each.shard is shard]
        cosines = shard.reader.vectors_of([each.row for each in of_shard]) @ query[0]
        for each, cosine in zip(of_shard, cosines.tolist(), strict=True):
            each.dense = cosine
    return candidates
