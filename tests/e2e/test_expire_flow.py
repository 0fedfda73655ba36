"""Expiry as a flow: a dry run first, then one pass per task, each a run of its own in Prefect."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from index_store.layout import VERSIONED_FOLDERS
from index_store.log import CommitLog
from index_store.publisher import promote
from index_store.storage.folder import FolderStorage
from tests.index_store.store_builders import COLLECTION, commit_log, publish_documents

PROGRAM = """
import os, sys
from flows.prefect_environment import prepare_prefect
prepare_prefect(os.environ)
from flows.expire import expire
from flows.settings import Settings

settings = Settings(store=sys.argv[1], collection=sys.argv[2])
expire(settings)
print("previewed", flush=True)
for _ in range(2):
    expire(settings, dry_run=False, keep_last=1, grace_hours=0)
"""


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    made = FolderStorage(tmp_path / "store")
    for number in (1, 2, 3):
        done = publish_documents(made, {"a.txt": [f"text {number}"]}, tmp_path, run=f"{number}")
        promote(commit_log(made), done.version)
    return made


def artifacts(url: str) -> str:
    """Every artifact of expiry that the server knows, as JSON."""
    request = urllib.request.Request(  # noqa: S310 - a server of ours
        f"{url}/artifacts/filter",
        data=json.dumps({"artifacts": {"key": {"any_": [f"{COLLECTION}-expire"]}}}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return str(answer.read().decode())


def test_the_flow_previews_and_then_retires_and_purges(
    storage: FolderStorage, tmp_path: Path, prefect_url: str
):
    first, second, third = CommitLog(storage, COLLECTION).read().versions
    before = {entry.key for entry in storage.list("")}
    told = {"PREFECT_API_URL": prefect_url, "PREFECT_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, storage.url, COLLECTION],
        env=os.environ | told,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "previewed" in done.stdout
    state = CommitLog(storage, COLLECTION).audit().state
    assert list(state.versions) == [second, third]
    assert list(state.retired_versions) == [first]
    gone = before - {entry.key for entry in storage.list("")}
    folders = tuple(f"{COLLECTION}/{folder}/" for folder in VERSIONED_FOLDERS)
    assert state.purged.keys() == {key for key in gone if key.startswith(folders)}
    assert f"{COLLECTION}/versions/{first}/manifest.json" in state.purged
    log = CommitLog(storage, COLLECTION)
    assert log.record(state.seq).change.run != ""
    shown = artifacts(prefect_url)
    assert "# Expiry, dry run" in shown
    assert f"retired version `{first}`" in shown
    assert "Stored embeddings are never expired" in shown
