"""The one door to tantivy: letters and digits as words, files of an index, BM25 over many of them.

A shard's lexical index is one tantivy segment: row i of the shard is document i of the segment. The
segments of all shards are opened as one index, so rarity of words and lengths are those of the
whole version and scores of different shards compare. Its folder is a temporary one of links to the
shards' files, which stay where they are and are mapped, not read.

Invariants: the same rows give byte-identical files: one thread, one commit, no stored fields, and
names that do not depend on tantivy's random ids; tantivy's errors do not leave this module.
"""

import errno
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson
import tantivy

from index_store.errors import CorruptArtifactError, TransientError, UsageError
from index_store.lexical.languages import STEMMERS, WITH_STOP_WORDS

SUFFIXES = ("fast", "fieldnorm", "idx", "pos", "store", "term")  # the files of a segment
DOCUMENT_KEY_BYTES = 8
LONGEST_WORD = 100  # bytes; a hash in hexadecimal is 64

_HEAP_BYTES = 4_000_000_000  # a bound, not a reservation: a shard must fit into one segment
# An opened index has threads of tantivy's own that make their lock file in its folder, now and then
# while it is being removed; they do so a few times at most.
_MOST_REMOVALS = 10
_WORDS, _DOCUMENT = "words", "document"
_META = "meta.json"

Scores = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


def plain_words(text: str, language: str) -> list[str]:
    """Return the runs of letters and digits of a text as words, in order, with repetitions.

    Args:
        text: Any text.
        language: What `analysed_as` returns.
    """
    words: list[str] = _analyser(language, telling=False).analyze(text)
    return words


def telling_words(text: str, language: str) -> list[str]:
    """Return the `plain_words` of a text without those that say nothing by themselves."""
    words: list[str] = _analyser(language, telling=True).analyze(text)
    return words


@lru_cache(maxsize=64)
def _analyser(language: str, *, telling: bool) -> tantivy.TextAnalyzer:
    chain = (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(tantivy.Filter.remove_long(LONGEST_WORD))
        .filter(tantivy.Filter.lowercase())
    )
    if telling and language in WITH_STOP_WORDS:
        chain = chain.filter(tantivy.Filter.stopword(STEMMERS[language]))
    # Folded before the stemmer, so that a word typed without accents meets the one with them.
    chain = chain.filter(tantivy.Filter.ascii_fold())
    if language:
        chain = chain.filter(tantivy.Filter.stemmer(STEMMERS[language]))
    return chain.build()


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field(_WORDS, tokenizer_name="whitespace", index_option="freq")
    builder.add_bytes_field(_DOCUMENT, indexed=True)
    return builder.build()


class LexicalBuilder:
    """Builds the lexical index of one shard, row by row.

    Args:
        folder: An empty local folder for its files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        index = tantivy.Index(_schema(), path=str(folder), reuse=False)
        self._writer = index.writer(heap_size=_HEAP_BYTES, num_threads=1)
        self._rows = 0

    def add(self, words: Iterable[str], document_key: bytes) -> None:
        """Append a row.

        Args:
            words: Its words, without white space.
            document_key: 8 bytes that stand for its document.
        """
        row = tantivy.Document()
        row.add_text(_WORDS, " ".join(words))
        row.add_bytes(_DOCUMENT, document_key)
        self._writer.add_document(row)
        self._rows += 1

    def finish(self) -> dict[str, Path]:
        """Write the files; returns them by suffix.

        Raises:
            UsageError: The rows do not fit into one segment.
            TransientError: The files could not be written.
        """
        try:
            self._writer.commit()
            self._writer.wait_merging_threads()
        except (ValueError, OSError) as error:
            raise TransientError(f"lexical index in {self._folder}: {error}") from error
        segments = orjson.loads((self._folder / _META).read_bytes())["segments"]
        if len(segments) != 1 or segments[0]["max_doc"] != self._rows:
            raise UsageError(
                f"lexical index of {self._rows} rows does not fit into one part, it took "
                f"{len(segments)}; lower the rows of a shard"
            )
        name = segments[0]["segment_id"].replace("-", "")
        return {suffix: self._folder / f"{name}.{suffix}" for suffix in SUFFIXES}

    def close(self) -> None:
        """Wait until nothing is written any more; nothing can be added then."""
        del self._writer  # tantivy joins its threads when a writer goes


class LexicalReader:
    """The lexical indexes of a version's shards, searched as one; safe for threads.

    Args:
        shards: Files by suffix, and rows, of each shard, in order.
        names: What to call the shards in messages.

    Raises:
        CorruptArtifactError: A file is none of tantivy's, or has another number of rows.
        TransientError: The temporary folder could not be written.
    """

    def __init__(
        self, shards: Sequence[tuple[Mapping[str, Path], int]], names: Sequence[str]
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="nightpress-lexical-")
        try:
            self._searcher = _open(Path(self._folder.name), shards)
        except OSError as error:
            self.close()
            raise TransientError(f"lexical index: {error.strerror}") from error
        except (ValueError, CorruptArtifactError) as error:
            self.close()
            raise CorruptArtifactError(f"lexical index of {', '.join(names)}: {error}") from error
        self._schema = _schema()

    def search(
        self,
        words: Mapping[str, float],
        count: int,
        *,
        document_keys: Sequence[bytes] | None = None,
    ) -> tuple[Scores, Rows, Rows]:
        """Find the rows that BM25 likes best.

        Args:
            words: Words as the index has them, and what each weighs, above 0.
            count: Rows at most, at least 1.
            document_keys: Only rows of these documents; a key may stand for several.

        Returns:
            float32 scores, int64 numbers of shards and int64 rows, best first.
        """
        if not words:
            return np.empty(0, np.float32), np.empty(0, np.int64), np.empty(0, np.int64)
        query = self._query(words)
        if document_keys is not None:
            one_of = tantivy.Query.term_set_query(self._schema, _DOCUMENT, document_keys)
            must = tantivy.Occur.Must
            query = tantivy.Query.boolean_query(
                [(must, query), (must, tantivy.Query.const_score_query(one_of, 0.0))]
            )
        hits = self._searcher.search(query, count, count=False).hits
        return (
            np.array([score for score, _ in hits], np.float32),
            np.array([place.segment_ord for _, place in hits], np.int64),
            np.array([place.doc for _, place in hits], np.int64),
        )

    def close(self) -> None:
        """Remove the folder of links; calling it twice is harmless."""
        for attempt in range(1, _MOST_REMOVALS + 1):
            try:
                self._folder.cleanup()
            except OSError as error:
                if error.errno != errno.ENOTEMPTY or attempt == _MOST_REMOVALS:
                    raise
            else:
                return

    def _query(self, words: Mapping[str, float]) -> tantivy.Query:
        return tantivy.Query.boolean_query(
            [(tantivy.Occur.Should, self._term(word, weight)) for word, weight in words.items()]
        )

    def _term(self, word: str, weight: float) -> tantivy.Query:
        term = tantivy.Query.term_query(self._schema, _WORDS, word, index_option="freq")
        return term if weight == 1.0 else tantivy.Query.boost_query(term, weight)


def _open(folder: Path, shards: Sequence[tuple[Mapping[str, Path], int]]) -> tantivy.Searcher:
    """Lay out a folder as tantivy expects it and open it."""
    tantivy.Index(_schema(), path=str(folder), reuse=False)  # writes meta.json with the fields
    meta = orjson.loads((folder / _META).read_bytes())
    meta["segments"] = []
    for number, (files, rows) in enumerate(shards):
        name = f"{number:032x}"
        for suffix in SUFFIXES:
            (folder / f"{name}.{suffix}").symlink_to(files[suffix].absolute())
        dashed = "-".join((name[:8], name[8:12], name[12:16], name[16:20], name[20:]))
        meta["segments"].append({"segment_id": dashed, "max_doc": rows, "deletes": None})
    (folder / _META).write_bytes(orjson.dumps(meta))
    index = tantivy.Index.open(str(folder))
    index.config_reader(reload_policy="manual")
    searcher = index.searcher()
    expected = sum(rows for _, rows in shards)
    if searcher.num_docs != expected or searcher.num_segments != len(shards):
        raise CorruptArtifactError(f"rows expected {expected}, found {searcher.num_docs}")
    return searcher
