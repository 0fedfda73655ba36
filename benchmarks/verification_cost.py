"""What share of making and publishing a version is spent on verifying what was written.

    python benchmarks/verification_cost.py [--rows N]

A version of N made-up chunks is built and published into a folder by the stages of a run; parsing
and embedding, which come on top in a real night, are left out. Verifying is: every file read back
and hashed again, the FAISS file reopened and asked what the index in memory was asked, and the look
for every file before the log record. Seconds are of processor time, all threads together.
"""

import argparse
import cProfile
import pstats
import tempfile
import time
from pathlib import Path

import numpy as np
from search_store import Rows, build, opened

from index_store.storage.folder import FolderStorage

DIMENSION = 384
WORDS = 120  # of a chunk
CHUNKS_OF_DOCUMENT = 10
# Functions that verify and do not call each other, with the file that they are in.
VERIFYING = {
    ("artifacts.py", "verify_artifact"): "files read back and hashed",
    ("shard.py", "_read_checked"): "FAISS file reopened",
    ("shard.py", "_compare_answers"): "its answers compared",
    ("publisher.py", "check_present"): "look for every file",
}


def made_up(count: int) -> Rows:
    """Return chunks of drawn words, with drawn vectors."""
    drawn = np.random.default_rng(7)
    words = np.array([f"word{number}" for number in range(20_000)])
    vectors = drawn.normal(size=(count, DIMENSION)).astype(np.float16).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Rows(
        uris=[f"{number // CHUNKS_OF_DOCUMENT:06d}.txt" for number in range(count)],
        texts=[" ".join(drawn.choice(words, WORDS)) for _ in range(count)],
        vectors=vectors.astype(np.float16).astype(np.float32),
        attributes={},
    )


def main() -> None:
    """Print what was spent on what."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000)
    rows = made_up(parser.parse_args().rows)
    with tempfile.TemporaryDirectory() as folder:
        storage = FolderStorage(Path(folder) / "store")
        profile = cProfile.Profile(time.process_time)
        begun = time.process_time()
        profile.enable()
        entry = build(storage, rows)
        opened(storage, rows, entry).close()
        profile.disable()
        total_s = time.process_time() - begun
    spent: dict[str, float] = dict.fromkeys(VERIFYING.values(), 0.0)
    for (file, _, function), (_, _, _, seconds, _) in pstats.Stats(profile).stats.items():
        what = VERIFYING.get((Path(file).name, function))
        if what is not None:
            spent[what] += seconds
    print(f"{len(rows.texts)} rows x {DIMENSION}: {total_s:.1f} s of processor time")
    for what, seconds in spent.items():
        print(f"{what}: {seconds:.2f} s, {seconds / total_s:.1%}")
    print(f"verification in all: {sum(spent.values()) / total_s:.1%}")


if __name__ == "__main__":
    main()
