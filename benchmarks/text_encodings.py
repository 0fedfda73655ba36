"""Find the encoding of real texts: how many come back letter by letter.

    python benchmarks/text_encodings.py CORPUS_DIR [--chars 40 120 400 2000]

Texts are taken from the corpus's own books and guides in French, English, Russian, Japanese, Korean
and Chinese (both scripts), cut into samples, written in each encoding of their language, and read
back; beside us stands charset-normalizer alone, in the same run.
"""

import argparse
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from charset_normalizer import from_bytes

from tasks.stages.parsing.dispatch import parse_as
from tasks.stages.parsing.encoding import decode
from tasks.stages.parsing.refusal import ParseRefused
from tasks.stages.parsing.registry import parser_for

_LATIN = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1", "cp850")
_ENCODINGS = {
    "fr": (*_LATIN, "iso8859-15", "mac_roman"),
    "ru": ("utf-8", "utf-16", "utf-16-le", "cp1251", "koi8_r", "cp866", "iso8859_5"),
    "ja": ("utf-8", "utf-16", "utf-16-le", "cp932", "euc_jp", "iso2022_jp"),
    "ko": ("utf-8", "utf-16", "utf-16-le", "euc_kr"),
    "zh-cn": ("utf-8", "utf-16", "utf-16-le", "gb18030", "gb2312"),
    "zh-tw": ("utf-8", "utf-16", "utf-16-le", "big5"),
}
_SOURCES = {
    "fr": ("docs/texworks-help-fr/manuel.pdf",),
    "ru": ("docs/debmake-doc/debmake-doc.ru.epub",),
    "ja": ("docs/debmake-doc/debmake-doc.ja.epub",),
    "ko": ("docs/unstructured-io-unstructured/korean-text-with-tables.pdf",),
    "zh-cn": ("docs/debmake-doc/debmake-doc.zh-cn.epub",),
    "zh-tw": ("docs/debmake-doc/debmake-doc.zh-tw.epub",),
}
_SAMPLES = 40
_FOREIGN_SHARES = {"fr": 0.01}
_FOREIGN_SHARE = 0.2
"""A sample has at least this share of letters beyond ASCII; without any, all encodings agree."""


def main() -> None:
    """Run the comparison."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("corpus", type=Path)
    arguments.add_argument("--chars", type=int, nargs="+", default=[40, 120, 400, 2000])
    options = arguments.parse_args()
    print("language  encoding    " + "".join(f"{chars:>14}" for chars in options.chars))
    for language, encodings in _ENCODINGS.items():
        text = _text(options.corpus, language)
        for encoding in encodings:
            cells = []
            for chars in options.chars:
                samples = [s for s in _samples(text, chars, language) if _fits(s, encoding)]
                ours = _share(samples, encoding, _decode)
                peer = _share(samples, encoding, _peer)
                cells.append(f"{ours:6.0%} {peer:6.0%}" if samples else "-")
            print(f"{language:9} {encoding:11} " + "".join(f"{cell:>14}" for cell in cells))


def _text(corpus: Path, language: str) -> str:
    parsed = [parse_as(corpus / name, parser_for(name)) for name in _SOURCES[language]]
    return "\n".join(element.text for each in parsed for element in each.elements)


def _samples(text: str, chars: int, language: str) -> Iterator[str]:
    """Yield samples from all over a text, the same in every run."""
    source = random.Random(f"{language} {chars}")  # noqa: S311 - no secret
    for _ in range(50 * _SAMPLES):
        start = source.randrange(max(1, len(text) - chars))
        sample = text[start : start + chars].strip()
        letters = sum(letter.isalpha() and not letter.isascii() for letter in sample)
        if letters >= _FOREIGN_SHARES.get(language, _FOREIGN_SHARE) * chars:
            yield sample


def _fits(sample: str, encoding: str) -> bool:
    try:
        return sample.encode(encoding).decode(encoding) == sample
    except UnicodeError:
        return False


def _share(samples: list[str], encoding: str, read: Callable[[bytes], str]) -> float:
    chosen = samples[:_SAMPLES]
    found = sum(read(sample.encode(encoding)) == sample for sample in chosen)
    return found / max(1, len(chosen))


def _decode(data: bytes) -> str:
    try:
        return decode(data).text
    except ParseRefused:
        return ""


def _peer(data: bytes) -> str:
    best = from_bytes(data).best()
    return "" if best is None else str(best)


if __name__ == "__main__":
    main()
