"""Nights from a schedule: a fresh Prefect server, a worker, and what goes wrong in between."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from index_store.log import CommitLog
from index_store.storage.folder import FolderStorage
from tests.support.command_line import CommandLine
from tests.support.prefect_server import ask
from tests.support.prefect_service import (
    PrefectService,
    Receiver,
    kill_all,
    prefect_service,
    wait_for,
)
from tests.support.small_sources import prose, write

pytestmark = pytest.mark.soak

DEPLOYMENT = "reindex/documents"
ROOT = Path(__file__).parents[2]
WINDOW_S = 75  # of heartbeats that come every 30 s, the shortest that Prefect allows
NEVER = "0 0 1 1 *"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[PrefectService]:
    with prefect_service(tmp_path / "prefect") as started:
        yield started


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The files as they are shipped, but that a silent run is given up after a minute."""
    folder = tmp_path / "deployments"
    shutil.copytree(ROOT / "deployments", folder)
    quicker(folder / "prefect.yaml", 'HEARTBEAT_FREQUENCY: "60"', 'HEARTBEAT_FREQUENCY: "30"')
    quicker(folder / "automations" / "unresponsive.yaml", "within: 600", f"within: {WINDOW_S}")
    return folder / "prefect.yaml"


def quicker(path: Path, shipped: str, tried: str) -> None:
    text = path.read_text()
    assert shipped in text
    path.write_text(text.replace(shipped, tried))


@pytest.fixture
def command(tmp_path: Path, service: PrefectService, receiver: Receiver) -> CommandLine:
    for number in range(12):
        write(tmp_path / "source" / f"{number:02d}.txt", prose(f"topic {number}"))
    told = {
        "NIGHTPRESS_SOURCE": str(tmp_path / "source"),
        "NIGHTPRESS_STORE": str(tmp_path / "store"),
        "NIGHTPRESS_EMBEDDER": "hashing",
        "NIGHTPRESS_GATE_ENGINE": "built-in",
        "NIGHTPRESS_BATCH_DOCUMENTS": "2",
        "NIGHTPRESS_NOTIFY_WEBHOOK": receiver.url,
    }
    return CommandLine(folder=tmp_path, environment={**service.environment, **told})


def production(tmp_path: Path) -> str:
    return CommitLog(FolderStorage(tmp_path / "store"), "documents").read().channels["production"]


def test_a_schedule_runs_by_itself_and_a_broken_source_is_blocked_and_told(
    command: CommandLine, service: PrefectService, receiver: Receiver, files: Path, tmp_path: Path
):
    every_minute = ("deploy", "--file", str(files), "--cron", "* * * * *", "--json")
    made = command(*every_minute).json
    assert {each["action"] for each in made["changes"]} == {"create"}
    again = command(*every_minute).json
    assert {each["action"] for each in again["changes"]} == {"unchanged"}
    service.start_worker()
    wait_for(lambda: "Completed" in service.states(), "a run from the schedule")
    version = production(tmp_path)
    (first,) = [run for run in service.runs() if run["state_name"] == "Completed"][:1]
    assert first["auto_scheduled"]
    chosen = {"flow_runs": {"id": {"any_": [first["id"]]}}}
    keys = {str(each["key"]) for each in ask(service.url, "artifacts", chosen)}
    assert {"documents-plan", "documents-summary", "documents-rejections"} <= keys

    # Prefect orders events by the state before, and writes none for what its scheduler put down
    # less than five minutes ago: so this run is asked for.
    command("deploy", "--file", str(files), "--cron", NEVER)
    shutil.move(tmp_path / "source", tmp_path / "unmounted")
    service.create_run(DEPLOYMENT)
    wait_for(lambda: "Blocked" in service.states(), "a run that is blocked")
    wait_for(lambda: bool(receiver.bodies), "the notification")
    told = receiver.bodies[0]
    assert told["state"] == "Blocked"
    assert "cannot be read" in told["reason"]
    assert told["run"] == "reindex-documents"
    assert "collection:documents" in told["tags"]
    assert production(tmp_path) == version
    advice = {"artifacts": {"key": {"any_": ["documents-reindex-ended-early"]}}}
    wait_for(lambda: bool(ask(service.url, "artifacts", advice)), "what the hook writes")
    assert "cannot be read" in str(ask(service.url, "artifacts", advice)[0]["data"])


def test_a_backlog_runs_once(
    command: CommandLine, service: PrefectService, files: Path, tmp_path: Path
):
    command("deploy", "--file", str(files), "--cron", NEVER)
    for days in (3, 2, 1):
        due = (datetime.now(UTC) - timedelta(days=days)).isoformat()
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due}}
        service.create_run(DEPLOYMENT, state=state)
    service.start_worker()
    wait_for(lambda: set(service.states()[:3]) == {"Completed", "Skipped"}, "the backlog")
    assert sorted(service.states()[:3]) == ["Completed", "Skipped", "Skipped"]
    assert len(CommitLog(FolderStorage(tmp_path / "store"), "documents").read().versions) == 1


def test_the_night_after_a_machine_is_gone_goes_on(
    command: CommandLine, service: PrefectService, receiver: Receiver, files: Path, tmp_path: Path
):
    for number in range(12, 400):
        write(tmp_path / "source" / f"{number:03d}.txt", prose(f"topic {number}", 40))
    command("deploy", "--file", str(files), "--cron", NEVER)
    lost = service.create_run(DEPLOYMENT)
    worker = service.start_worker()
    batches = tmp_path / "store" / "embeddings"
    wait_for(lambda: any(batches.rglob("*")), "the first vectors")
    kill_all(worker)
    (left,) = service.runs(id={"any_": [lost]})
    assert left["state_name"] == "Running", "nobody is left to say that it is gone"
    following = service.create_run(DEPLOYMENT)
    service.start_worker()
    wait_for(lambda: service.runs(id={"any_": [lost]})[0]["state_name"] == "Crashed", "its end")
    wait_for(
        lambda: service.runs(id={"any_": [following]})[0]["state_name"] == "Completed",
        "the next run",
    )
    assert [told["state"] for told in receiver.bodies] == ["Crashed"]
    assert len(command("plan", "--json").json["added"]) == 0
    assert production(tmp_path)
