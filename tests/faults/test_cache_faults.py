"""The cache under kill -9, a full disk, and several processes at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from index_store.artifacts import Artifact, measure
from index_store.cache import CacheOptions, LocalCache
from index_store.storage.folder import FolderStorage
from tests.support.metered_storage import MeteredStorage

CHILD = Path(__file__).parents[1] / "support" / "cache_child.py"
RIVALS = 3


def start(mode: str, store: Path, cache: Path, *before: str) -> subprocess.Popen[str]:
    command = [*before, sys.executable, str(CHILD), mode, str(store), str(cache)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def line_of(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def store_with(folder: Path, *sizes: int) -> tuple[FolderStorage, list[Artifact]]:
    storage = FolderStorage(folder)
    for number, size_bytes in enumerate(sizes):
        storage.put(f"object-{number}", bytes([number]) * size_bytes)
    return storage, [measure(e.key, storage.read(e.key)) for e in storage.list("")]


def test_a_download_that_was_killed_leaves_nothing_that_counts(tmp_path: Path):
    storage, (artifact,) = store_with(tmp_path / "store", 9 << 20)
    cache = tmp_path / "cache"
    with start("halt", tmp_path / "store", cache) as child:
        assert line_of(child) == "halfway"
        child.kill()
    (partial,) = cache.iterdir()
    assert partial.name.startswith(".tmp-")
    lease = LocalCache(CacheOptions(folder=cache)).lease(MeteredStorage(storage), artifact)
    assert measure(artifact.key, lease.path) == artifact
    assert [path.name for path in cache.iterdir() if path.is_file()] == [artifact.sha256]


def test_a_download_can_be_killed_at_any_step(tmp_path: Path):
    store_with(tmp_path / "store", 5000)
    with start("sweep", tmp_path / "store", tmp_path / "cache") as child:
        told, complaint = child.communicate()
    assert (complaint, child.returncode) == ("", 0)
    *steps, last = told.splitlines()
    assert last == "done"
    assert [step.split()[1] for step in steps] == ["whole"] * len(steps)
    assert len(steps) >= 8


def test_a_download_that_goes_on_is_not_taken_for_a_left_over(tmp_path: Path):
    store_with(tmp_path / "store", 9 << 20)
    cache = tmp_path / "cache"
    with start("halt", tmp_path / "store", cache) as child:
        assert line_of(child) == "halfway"
        LocalCache(CacheOptions(folder=cache)).evict()
        assert len(list(cache.iterdir())) == 1
        child.communicate()  # its input ends, so it goes on
        assert child.returncode == 0
    assert [path.name.startswith(".tmp-") for path in cache.iterdir() if path.is_file()] == [False]


def test_what_another_process_uses_stays_until_it_ends_even_by_a_kill(tmp_path: Path):
    store_with(tmp_path / "store", 1000)
    cache = LocalCache(CacheOptions(folder=tmp_path / "cache", limit_bytes=0))
    with start("hold", tmp_path / "store", tmp_path / "cache") as child:
        assert line_of(child) == "held"
        assert cache.evict() == 1000
        child.kill()
    assert cache.evict() == 0


def test_processes_that_race_for_a_small_cache_all_get_whole_copies(tmp_path: Path):
    store_with(tmp_path / "store", *range(20_000, 60_000, 4000))
    rivals = [start("race", tmp_path / "store", tmp_path / "cache") for _ in range(RIVALS)]
    for rival in rivals:
        told, complaint = rival.communicate()
        assert (told.strip(), complaint, rival.returncode) == ("whole", "", 0)
    assert not list((tmp_path / "cache").glob(".tmp-*"))


def test_a_full_disk_refuses_the_new_version_and_serves_the_old_one(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=1m tmpfs '{disk}' && exec \"$@\""
    isolated = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh")
    tried = subprocess.run([*isolated, "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"no user namespaces here: {tried.stderr.decode().strip()}")
    with start("full", tmp_path, disk / "cache", *isolated) as child:
        told, complaint = child.communicate()
    assert (complaint, child.returncode) == ("", 0)
    midway, at_the_start, serving, unfinished = told.splitlines()
    assert midway.startswith("refused: copy of docs/shards/")
    assert midway.endswith("No space left on device")
    assert "bytes needed" in at_the_start
    assert serving == "serving: small"
    assert unfinished == "unfinished: 0"
