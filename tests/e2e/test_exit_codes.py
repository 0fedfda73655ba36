"""Each exit code, provoked; a person's mistake is told in one line."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.plain_run import run_plainly
from tests.support.small_sources import options_for, prose, write


def one_line(err: str) -> str:
    told = [line for line in err.splitlines() if line.startswith("nightpress: ")]
    assert len(told) == 1
    return told[0]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "--set", "hnswm=3"], "setting 'hnswm' is unknown"),
        (["run", "--set", "hnsw_m=many"], "setting 'hnsw_m'"),
        (["run", "--set", "extensions=.exe"], "no parser reads .exe"),
        (["run", "--embedder", "telepathy"], "embedder 'telepathy' is unknown"),
        (["run", "--collection", "Not Valid"], "setting 'collection'"),
        (["run", "--store", "ftp://somewhere"], "scheme 'ftp' is not supported"),
        (["run", "--config", "nowhere.toml"], "'nowhere.toml' does not exist"),
        (["plan", "--embedder", "telepathy"], "embedder 'telepathy' is unknown"),
        (["search", "anything"], "does not exist"),
        (["rejected"], "does not exist"),
        (["status", "--collection", "nothere"], "does not exist"),
        (["run", "--set", "embed_dimension=1024"], "dimension 256, expected 1024"),
        (["plan", "--set", "embed_dimension=1024"], "dimension 256, expected 1024"),
    ],
)
def test_a_mistake_exits_2_and_names_itself(
    nightpress: CommandLine, source: Path, words: list[str], told: str
):
    write(source / "a.txt", prose("alpha"))
    assert told in one_line(nightpress(*words, code=2).err)


def test_a_prefect_server_that_is_not_there_exits_2(nightpress: CommandLine, source: Path):
    write(source / "a.txt", prose("alpha"))
    ended = nightpress("run", code=2, PREFECT_API_URL="http://127.0.0.1:9/api")
    assert "PREFECT_API_URL" in one_line(ended.err)


def test_missing_empty_and_vanishing_sources_exit_3_and_say_how_to_go_on(
    nightpress: CommandLine, source: Path
):
    assert "cannot be read" in one_line(nightpress("run", "--source", "nowhere", code=3).err)
    assert "holds no document" in one_line(nightpress("run", code=3).err)
    for number in range(8):
        write(source / f"{number}.txt", prose(f"topic {number}"))
    first = nightpress("run", "--json").json
    for number in range(4):
        (source / f"{number}.txt").unlink()
    for command in ("plan", "run"):
        told = one_line(nightpress(command, code=3).err)
        assert "4 of 8 documents would vanish" in told
        assert "--allow-removal" in told
    (listed,) = nightpress("status", "--json").json["collections"]
    assert listed["channels"]["production"] == first["version"]
    after = nightpress("run", "--allow-removal", "--json").json
    assert after["documents"]["removed"] == 4


def test_a_lost_race_exits_4_and_the_winner_stays(
    nightpress: CommandLine, source: Path, store: Path, tmp_path: Path
):
    write(source / "a.txt", prose("alpha"))
    loser = nightpress.start("run", "--json")
    loser.wait_for("plan ")
    os.kill(loser.process.pid, signal.SIGSTOP)
    other = tmp_path / "other"
    write(other / "b.txt", prose("beta"))
    winner = run_plainly(replace(options_for(other, str(store)), collection="documents"))
    os.kill(loser.process.pid, signal.SIGCONT)
    ended = loser.end()
    assert ended.code == 4, ended.err
    told = json.loads(ended.out)["error"]
    assert told["exit_code"] == 4
    assert told["message"].endswith("; run the same command again")
    (listed,) = nightpress("status", "--json").json["collections"]
    assert listed["channels"]["production"] == winner.version


def test_two_runs_at_once_leave_a_store_that_answers(nightpress: CommandLine, source: Path):
    write(source / "a.txt", prose("alpha"))
    runs = [nightpress.start("run") for _ in range(2)]
    codes = sorted(run.end().code for run in runs)
    assert codes in ([0, 0], [0, 4])
    found = nightpress("search", "Sentence 1 of alpha says what", "--json").json
    assert found["hits"][0]["uri"] == "a.txt"
    assert nightpress("run", "--json").json["unchanged"] is True


@pytest.mark.parametrize(
    ("damaged", "commands"),
    [
        ("documents/versions/*/manifest.json", ["search anything", "status", "rejected", "run"]),
        ("documents/log/*1.json", ["search anything", "status", "rejected", "run"]),
        ("documents/shards/*/index.faiss", ["search anything"]),
        ("documents/shards/*/chunks.arrow", ["search anything"]),
        ("documents/catalog/*.parquet", ["rejected", "run"]),
        ("documents/format.json", ["search anything", "status", "rejected"]),
    ],
)
def test_damage_exits_5_and_names_the_file(
    nightpress: CommandLine, source: Path, store: Path, damaged: str, commands: list[str]
):
    write(source / "a.txt", prose("alpha"))
    run_plainly(replace(options_for(source, str(store)), collection="documents"))
    (path,) = store.glob(damaged)
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :])
    for command in commands:
        told = one_line(nightpress(*command.split(), code=5).err)
        assert path.parent.name in told or path.name in told
