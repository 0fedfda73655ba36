"""Whether embedding keeps its promises: limits used, nothing lost, swapped or paid twice.

    python benchmarks/embedding_promises.py [PART] [--minutes 4]

PART is limit, simulated, requests, shared, faults, kills or again; without it all are run. But for
the simulation every figure comes from the embedding server of the tests over real HTTP: it counts a
strict sliding minute, knows the true vector of each text, and remembers what it was paid for.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import types
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
if "tests" not in sys.modules:  # some library installs a package of this name, too
    package = types.ModuleType("tests")
    package.__path__ = [str(HERE / "tests")]
    sys.modules["tests"] = package

from index_store.embedder import RequestLimits, text_tokens  # noqa: E402
from index_store.embedders.hashing import PieceTokenizer  # noqa: E402
from index_store.embedders.packing import least_requests  # noqa: E402
from index_store.embedders.remote.options import PaceOptions  # noqa: E402
from index_store.embedders.remote.pace import WINDOW_S  # noqa: E402
from index_store.errors import StoppedError, TransientError  # noqa: E402
from index_store.storage.folder import FolderStorage  # noqa: E402
from tests.support.embedding_desk import SMALL, Desk, words  # noqa: E402
from tests.support.embedding_faults import FAULTS  # noqa: E402
from tests.support.embedding_server import KEY, Behaviour, EmbeddingServer  # noqa: E402
from tests.support.s3_servers import moto  # noqa: E402
from tests.support.simulated_pace import Night, simulate  # noqa: E402

DIMENSION = 16
PIECES = PieceTokenizer()  # how chunks of a provider's models are counted here
FULL = RequestLimits(texts=128, tokens=16_000, in_flight=4)
KILL_TEXTS = 400
KILLS = 20
MINUTE_S = 60.0


def main() -> None:
    """Run what was asked for, or everything."""
    parser = argparse.ArgumentParser(description="measure the promises of embedding")
    parser.add_argument("only", nargs="?", choices=sorted(PARTS))
    parser.add_argument("--minutes", type=float, default=4, help="length of the timed parts")
    parser.add_argument("--child", nargs=4, metavar=("URL", "STORE", "PACE", "SEED"))
    options = parser.parse_args()
    if options.child:
        _child(*options.child)
        return
    for name, part in PARTS.items():
        if options.only in (None, name):
            part(options.minutes)


def use_limits(minutes: float) -> None:
    """Print how much of 60 requests and 200,000 tokens a minute is used after the first minute."""
    print("| binding limit | texts | use after the first minute | 429s | requests |")
    print("|---|---|---|---|---|")
    for binding, count in (("requests", 14), ("tokens", 400), ("tokens", 46)):
        behaviour = Behaviour(
            requests_per_minute=60,
            tokens_per_minute=200_000,
            tokens_per_word=1.3,
            rate_headers=True,
            latency_s=0.2,
        )
        number = int((minutes + 1) * (60 * 128 if binding == "requests" else 200_000 / 1.3 / count))
        texts = [words(each, max(1, count + each % 21 - 10)) for each in range(number)]
        with EmbeddingServer(behaviour).running() as server:
            _embed_for(
                Desk(server.url, DIMENSION, limits=FULL, pace=PaceOptions(), count=_pieces),
                texts,
                minutes,
            )
            begin = server.seen.arrivals[0][0]
            # Whole periods of the pace, so that a burst at an end is not counted for nothing.
            seconds = (minutes - 1) * MINUTE_S // WINDOW_S * WINDOW_S
            steady = [
                (tokens, allowed)
                for at, tokens, allowed in server.seen.arrivals
                if MINUTE_S <= at - begin < MINUTE_S + seconds
            ]
        kept = [tokens for tokens, allowed in steady if allowed]
        amount, limit = (len(kept), 60) if binding == "requests" else (sum(kept), 200_000)
        use = amount * MINUTE_S / seconds / limit
        refused = len(steady) - len(kept)
        print(
            f"| {binding} | {count} words | {use:.4f} | {refused} | {len(steady)} |",
            flush=True,
        )


def _embed_for(desk: Desk, texts: Sequence[str], minutes: float) -> None:
    """Embed until the time is over."""
    timer = threading.Timer(minutes * MINUTE_S, desk.embedder.close)
    timer.daemon = True
    timer.start()
    with suppress(StoppedError):
        desk.embed(desk.batch([texts]))
    timer.cancel()


def simulate_limits(minutes: float) -> None:
    """Print the use of limits over simulated nights, whose provider counts 1.3 ± 3 % for ours."""
    del minutes
    print("\n| simulated, five nights of 12 minutes | limit | use | 429s | requests |")
    print("|---|---|---|---|---|")
    for per_minute, tokens, size in (
        (60, 200_000, 18),
        (60, 200_000, 512),
        (60, 200_000, 150),
        (60, 200_000, 60),
        (600, 1_000_000, 512),
        (600, 1_000_000, 60),
    ):
        binding = "requests" if size == 18 else "tokens"
        night = Night(requests_per_minute=per_minute, tokens_per_minute=tokens, texts_tokens=size)
        seen = [simulate(night, random.Random(seed)) for seed in range(5)]  # noqa: S311
        uses = sorted(each.use(night, binding) for each in seen)
        limit = f"{per_minute if binding == 'requests' else tokens:,} {binding}"
        refused, requests = (
            sum(getattr(each, n) for each in seen) for n in ("refused", "requests")
        )
        print(
            f"| texts of {size} tokens | {limit} | {uses[0]:.3f} to {uses[-1]:.3f} | {refused} "
            f"| {requests} |"
        )


def count_requests(minutes: float) -> None:
    """Print requests against the least possible number for sets of texts."""
    del minutes
    drawn = random.Random(5)  # noqa: S311
    sets = {
        "chunks, 50 to 512 tokens": [drawn.randint(50, 512) for _ in range(10_000)],
        "long and very short, one to three": [
            drawn.randint(400, 512) if drawn.random() < 0.25 else drawn.randint(3, 20)
            for _ in range(10_000)
        ],
        "mostly short, 5 to 60": [drawn.randint(5, 60) for _ in range(10_000)],
        "nearly all full, 480 to 512": [drawn.randint(480, 512) for _ in range(5_000)],
    }
    print("\n| texts | requests | least possible | ratio |\n|---|---|---|---|")
    for name, sizes in sets.items():
        texts = [words(number, size) for number, size in enumerate(sizes)]
        with EmbeddingServer(Behaviour(tokens_per_word=1.3)).running() as server:
            desk = Desk(server.url, DIMENSION, limits=FULL, pace=PaceOptions(), count=_pieces)
            desk.embed(desk.batch([[words(-1), words(-2)]]))  # learns what the provider counts
            before = len(server.seen.requests)
            desk.embed(desk.batch([texts]))
            desk.embedder.close()
            requests = len(server.seen.requests) - before
            least = least_requests([server.tokens(text) for text in texts], FULL)
        print(f"| {name} | {requests} | {least} | {requests / least:.3f} |", flush=True)


def _pieces(text: str) -> int:
    return text_tokens(PIECES, text)


def share_a_limit(minutes: float) -> None:
    """Print what two processes make of one limit of 120 requests a minute, three ways."""
    print("\n| two processes, 120 requests a minute | most in any minute | 429s |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, moto(Path(folder)) as store:
        ways = {
            "one file": (str(Path(folder) / "pace.json"), {}),
            "S3, working folders apart": (store.url("pace"), store.environment()),
            "nothing between them": ("alone", {}),
        }
        for name, (pace, environment) in ways.items():
            most, refused, requests = _shared(pace, environment, minutes)
            print(f"| {name} | {most} | {refused} of {requests} |", flush=True)


def _shared(pace: str, environment: dict[str, str], minutes: float) -> tuple[int, int, int]:
    """Return the most requests that any minute held, those refused, and all."""
    behaviour = Behaviour(requests_per_minute=120, latency_s=0.1)
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddingServer(behaviour).running() as server,
    ):
        children = []
        for name, seed in (("one", 1), ("two", 2)):
            place = Path(folder) / name
            place.mkdir()
            children.append(
                _start_child(server.url, str(place / "store"), pace, seed, place, environment)
            )
        time.sleep(minutes * MINUTE_S)
        for child in children:
            child.kill()
            child.wait()
        arrivals = server.seen.arrivals
    most = max(
        sum(1 for at, _, allowed in arrivals if allowed and start <= at < start + MINUTE_S)
        for start, _, _ in arrivals
    )
    return most, sum(not allowed for _, _, allowed in arrivals), len(arrivals)


def survive_faults(minutes: float) -> None:
    """Print what becomes of 10,000 texts under random faults, against the server's truth."""
    del minutes
    drawn = random.Random(11)  # noqa: S311
    texts = [words(number, drawn.randint(3, 40)) for number in range(10_000)]
    faults = tuple(fault for fault in FAULTS if fault != "redirect")  # which stops a run at once
    behaviour = Behaviour(fault_share=0.2, faults=faults, seed=11)
    with EmbeddingServer(behaviour).running() as server:
        desk = Desk(server.url, DIMENSION, limits=SMALL, timeout_s=2.0)
        batch, tries = desk.batch([texts]), 0
        while tries < 20:
            tries += 1
            with suppress(TransientError):  # as the task is tried again
                desk.embed(batch)
                break
        lost, swapped = desk.wrong(texts, server)
        twice = sum(paid > 1 for paid in server.seen.paid.values())
        requests = len(server.seen.requests)
    print("\n| 10,000 texts, a fifth of the answers faulty | |\n|---|---|")
    for name, figure in (
        ("requests that were well-formed", requests),
        ("tries of the whole batch", tries),
        ("lost", lost),
        ("swapped or wrong", swapped),
        ("paid twice", twice),
    ):
        print(f"| {name} | {figure} |", flush=True)


def survive_kills(minutes: float) -> None:
    """Print what is paid twice when a process is killed at random points."""
    del minutes
    drawn = random.Random(2)  # noqa: S311
    most, total, wrong = 0, 0, 0
    for kill in range(KILLS):
        with (
            tempfile.TemporaryDirectory() as folder,
            EmbeddingServer(Behaviour(latency_s=0.02)).running() as server,
        ):
            child = _start_child(server.url, folder, "", kill)
            wanted = drawn.randint(1, KILL_TEXTS - 1)
            while len(server.seen.paid) < wanted and child.poll() is None:
                time.sleep(0.002)
            child.send_signal(signal.SIGKILL)
            child.wait()
            _start_child(server.url, folder, "", kill).wait()
            twice = sum(paid > 1 for paid in server.seen.paid.values())
            desk = Desk(server.url, DIMENSION, storage=FolderStorage(Path(folder)))
            wrong += sum(desk.wrong(_kill_texts(kill), server))
            most, total = max(most, twice), total + twice
    in_flight = SMALL.in_flight * SMALL.texts
    print(f"\n| {KILLS} kills -9 at random points, {KILL_TEXTS} texts each | |\n|---|---|")
    print(f"| texts paid twice, most in one kill | {most} (in flight: {in_flight}) |")
    print(f"| texts paid twice, all kills | {total} |")
    print(f"| lost or wrong | {wrong} |")


def _kill_texts(seed: int) -> list[str]:
    drawn = random.Random(seed)  # noqa: S311
    return [words(seed * 100_000 + each, drawn.randint(5, 25)) for each in range(KILL_TEXTS)]


def build_again(minutes: float) -> None:
    """Print how many requests a second full build, a rename and another graph make."""
    del minutes
    script = Path(sys.executable).with_name("nightpress")
    print("\n| through the console script | requests |\n|---|---|")
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddingServer(Behaviour()).running() as server,
    ):
        notes = Path(folder) / "notes"
        notes.mkdir()
        for number in range(200):
            (notes / f"{number}.txt").write_text(words(number, 60))
        common = ["--store", "store", "--embedder", f"mistral:test@{DIMENSION}", "--set"]
        common += [f"embed_url={server.url}", "--set", f"embed_api_key={KEY}"]
        for name, more in {
            "200 new documents": ["--source", "notes"],
            "a second full build": ["--source", "notes", "--full"],
            "a full build with other HNSW settings": [
                *("--source", "notes", "--full", "--set", "hnsw_m=16"),
                *("--set", "hnsw_ef_construction=60"),
            ],
            "the source folder renamed": ["--source", "renamed"],
            "the source folder renamed again, a full build": ["--source", "notes", "--full"],
        }.items():
            source = Path(folder) / more[1]
            if not source.exists():
                next(each for each in (notes, notes.with_name("renamed")) if each.exists()).rename(
                    source
                )
            before = len(server.seen.requests)
            told = [script, "run", *common, *more]
            subprocess.run(told, cwd=folder, check=True, capture_output=True)
            print(f"| {name} | {len(server.seen.requests) - before} |", flush=True)


def _start_child(
    url: str,
    store: str,
    pace: str,
    seed: int,
    folder: Path = HERE,
    environment: Mapping[str, str] | None = None,
) -> "subprocess.Popen[bytes]":
    script = str(Path(__file__).resolve())
    told = [sys.executable, script, "--child", url, store, pace, str(seed)]
    surroundings = {**os.environ, **(environment or {}), "PYTHONPATH": str(HERE)}
    return subprocess.Popen(told, cwd=folder, env=surroundings)


def _child(url: str, store: str, pace: str, seed: str) -> None:
    """Embed texts into a folder, in a process that may be killed."""
    Path(store).mkdir(exist_ok=True)
    limits, count = SMALL, KILL_TEXTS
    options = PaceOptions(backoff_s=0.01)
    if pace:
        limits, count = RequestLimits(texts=1, tokens=200, in_flight=4), 2_000
        file, shared = ("", pace) if pace.startswith("s3://") else (pace, "")
        file = "" if pace == "alone" else file
        options = PaceOptions(requests_per_minute=120, shared_file=file, shared_store=shared)
    storage = FolderStorage(Path(store))
    desk = Desk(url, DIMENSION, limits=limits, pace=options, storage=storage)
    texts = (
        _kill_texts(int(seed))
        if count == KILL_TEXTS
        else [words(int(seed) * 100_000 + each) for each in range(count)]
    )
    desk.embed(desk.batch([texts]))
    desk.embedder.close()


PARTS = {
    "limit": use_limits,
    "simulated": simulate_limits,
    "requests": count_requests,
    "shared": share_a_limit,
    "faults": survive_faults,
    "kills": survive_kills,
    "again": build_again,
}

if __name__ == "__main__":
    main()
