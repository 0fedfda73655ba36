"""What every side can be told to do, each in a process of its own.

    side_NAME.py build SOURCE STORE
    side_NAME.py night SOURCE STORE
    side_NAME.py ask STORE QUESTIONS      JSON: {"current": [...], "gone": [...]}

`build` and `night` print `{}`; `ask` prints seconds until the first answer, milliseconds of an
answer and the share of questions that were answered with a chunk that holds them word for word.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

DIMENSION = 1024
CHUNK_CHARS, OVERLAP_CHARS = 2000, 250  # of splitters that count characters

Answers = Callable[[str], list[str]]
Work = Callable[[Path, Path], None]


def main(build: Work, night: Work, open_store: Callable[[Path], Answers]) -> None:
    """Do what the command line says."""
    action, *rest = sys.argv[1:]
    if action == "ask":
        store, questions = map(Path, rest)
        print(json.dumps(asked(lambda: open_store(store), json.loads(questions.read_text()))))
        return
    source, store = map(Path, rest)
    store.mkdir(parents=True, exist_ok=True)
    {"build": build, "night": night}[action](source, store)
    print("{}")


def asked(opened: Callable[[], Answers], questions: dict[str, list[str]]) -> dict[str, float]:
    """Open a store and ask it.

    Returns:
        `ready_s`, seconds from the call to the first answer; `query_ms`, the median of an answer;
        `current` and `gone`, shares of questions found word for word.
    """
    began = time.perf_counter()
    ask = opened()
    ask(questions["current"][0])
    figures = {"ready_s": time.perf_counter() - began}
    seconds: list[float] = []
    for kind in ("current", "gone"):
        found = 0
        for question in questions[kind]:
            began = time.perf_counter()
            texts = ask(question)
            seconds.append(time.perf_counter() - began)
            found += any(question in " ".join(text.split()) for text in texts)
        figures[kind] = found / len(questions[kind])
    figures["query_ms"] = 1000 * statistics.median(seconds)
    return figures
