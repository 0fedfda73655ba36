"""What the Prefect server knows of a run: batches, never documents, and what a person reads."""

from collections import Counter
from pathlib import Path

from tests.support.command_line import CommandLine
from tests.support.prefect_server import ask
from tests.support.small_sources import BROKEN_PDF, prose, write

COLLECTION = "records"
DOCUMENTS = 30
BATCHES = 4  # of at most eight documents


def test_task_runs_are_per_batch_and_artifacts_tell_the_run(nightpress: CommandLine, source: Path):
    for number in range(DOCUMENTS - 1):
        write(source / f"{number:02d}.txt", prose(f"topic {number}"))
    write(source / "bad|name.pdf", BROKEN_PDF)
    nightpress("run", "--collection", COLLECTION)
    api = nightpress.environment["PREFECT_API_URL"]
    (flow_run,) = ask(
        api, "flow_runs", {"flow_runs": {"name": {"any_": [f"reindex-{COLLECTION}"]}}}
    )
    assert flow_run["state_type"] == "COMPLETED"
    assert set(flow_run["tags"]) == {f"collection:{COLLECTION}", "embedder:hashing"}

    chosen = {"flow_runs": {"id": {"any_": [flow_run["id"]]}}}
    task_runs = ask(api, "task_runs", chosen)
    stages = Counter(str(run["name"]).partition("-")[0] for run in task_runs)
    assert not any(run["tags"] for run in task_runs), "a tag costs a question to the server"
    assert stages["parse"] <= BATCHES
    assert stages["embed"] <= BATCHES
    assert sum(stages.values()) <= 2 * BATCHES + 8  # each other stage once

    artifacts = {
        str(artifact["key"]): artifact
        for artifact in ask(api, "artifacts", chosen)
        if artifact["type"] in {"markdown", "progress"}
    }
    assert artifacts.keys() == {
        f"{COLLECTION}-{name}"
        for name in (
            *("plan", "summary", "rejections", "quality", "night", "nights", "costs"),
            *("parse", "embed"),
        )
    }
    assert artifacts[f"{COLLECTION}-parse"]["data"] == 100.0
    assert "bad\\|name.pdf" in str(artifacts[f"{COLLECTION}-rejections"]["data"])
    assert "published" in str(artifacts[f"{COLLECTION}-summary"]["data"])
    for name in ("night", "nights"):
        assert "](data:image/svg+xml;base64," in str(artifacts[f"{COLLECTION}-{name}"]["data"])
    assert "| added | 30 |" in str(artifacts[f"{COLLECTION}-plan"]["data"])

    source.rename(source.with_name("elsewhere"))
    nightpress("run", "--collection", COLLECTION, code=3)
    summaries = {"artifacts": {"key": {"any_": [f"{COLLECTION}-summary"]}}}
    stopped = [str(each["data"]) for each in ask(api, "artifacts", summaries)]
    assert sum("stopped, production is as it was" in told for told in stopped) == 1
