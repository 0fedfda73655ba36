"""A run on a cluster: workers in folders of their own, and only S3 between them and the client."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from index_store.storage.remote import RemoteStorage
from tests.support.command_line import CommandLine
from tests.support.dask_cluster import DaskCluster, dask_cluster, kill
from tests.support.ray_cluster import ray_cluster
from tests.support.s3_servers import S3Server, moto
from tests.support.small_sources import prose

pytest.importorskip("prefect_dask")
pytestmark = pytest.mark.slow

DOCUMENTS = 20


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[S3Server]:
    folder = tmp_path / "s3"
    folder.mkdir()
    with moto(folder) as server:
        yield server


@pytest.fixture
def command(tmp_path: Path, s3: S3Server, prefect_url: str) -> CommandLine:
    source = RemoteStorage(s3.url("documents"), s3.options())
    for number in range(DOCUMENTS):
        source.put(f"{number % 4}/{number:03d}.txt", prose(f"topic {number}").encode())
    source.put("0/report.pdf", b"%PDF-1.7 broken")
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        **s3.environment(),
        "PREFECT_API_URL": prefect_url,
        "PREFECT_HOME": str(home),
        "NIGHTPRESS_SOURCE": s3.url("documents"),
        "NIGHTPRESS_EMBEDDER": "hashing",
        "NIGHTPRESS_BATCH_DOCUMENTS": "5",
        "NIGHTPRESS_GATE_ENGINE": "built-in",  # the other one takes seconds to load
    }
    return CommandLine(folder=home, environment=environment)


@pytest.fixture
def cluster(tmp_path: Path, s3: S3Server) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path / "cluster", 2, s3.environment()) as started:
        yield started


def chunks(command: CommandLine, store: str) -> set[str]:
    found = command("search", "topic", "--store", store, "-k", "100", "--json").json
    return {json.dumps([hit["text"], hit["uri"]]) for hit in found["hits"]}


def test_workers_of_a_cluster_find_what_one_machine_finds(
    command: CommandLine, cluster: DaskCluster, s3: S3Server
):
    alone, spread = s3.url("alone"), s3.url("spread")
    expected = command("run", "--store", alone, "--json").json
    on_cluster = ("--runner", "dask", "--cluster", cluster.address, "--json")
    report = command("run", "--store", spread, *on_cluster).json
    for name in ("documents", "chunks"):
        assert report[name] == expected[name]
    assert report["documents"]["rejected"] == 1
    assert chunks(command, spread) == chunks(command, alone)
    logs = [(cluster.folder / f"worker-{number}" / "log").read_text() for number in range(2)]
    assert all("Traceback" not in log for log in logs), logs


@pytest.mark.soak
def test_a_killed_worker_costs_its_batches_only(
    command: CommandLine, cluster: DaskCluster, s3: S3Server
):
    alone, spread = s3.url("alone"), s3.url("spread")
    expected = command("run", "--store", alone, "--json").json
    on_cluster = ("--runner", "dask", "--cluster", cluster.address, "--json")
    started = command.start("run", "--store", spread, *on_cluster, NIGHTPRESS_GATE_ENGINE="auto")
    started.wait_for("parse ")
    kill(cluster.workers[0])
    report = started.end().json
    for name in ("documents", "chunks"):
        assert report[name] == expected[name]
    assert chunks(command, spread) == chunks(command, alone)


@pytest.mark.soak
def test_ray_finds_the_same_also_with_a_worker_killed(command: CommandLine, s3: S3Server):
    pytest.importorskip("prefect_ray", reason="make soak installs it")
    alone, spread = s3.url("alone"), s3.url("spread")
    expected = command("run", "--store", alone, "--json").json
    with ray_cluster(s3.environment()) as cluster:
        on_cluster = ("--runner", "ray", "--cluster", cluster.address, "--json")
        started = command.start("run", "--store", spread, *on_cluster)
        started.wait_for("parse ")
        cluster.kill_a_worker()
        report = started.end().json
    for name in ("documents", "chunks"):
        assert report[name] == expected[name]
    assert chunks(command, spread) == chunks(command, alone)


def test_a_cluster_that_is_not_there_is_told(command: CommandLine, s3: S3Server):
    ended = command(
        "run", "--store", s3.url("none"), "--runner", "dask", "--cluster", "tcp://127.0.0.1:1",
        code=1, DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT="1s",
    )  # fmt: skip
    assert "tcp://127.0.0.1:1" in ended.err
    assert "setting cluster" in ended.err
