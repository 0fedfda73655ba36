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

from flows.old_runs import MARK, forget_old_runs
from tests.support.prefect_server import ask
from tests.support.prefect_service import wait_for


@pytest.fixture
def api(prefect_url: str) -> Iterator[str]:
    with temporary_settings({PREFECT_API_URL: prefect_url}):
        yield prefect_url


def recorded(api: str, *tags: str, state_type: str = "COMPLETED") -> str:
    """Have a run recorded, with a task run, a line of log and two artifacts."""
    flow = made(api, "flows", name="old-runs")
    state = {"type": state_type}
    run = made(api, "flow_runs", flow_id=flow, tags=tags, state=state)
    task = made(
        api, "task_runs", flow_run_id=run, task_key="t", dynamic_key=run, state=state, name="t"
    )
    for number in range(2):
        made(
            api, "artifacts", key=f"told-{number}", type="markdown", data="told",
            flow_run_id=run, task_run_id=task,
        )  # fmt: skip
    line = {"name": "old-runs", "level": 20, "message": "told", "flow_run_id": run}
    line |= {"timestamp": datetime.now(UTC).isoformat()}
    post(api, "logs", [line])
    return run


def post(api: str, path: str, body: object) -> httpx.Response:
    """Ask again while Prefect answers 503, which it does when its database is busy."""
    replies: list[httpx.Response] = []

    def answered() -> bool:
        replies.append(httpx.post(f"{api}/{path}/", json=body, timeout=60))
        return replies[-1].status_code != httpx.codes.SERVICE_UNAVAILABLE

    wait_for(answered, f"Prefect to take {path}")
    return replies[-1].raise_for_status()


def made(api: str, path: str, **body: object) -> str:
    return str(post(api, path, body).json()["id"])


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


def test_old_runs_of_ours_go_with_everything_of_them_and_others_stay(
    api: str, prefect_folder: Path
):
    recent, old, foreign = recorded(api, MARK), recorded(api, MARK), recorded(api)
    killed = recorded(api, MARK, state_type="RUNNING")
    for run in (old, killed, foreign):
        put_back(prefect_folder, run, days=8)
    week = {PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD: timedelta(days=7)}

    with temporary_settings(week | {PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED: {"events"}}):
        forget_old_runs()
    assert all(kept(api, run) == ALL for run in (recent, old, foreign, killed))

    both = {PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED: {"events", "flow_runs"}}
    with temporary_settings(week | both):
        forget_old_runs()
    for run in (old, killed):
        wait_for(lambda gone=run: kept(api, gone) == NONE, "its logs, which go later")
    assert kept(api, recent) == kept(api, foreign) == ALL


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
