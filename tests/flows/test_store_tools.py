"""The commands for bad days, typed as a person types them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flows.cli import main
from index_store.storage.folder import FolderStorage
from tests.support.plain_run import run_plainly
from tests.support.small_sources import COLLECTION, again, options_for, prose, searchable, write

Command = Callable[..., Result]


@pytest.fixture
def store(tmp_path: Path) -> FolderStorage:
    """A store with two versions, promoted."""
    storage = FolderStorage(tmp_path / "store")
    options = options_for(tmp_path / "source", store=str(tmp_path / "store"))
    for topic in ("bees", "moss", "rain"):
        write(tmp_path / "source" / f"{topic}.txt", prose(topic))
    run_plainly(options, storage)
    write(tmp_path / "source" / "tin.txt", prose("tin"))
    run_plainly(again(options), storage)
    return storage


@pytest.fixture
def nightpress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)

    def typed(*words: str, store: str = "store") -> Result:
        arguments = [words[0], "--store", str(tmp_path / store), *words[1:]]
        if words[0] != "import":
            arguments += ["--collection", COLLECTION]
        return CliRunner().invoke(main, arguments)

    return typed


def told(result: Result, code: int = 0) -> dict[str, Any]:
    assert result.exit_code == code, result.output
    value: dict[str, Any] = json.loads(result.stdout)
    return value


def test_a_version_travels_in_a_file(store: FolderStorage, nightpress: Command, tmp_path: Path):
    version = store.read(f"{COLLECTION}/log/000000000004.json")
    prefix = json.loads(version)["record"]["version"][:12]
    packed = nightpress("export", prefix, "a.nightpress", "--with-embeddings")
    assert (packed.exit_code, packed.stderr) == (0, "")
    assert f"version {prefix} of {COLLECTION} is in a.nightpress" in packed.stdout
    refused = nightpress("export", prefix, "a.nightpress")
    assert refused.exit_code == 2
    assert "exists already" in refused.stderr
    known = told(nightpress("import", "a.nightpress", "--promote", "--json", store="target"))
    assert known["version"].startswith(prefix)
    assert known.keys() == {
        "collection", "version", "origin", "already", "promoted", "embeddings",
    }  # fmt: skip
    assert searchable(FolderStorage(tmp_path / "target")) == searchable(store)
    renamed = nightpress("import", "a.nightpress", "--collection", "copy")
    assert "is imported in collection copy" in renamed.stdout
    assert f"it was exported as {prefix}" in renamed.stdout


def test_a_damaged_archive_ends_with_5(store: FolderStorage, nightpress: Command, tmp_path: Path):
    assert store.url
    version = told(nightpress("repair", "--json"))["version"]
    assert told(nightpress("export", version, "a.nightpress", "--json"))["files"] >= 4
    data = bytearray((tmp_path / "a.nightpress").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "a.nightpress").write_bytes(data)
    refused = nightpress("import", "a.nightpress", store="target")
    assert refused.exit_code == 5
    assert "archive a.nightpress" in refused.stderr
    assert not (tmp_path / "target" / COLLECTION).exists()


def test_a_repair_says_what_it_did(store: FolderStorage, nightpress: Command):
    assert "is whole; nothing was done" in nightpress("repair").stdout
    expected = searchable(store)
    parts = [entry.key for entry in store.list(f"{COLLECTION}/catalog/")]
    index, other = [entry.key for entry in store.list("") if entry.key.endswith(".faiss")]
    store.delete(index)
    healed = nightpress("repair").stdout.splitlines()
    assert healed[0] == f"restored {index}"
    assert healed[-1].endswith("is whole again")
    for key in parts:
        store.delete(key)
    report = told(nightpress("repair", "--json"))
    assert report["promoted"]
    assert searchable(store) == expected
    store.delete(other.replace("index.faiss", "chunks.arrow"))
    lossy = nightpress("repair").stdout
    assert "lost for good: shard" in lossy
    assert "production is as it was" in lossy
    assert "in production" in nightpress("repair", "--accept-loss").stdout


def test_erasing_says_what_it_did_and_what_the_source_holds(
    store: FolderStorage, nightpress: Command, tmp_path: Path
):
    unknown = nightpress("erase", "bees.txt", "oak.txt")
    assert unknown.exit_code == 2
    assert "has no document 'oak.txt'" in unknown.stderr
    lines = nightpress("erase", "bees.txt", "--source", str(tmp_path / "source")).stdout
    assert "erased 1 documents" in lines
    assert "a rollback serves them again; --purge removes them now" in lines
    assert "bees.txt is still in the source" in lines
    assert "--exclude 'bees.txt'" in lines
    assert "bees.txt" not in {uri for uri, _, _ in searchable(store)}


def test_a_purge_prints_its_certificate(store: FolderStorage, nightpress: Command):
    certificate = told(nightpress("erase", "bees.txt", "--purge", "--json"))
    assert certificate["format"] == "nightpress-erasure"
    assert certificate["erased"]["documents"] == 1
    assert certificate["purge"]["clean"] is True
    assert certificate["purge"]["left"] == []
    assert len(certificate["purge"]["removed"]["versions"]) == 3
    assert certificate["source_seen"] is False
    assert certificate["held_by"] == []
    held = [entry.key for entry in store.list("") if b"of bees says" in store.read(entry.key)]
    assert held == []
    lines = nightpress("erase", "bees.txt", "--purge").stdout
    assert "no document of the version that is served has such a name" in lines
    assert "nothing is left" in lines
    assert "no source is set" in lines
