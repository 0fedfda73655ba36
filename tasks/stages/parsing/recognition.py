"""Text recognised in the image of a page, by Tesseract.

Tesseract is a program of the system, asked once a page through pipes; nothing is written to disk.

Invariants: a page costs no more than its share of time; what is recognised with too little
confidence to be text at all is no text.
"""

import csv
import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

PROGRAM = "tesseract"
PAGE_TIMEOUT_S = 60.0  # a dense page at 300 dots per inch takes four to eight seconds on one core
NOISE = 0.35  # mean confidence below which marks of a drawing were taken for letters
_PARAGRAPH = ("block_num", "par_num")
_LINE = (*_PARAGRAPH, "line_num")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """What was read in an image.

    Attributes:
        text: Lines, paragraphs parted by blank ones; possibly empty.
        confidence: Mean confidence of its words, in [0, 1]; 0 without words.
        words: Number of words.
    """

    text: str = ""
    confidence: float = 0.0
    words: int = 0


@lru_cache(maxsize=1)
def engine() -> str:
    """Return the name and version of the engine, empty when it is not installed."""
    program = shutil.which(PROGRAM)
    if program is None:
        return ""
    told = subprocess.run(  # noqa: S603 - a program of the system, without a shell
        [program, "--version"], capture_output=True, check=False, text=True, timeout=30
    )
    return "-".join((told.stdout or told.stderr).split("\n", 1)[0].split()[:2])


def recognise(image: bytes, languages: str, *, timeout_s: float) -> Recognised | None:
    """Recognise the text of a page.

    Args:
        image: PNG.
        languages: Names that Tesseract knows, joined by "+".
        timeout_s: Seconds that it may take.

    Returns:
        The text, or None when the engine did not answer in time or failed.
    """
    # Tesseract's own threads are slower than one, and the other cores parse other documents.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "OMP_THREAD_LIMIT": "1"}
    try:
        done = subprocess.run(  # noqa: S603 - a program of the system, without a shell
            [PROGRAM, "stdin", "stdout", "-l", languages, "tsv"],
            input=image,
            capture_output=True,
            check=False,
            timeout=timeout_s,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else read_table(done.stdout.decode("utf-8", "replace"))


def read_table(table: str) -> Recognised:
    """Read what Tesseract says of every word, its own format of tab-separated values."""
    words = [
        row
        for row in csv.DictReader(io.StringIO(table), delimiter="\t", quoting=csv.QUOTE_NONE)
        if (row.get("text") or "").strip() and float(row["conf"]) >= 0
    ]
    if not words:
        return Recognised()
    confidence = sum(float(word["conf"]) for word in words) / len(words) / 100
    if confidence < NOISE:
        return Recognised(confidence=confidence)
    return Recognised(text="\n".join(_lines(words)), confidence=confidence, words=len(words))


def _lines(words: list[dict[str, str]]) -> Iterator[str]:
    current: list[str] = []
    place: tuple[str, ...] = ()
    for word in words:
        here = tuple(word[name] for name in _LINE)
        if current and here != place:
            yield " ".join(current)
            current = []
            if here[:2] != place[:2]:
                yield ""
        place = here
        current.append(word["text"])
    yield " ".join(current)
