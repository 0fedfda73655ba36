"""Old runs in the database of a temporary server: ours go, everything else stays."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED,
    PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD,
    temporary_settings,
)

from flows.old_runs import MARK, delete_runs, forget_old_runs
from tests.support.prefect_server import ask
from tests.support.prefect_service import wait_for

WEEK = timedelta(days=7)


@pytest.fixture
def api(prefect_url: str) -> Iterator[str]:
    with temporary_settings({PREFECT_API_URL: prefect_url}):
        yield prefect_url


def recorded(api: str, *tags: str, state_type: str = "COMPLETED") -> str:
    """Have a run recorded, with a task run, a line of log and two artifacts."""
    flow = post(api, "flows", name="old-runs")
    state = {"type": state_type}
    run = post(api, "flow_runs", flow_id=flow, tags=tags, state=state)
    task = post(
        api,
        "task_runs",
        flow_run_id=run,
        task_key="scan",
        dynamic_key=run,
        state=state,
        name="scan",
    )
    for number in range(2):
        post(
            api, "artifacts", key=f"told-{number}", type="markdown", data="told",
            flow_run_id=run, task_run_id=task,
        )  # fmt: skip
    line = {"name": "old-runs", "level": 20, "message": "told", "flow_run_id": run}
    line |= {"timestamp": datetime.now(UTC).isoformat()}
    httpx.post(f"{api}/logs/", json=[line]).raise_for_status()
    return run


def post(api: str, path: str, **body: object) -> str:
    return str(httpx.post(f"{api}/{path}/", json=body).raise_for_status().json()["id"])


def kept(api: str, run: str) -> dict[str, int]:
    """Number of rows that belong to a run."""
    chosen = {"flow_runs": {"id": {"any_": [run]}}}
    return {
        "flow_runs": len(ask(api, "flow_runs", chosen)),
        "task_runs": len(ask(api, "task_runs", chosen)),
        "artifacts": len(ask(api, "artifacts", chosen)),
        "logs": len(ask(api, "logs", {"logs": {"flow_run_id": {"any_": [run]}}})),
    }


ALL = {"flow_runs": 1, "task_runs": 1, "artifacts": 2, "logs": 1}
NONE = dict.fromkeys(ALL, 0)


def test_a_marked_run_goes_with_everything_of_it_and_others_stay(api: str):
    old, foreign = recorded(api, MARK), recorded(api)
    killed = recorded(api, MARK, state_type="RUNNING")
    now = datetime.now(UTC)
    recent = recorded(api, MARK)
    wait_for(lambda: kept(api, old) == ALL, "the records of the run")

    assert delete_runs(before=now) == 2
    for gone in (old, killed):
        wait_for(
            lambda run=gone: kept(api, run) == NONE, "logs, which the server deletes by and by"
        )
    assert kept(api, foreign) == kept(api, recent) == ALL
    assert delete_runs(before=now) == 0
    assert delete_runs(before=datetime.now(UTC)) == 1


@pytest.mark.parametrize(
    ("told", "goes"), [({"events", "flow_runs"}, True), ({"events"}, False)], ids=str
)
def test_prefects_own_settings_say_what_is_old(
    api: str, prefect_folder: Path, told: set[str], goes: bool
):
    run = recorded(api, MARK)
    settings = {
        PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED: told,
        PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD: WEEK,
    }
    with temporary_settings(settings):
        forget_old_runs()
        assert kept(api, run)["flow_runs"] == 1, "it is not a week old"
        put_back(prefect_folder, run, days=8)
        forget_old_runs()
    assert kept(api, run)["flow_runs"] == (0 if goes else 1)
    delete_runs(before=datetime.now(UTC))


def put_back(folder: Path, run: str, *, days: int) -> None:
    """Let a run have begun earlier."""
    with closing(sqlite3.connect(folder / "prefect.db", timeout=60)) as connection, connection:
        done = connection.execute(
            "UPDATE flow_run SET start_time = strftime('%Y-%m-%d %H:%M:%f', start_time, :then)"
            " WHERE id = :run",
            {"then": f"-{days} days", "run": run},
        )
        assert done.rowcount == 1


def test_a_server_that_is_gone_stops_no_night(caplog: pytest.LogCaptureFixture):
    settings = {
        PREFECT_API_URL: "http://127.0.0.1:9/api",
        PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED: {"events", "flow_runs"},
    }
    with temporary_settings(settings), caplog.at_level(logging.WARNING, "nightpress"):
        forget_old_runs()
    assert "old runs could not be deleted" in caplog.text
