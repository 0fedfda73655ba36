"""The language of a document comes from its text."""

from pathlib import Path

import pytest

from index_store.records import Quality
from tasks.stages.parsing.examination import Examination, examine
from tasks.stages.parsing.language import identify_language
from tasks.stages.parsing.limits import Limits
from tests.tasks.stages.parsing.hostile_parsers import one_chunk_each


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Le salarié a droit à un congé de deux jours et demi ouvrables par mois.", "fr"),
        ("The employee is entitled to two and a half days of leave for each month.", "en"),
        ("LE SALARIÉ A DROIT À UN CONGÉ DE DEUX JOURS ET DEMI.", "fr"),
        ("Der Arbeitnehmer hat Anspruch auf Urlaub von zweieinhalb Tagen.", "de"),
        ("従業員は毎月二日半の休暇を取得する権利があります。会社はこれを認めます。", "ja"),
        ("Nr. 5", ""),
        ("2024 | 12,5 | 13,7 | 14", ""),
        ("", ""),
    ],
)
def test_languages_are_told_apart(text: str, language: str):
    assert identify_language([text]) == language


def test_a_foreign_preface_does_not_decide():
    french = "Le salarié a droit à un congé de deux jours et demi ouvrables par mois."
    assert (
        identify_language(["This is a preface in English, and a long one.", *[french] * 40]) == "fr"
    )


def test_an_outcome_says_what_the_document_is(tmp_path: Path):
    path = tmp_path / "a.md"
    path.write_text("# Le titre\n\nLe salarié a droit à un congé chaque mois de travail.\n")
    outcome = examine(
        str(path), "markdown", Examination(limits=Limits(), chunker=one_chunk_each({}))
    )
    found = outcome.attributes
    assert (found.title, found.language, found.media_type) == ("Le titre", "fr", "markdown")
    assert outcome.quality is Quality.GOOD


def test_a_refused_document_has_no_quality(tmp_path: Path):
    path = tmp_path / "a.md"
    path.write_text("...")
    outcome = examine(
        str(path), "markdown", Examination(limits=Limits(), chunker=one_chunk_each({}))
    )
    assert outcome.rejection is not None
    assert outcome.quality is Quality.NONE
