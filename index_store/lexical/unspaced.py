"""Words of scripts that are written without spaces between them, as pairs of neighbours; pure.

Chinese, Japanese, Korean, Thai, Lao, Khmer and Burmese: nobody sees in a run of their letters where
a word ends, so every two neighbours count as one. Korean has spaces, and particles that hang on its
words; pairs see through them. A row has single letters too, so that a question of one letter finds
it; a longer question goes by its pairs alone.
"""

import re

# Thai, Lao, Burmese, Hangul jamo, Khmer, kana, Bopomofo and compatibility jamo, ideographs, Yi,
# Hangul syllables, compatibility ideographs, and ideographs beyond the basic plane.
_RUN = re.compile(
    "[\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0edd\u1000-\u103f\u1050-\u108f\u1100-\u11ff\u1780-\u17d3"
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u3131-\u318e"
    "\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua48c\uac00-\ud7a3\uf900-\ufaff"
    "\U00020000-\U0003134f]+"
)


def without_unspaced(text: str) -> tuple[str, list[str]]:
    """Return a text with a blank for every run of such letters, and the runs, in order."""
    if text.isascii():
        return text, []
    runs = _RUN.findall(text)
    return (_RUN.sub(" ", text), runs) if runs else (text, [])


def indexed_pairs(run: str) -> list[str]:
    """Return what a row with this run is found by: its letters and its pairs."""
    return [*run, *_pairs(run)]


def asked_pairs(run: str) -> list[str]:
    """Return what a question with this run looks up."""
    return _pairs(run) if len(run) > 1 else [run]


def _pairs(run: str) -> list[str]:
    return [run[place : place + 2] for place in range(len(run) - 1)]
