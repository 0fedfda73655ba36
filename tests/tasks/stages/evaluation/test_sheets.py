"""Sheets: what is written comes in again, nothing is a formula, and every wrong line is told."""

from dataclasses import replace
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook

from index_store.errors import UsageError
from tasks.stages.evaluation.grid import Evaluation, Mark, Row
from tasks.stages.evaluation.sheets import read_marks, write_sheet

ANSWER = '=HYPERLINK("http://elsewhere.example","x")'
MADE = Evaluation(
    version="b" * 64,
    run="r",
    at_ms=0,
    answered_by="the best passages",
    rows=(
        Row(
            id="trial",
            question="How long is the trial?",
            answer=ANSWER,
            sources=("a.txt", "b.txt"),
            found=0.5,
            mark=Mark(exactness=9, completeness=8, format=7.5, note="fine"),
        ),
        Row(id="2", question="Combien de jours, à Paris ?", answer="Cinq;\x07 \U0001f319"),
    ),
)
QUESTIONS = {row.id: row.question for row in MADE.rows}


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_a_sheet_that_was_written_is_read_again(tmp_path: Path, ending: str):
    path = tmp_path / f"marks.{ending}"
    write_sheet(MADE, path)
    assert read_marks(path, QUESTIONS) == {"trial": [MADE.rows[0].mark]}


def test_no_cell_is_a_formula(tmp_path: Path):
    write_sheet(MADE, tmp_path / "a.xlsx")
    write_sheet(MADE, tmp_path / "a.csv")
    book = load_workbook(tmp_path / "a.xlsx")
    cell = book["answers"]["D2"]
    assert (cell.value, cell.data_type) == (ANSWER, "s")
    assert book["answers"]["D3"].value == "Cinq; \U0001f319"
    assert book["summary"]["A5"].value == "mean exactness"
    assert "\"'=HYPERLINK" in (tmp_path / "a.csv").read_text("utf-8-sig")


def test_french_columns_commas_and_several_people_are_understood(tmp_path: Path):
    path = tmp_path / "notes.csv"
    path.write_text(
        "Question;Exactitude;Complétude;Format & clarté;Commentaire\n"
        "How long is the trial?;8,5;7;9;bien\n"
        "How long is the trial?;9;8;10;\n"
        "Combien de jours, à Paris ?;;;;\n",
        encoding="utf-8",
    )
    marks = read_marks(path, QUESTIONS)
    assert marks == {
        "trial": [
            Mark(exactness=8.5, completeness=7, format=9, note="bien"),
            Mark(exactness=9, completeness=8, format=10),
        ]
    }


def test_every_wrong_line_is_told_and_nothing_is_taken_over(tmp_path: Path):
    path = tmp_path / "marks.csv"
    path.write_text("id,exactness,completeness,format\ntrial,11,5,x\nother,1,1,1\n2,9,9,9\n")
    with pytest.raises(UsageError, match=r"line 2: exactness.*'11'.*format.*'x'.*line 3.*'other'"):
        read_marks(path, QUESTIONS)


def test_what_is_no_sheet_is_told(tmp_path: Path):
    for name, data in (("a.xlsx", b"PK no"), ("a.csv", b"\xff\xfe\x00"), ("b.csv", b"id,x\n1,2\n")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UsageError, match=name):
            read_marks(tmp_path / name, QUESTIONS)
    with pytest.raises(UsageError, match="nowhere"):
        read_marks(tmp_path / "nowhere.csv", QUESTIONS)
    with pytest.raises(UsageError, match=r"\.csv or \.xlsx"):
        write_sheet(MADE, tmp_path / "a.pdf")


def test_an_empty_workbook_says_what_is_missing(tmp_path: Path):
    Workbook().save(tmp_path / "empty.xlsx")
    with pytest.raises(UsageError, match="missing: exactness, completeness, format"):
        read_marks(tmp_path / "empty.xlsx", QUESTIONS)


def test_a_long_answer_fits_a_cell(tmp_path: Path):
    long = replace(MADE, rows=(replace(MADE.rows[1], answer="x" * 40_000),))
    write_sheet(long, tmp_path / "long.xlsx")
    assert len(load_workbook(tmp_path / "long.xlsx")["answers"]["D2"].value) == 32_767
