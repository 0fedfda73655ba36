"""Evaluation from the questions to the comparison: asked, judged, marked by people, compared."""

import csv
from pathlib import Path

import pytest

from tests.support.chat_server import ChatServer, Script
from tests.support.command_line import CommandLine
from tests.support.small_sources import prose, write

QUESTIONS = """
- id: tides
  question: What does sentence 2 of tides ask of people?
  answer: The tides rule number 2.
  documents: [tides.txt]
- id: nobody
  question: Who wrote this?
"""
JUDGED = '{"exactness": 8, "completeness": 6, "format": 10, "note": "misses a date"}'


@pytest.fixture
def questions(tmp_path: Path) -> str:
    path = tmp_path / "questions.yaml"
    path.write_text(QUESTIONS)
    return str(path)


def test_answers_are_judged_marked_by_people_and_compared(
    nightpress: CommandLine, source: Path, questions: str, tmp_path: Path
):
    write(source / "tides.txt", prose("tides"))
    first = nightpress("run", "--json").json["version"]
    with ChatServer(Script(deltas=[{"content": JUDGED}])).running() as judge:
        asked = nightpress(
            *("evaluate", "--json", "--out", str(tmp_path / "a.xlsx")),
            NIGHTPRESS_EVALUATION_QUESTIONS=questions,
            NIGHTPRESS_JUDGE_URL=judge.url,
            NIGHTPRESS_JUDGE_MODEL="strict",
        ).json
    assert asked["version"] == first
    assert (asked["questions"], asked["marked"], asked["found"]) == (2, 2, 1.0)
    assert asked["means"]["final"] == pytest.approx(7.8)
    assert asked["answered_by"] == "the best passages"
    row = asked["rows"][0]
    assert (row["sources"], row["mark"]["by"]) == (["tides.txt"], "model")
    assert "tides rule number 2" in row["answer"]
    assert len(judge.seen) == 2
    assert judge.seen[0]["temperature"] == 0
    assert "The tides rule number 2." in judge.seen[0]["messages"][1]["content"]

    marks = tmp_path / "marks.csv"
    marks.write_text("id;exactness;completeness;format\ntides;10;10;10\ntides;9;9;9\n")
    by_people = nightpress(
        "evaluate", "--marks", str(marks), "--json", "--out", str(tmp_path / "b.csv")
    ).json
    assert by_people["rows"][0]["final"] == pytest.approx(9.5)
    assert by_people["rows"][1]["mark"]["by"] == "model"
    lines = list(csv.DictReader((tmp_path / "b.csv").read_text("utf-8-sig").splitlines()))
    assert [line["final"] for line in lines] == ["9.5", "7.8"]

    write(source / "dunes.txt", prose("dunes"))
    second = nightpress("run", "--json").json["version"]
    told = nightpress("evaluate", "--questions", questions, "--against", first[:12])
    assert "nobody marked them yet" in told.out
    low = tmp_path / "low.csv"
    low.write_text("id,exactness,completeness,format\ntides,2,2,2\n")
    ended = nightpress(
        *("evaluate", second, "--marks", str(low), "--against", first, "--least", "5"), code=3
    )
    assert "tides: 9.50 → 2.00" in ended.out
    compared = nightpress("evaluate", second, "--against", first, "--json").json["against"]
    assert compared["changes"] == [{"id": "tides", "before": 9.5, "now": 2.0}]
    assert "the final mark is 2.00, at least 5 is asked" in ended.err


def test_mistakes_are_told_before_anything_is_asked(
    nightpress: CommandLine, source: Path, questions: str, tmp_path: Path
):
    write(source / "tides.txt", prose("tides"))
    version = nightpress("run", "--json").json["version"]
    assert "there are no questions" in nightpress("evaluate", code=2).err
    asked = ("evaluate", "--questions", questions)
    assert "judge_model" in nightpress(*asked, "--set", "judge_url=http://[::1]:9/v1", code=2).err
    marks = tmp_path / "marks.csv"
    marks.write_text("id,exactness,completeness,format\n")
    told = nightpress("evaluate", "--marks", str(marks), code=2).err
    assert f"version {version[:12]} was never evaluated" in told
