"""How a flow takes what a deployment gives it, and how it ends when something stopped it."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.objects import FlowRun

from flows.advice import advice_markdown
from flows.backlog import same_work
from flows.entries import told_settings
from flows.hooks import collection_of
from flows.settings import Settings
from index_store.errors import UsageError
from tests.support.prefect_server import ask
from tests.support.small_sources import prose, write

PROGRAM = """
import os, sys
from flows.prefect_environment import prepare_prefect
prepare_prefect(os.environ)
from flows.compact import compact
from flows.expire import expire
from flows.reindex import reindex
from index_store.errors import StoppedError

told = {"source": [sys.argv[1]], "store": sys.argv[2], "collection": sys.argv[3]}
print(reindex(told).documents["added"], compact(told).version[:4], flush=True)
expire(told, dry_run=False)
try:
    reindex({**told, "source": [sys.argv[1] + "/nowhere"]})
except StoppedError as error:
    print("stopped", error)
"""
FLOW = UUID(int=1)


def test_what_a_deployment_gives_wins_over_the_environment():
    environment = {"NIGHTPRESS_EMBEDDER": "hashing", "NIGHTPRESS_EMBED_API_KEY": "k", "X": "y"}
    told = told_settings({"collection": "law", "embedder": "offline"}, environment)
    assert (told.collection, told.embedder) == ("law", "offline")
    assert told.embed_api_key is not None, "a key comes from the worker's environment"
    assert told_settings({}, environment).embedder == "hashing"
    given = Settings(collection="hr")
    assert told_settings(given, environment) is given


def test_a_mistake_in_a_form_is_told_by_name():
    with pytest.raises(UsageError, match=r"'sourc' is unknown.*|.*'budget'"):
        told_settings({"sourc": ["/data"], "budget": -1}, {})


def test_runs_that_would_do_the_same_are_skipped_and_others_are_not():
    mine = FlowRun(id=uuid4(), flow_id=FLOW, parameters={"settings": {"collection": "law"}})
    same = FlowRun(id=uuid4(), flow_id=FLOW, parameters={"settings": {"collection": "law"}})
    full = FlowRun(id=uuid4(), flow_id=FLOW, parameters={"settings": {"full": True}})
    assert same_work(mine, [mine, same, full]) == [same]


def test_advice_says_what_happened_and_where_to_read_on():
    root = Path(__file__).parents[2]
    runbook = (root / "deployments" / "RUNBOOK.md").read_text()
    for state in ("Blocked", "Failed", "Crashed", "Cancelled", "TimedOut"):
        page = advice_markdown(
            flow="reindex", collection="law", state=state, reason="for it\nis so"
        )
        assert page.startswith(f"# reindex of law: {state.lower()}\n\n    for it\n    is so\n")
        assert "roduction is as it was" in page
        section = page.rpartition('section "')[2].partition('"')[0]
        assert f"\n## {section}\n" in runbook
    assert collection_of({"settings": Settings(collection="hr")}) == "hr"
    assert collection_of({"settings": {"collection": "law"}}) == "law"
    assert collection_of({"settings": {}}) == "documents"


def test_flows_run_from_the_plain_values_of_a_deployment(tmp_path: Path, prefect_url: str):
    collection = "plain-values"
    for number in range(3):
        write(tmp_path / "source" / f"{number}.txt", prose(f"topic {number}"))
    told = {
        "PREFECT_API_URL": prefect_url,
        "PREFECT_HOME": str(tmp_path / "home"),
        "NIGHTPRESS_EMBEDDER": "hashing",
        "NIGHTPRESS_GATE_ENGINE": "built-in",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "source", tmp_path / "store", collection],
        env=os.environ | told, cwd=Path(__file__).parents[2], capture_output=True, text=True,
        check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    added, stopped = done.stdout.splitlines()
    assert added.startswith("3 ")
    assert stopped.startswith("stopped source ")
    named = {
        "flow_runs": {
            "name": {"any_": [f"{flow}-{collection}" for flow in ("reindex", "compact", "expire")]}
        }
    }
    runs = ask(prefect_url, "flow_runs", named)
    assert sorted((str(run["name"]), str(run["state_name"])) for run in runs) == [
        (f"compact-{collection}", "Completed"),
        (f"expire-{collection}", "Completed"),
        (f"reindex-{collection}", "Blocked"),
        (f"reindex-{collection}", "Completed"),
    ]
    key = {"artifacts": {"key": {"any_": [f"{collection}-reindex-ended-early"]}}}
    (advice,) = ask(prefect_url, "artifacts", key)
    assert "nowhere" in str(advice["data"])
