"""What words a text has in a lexical index, by the analysis that the index was made with; pure.

An index of an older way is read and rebuilt in that way, so that its files stay what they are; new
ones are always made in the newest.
"""

import unicodedata
from collections.abc import Sequence

from index_store.lexical.engine import plain_words
from index_store.lexical.numbers import indexed_numbers
from index_store.lexical.unspaced import indexed_pairs, without_unspaced

FIRST_ANALYSIS = "tantivy-0.27-folded-stems-1"  # letters and digits alone
# Changes when the same text would give other words or other files; an index of an analysis that is
# not known is not searched.
ANALYSIS = "tantivy-0.27-folded-stems-2"  # whole numbers, and scripts without spaces
ANALYSES = (FIRST_ANALYSIS, ANALYSIS)


def words_of(
    text: str, language: str, *, headings: Sequence[str] = (), analysis: str = ANALYSIS
) -> list[str]:
    """Return the words of a row as the index knows them, with repetitions.

    Args:
        text: The row.
        language: What `analysed_as` returns.
        headings: Headings that lead to it, the outermost first.
        analysis: One of `ANALYSES`.
    """
    if analysis == FIRST_ANALYSIS:
        return plain_words(text, language)
    spaced, runs = without_unspaced(unicodedata.normalize("NFKC", text))
    return [
        *plain_words(spaced, language),
        *indexed_numbers(spaced, headings),
        *(pair for run in runs for pair in indexed_pairs(run)),
    ]
