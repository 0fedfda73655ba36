"""Embedding beside the loop of the system taken over and LlamaIndex's MistralAIEmbedding.

    python benchmarks/embedding_peers.py PEER_PYTHON [--texts 1500]

PEER_PYTHON is the interpreter of an environment with requirements/peers.txt. Every side gets the
same texts and the same embedding server over real HTTP, calm, with limits, and with faults; vectors
are compared with the server's truth.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parents[1]
if "tests" not in sys.modules:  # some library installs a package of this name, too
    package = types.ModuleType("tests")
    package.__path__ = [str(HERE / "tests")]
    sys.modules["tests"] = package

from index_store.embedder import RequestLimits, text_tokens  # noqa: E402
from index_store.embedders.hashing import PieceTokenizer  # noqa: E402
from index_store.embedders.remote.options import PaceOptions  # noqa: E402
from index_store.errors import IndexStoreError, TransientError  # noqa: E402
from tests.support.embedding_desk import Desk, words  # noqa: E402
from tests.support.embedding_server import KEY, Behaviour, EmbeddingServer  # noqa: E402

FULL = RequestLimits(texts=128, tokens=16_000, in_flight=4)
LOOP = HERE / "benchmarks" / "side_by_side" / "embedding_loops.py"
FAULTS = ("429-seconds", "500", "reset", "fewer", "reordered", "wrong-dimension")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one side came to.

    Attributes:
        seconds: Until it was done or gave up.
        error: What ended it, empty when it was done.
        right: Texts with their own vector.
        wrong: Texts with another's vector, or one that is none.
    """

    seconds: float
    error: str
    right: int
    wrong: int


Side = Callable[[EmbeddingServer, Sequence[str]], Outcome]


def main() -> None:
    """Print one table per weather."""
    parser = argparse.ArgumentParser(description="compare ways to embed")
    parser.add_argument("peer_python", metavar="PEER_PYTHON")
    parser.add_argument("--texts", type=int, default=1_500)
    parser.add_argument("--only", default="", help="part of the name of a weather")
    options = parser.parse_args()
    drawn = random.Random(4)  # noqa: S311
    texts = [words(each, drawn.randint(20, 350)) for each in range(options.texts)]
    long = [*texts[:-1], words(-1, 9_000)]
    calm = {"tokens_per_word": 1.3, "latency_s": 0.05, "max_tokens": 16_384}
    weathers: dict[str, tuple[dict[str, object], list[str]]] = {
        "calm": (calm, texts),
        "240 requests and 400,000 tokens a minute": (
            {**calm, "requests_per_minute": 240, "tokens_per_minute": 400_000},
            texts,
        ),
        "3 % of the answers faulty": ({**calm, "fault_share": 0.03, "faults": FAULTS}, texts),
        "one text of 11,700 tokens": ({**calm, "max_text_tokens": 8_192}, long),
    }
    sides: dict[str, Side] = {
        "nightpress": _ours,
        "loop of the system taken over": _peer(options.peer_python, "source"),
        "MistralAIEmbedding": _peer(options.peer_python, "llama-index"),
    }
    print("| weather | side | seconds | requests | 429s | right | wrong | ended by |")
    print("|---|---|---|---|---|---|---|---|")
    for weather, (behaviour, given) in weathers.items():
        if options.only not in weather:
            continue
        for name, side in sides.items():
            with EmbeddingServer(Behaviour(**behaviour)).running() as server:  # type: ignore[arg-type]
                ended = side(server, given)
                print(
                    f"| {weather} | {name} | {ended.seconds:.1f} | {len(server.seen.requests)} "
                    f"| {server.seen.refused} | {ended.right} | {ended.wrong} "
                    f"| {ended.error or '–'} |",
                    flush=True,
                )


def _ours(server: EmbeddingServer, texts: Sequence[str]) -> Outcome:
    pieces = PieceTokenizer()
    kept = server.behaviour
    pace = PaceOptions(
        requests_per_minute=kept.requests_per_minute, tokens_per_minute=kept.tokens_per_minute
    )
    desk = Desk(
        server.url,
        kept.dimension,
        limits=FULL,
        pace=pace,
        count=lambda text: text_tokens(pieces, text),
    )
    batch = desk.batch([[text] for text in texts])
    began, error = time.monotonic(), ""
    try:
        for _ in range(4):
            with suppress(TransientError):  # as the task is tried again
                desk.embed(batch)
                break
    except IndexStoreError as failure:
        error = str(failure)[:160]
    seconds = time.monotonic() - began
    whole = [text for text in texts if len(text.split()) < 8_192 / 1.3]
    lost, wrong = desk.wrong(whole, server)
    desk.embedder.close()
    # The server does not know the mean of the vectors of a text that was embedded in parts.
    return Outcome(seconds=seconds, error=error, right=len(whole) - lost - wrong, wrong=wrong)


def _peer(python: str, loop: str) -> Side:
    def side(server: EmbeddingServer, texts: Sequence[str]) -> Outcome:
        with tempfile.TemporaryDirectory() as folder:
            given, found = Path(folder) / "texts.json", Path(folder) / "vectors.json"
            given.write_text(json.dumps(list(texts)))
            told = [python, LOOP, loop, server.ollama_url, KEY, given, found]
            answer = subprocess.run(told, capture_output=True, text=True, check=True)  # type: ignore[arg-type]
            said = json.loads(answer.stdout.splitlines()[-1])
            vectors = json.loads(found.read_text()) if found.exists() else []
        right = _right(vectors, texts, server)
        wrong = len(vectors) - right
        return Outcome(seconds=said["seconds"], error=said["error"], right=right, wrong=wrong)

    return side


def _right(vectors: list[list[float]], texts: Sequence[str], server: EmbeddingServer) -> int:
    pairs = zip(vectors, texts, strict=False)
    return sum(
        len(vector) == server.behaviour.dimension
        and bool(np.abs(np.array(vector) - server.true_vector(text)).max() < 2e-3)
        for vector, text in pairs
    )


if __name__ == "__main__":
    main()
