"""Verdicts on text: what a person would call poor at a glance is poor, and says why."""

import pytest

from index_store.records import Quality
from tasks.stages.parsing.elements import Element, ElementKind, ParsedDocument
from tasks.stages.parsing.quality import judge, measure

PROSE = "Le salarié a droit à deux jours et demi ouvrables de congé par mois de travail effectif. "


def document(*texts: str, pages: int = 0, confidence: float | None = None) -> ParsedDocument:
    elements = tuple(
        Element(kind=ElementKind.PARAGRAPH, text=text, page=number if pages else None)
        for number, text in enumerate(texts, start=1)
    )
    return ParsedDocument(elements=elements, pages=pages, confidence=confidence)


@pytest.mark.parametrize(
    ("poor", "reason"),
    [
        (document(PROSE, pages=3), "text on 33% of the pages"),
        (document(PROSE + "\ufffd" * 3), "3% of the characters were lost"),
        (document("\uf0b7\uf0e9\uf041" * 40 + PROSE), "57% of the characters mean nothing"),
        (document("Le salariÃ© a droit Ã\xa0 des congÃ©s"), "its encoding was mistaken"),
        (document("x q w z v b n k l " * 60), "its letters make no words"),
        (document("Supercalifragilisticexpialidociousandmore" * 20), "its letters make no words"),
        (document(PROSE, confidence=0.4), "recognised with 40% confidence"),
    ],
)
def test_poor_text_is_told(poor: ParsedDocument, reason: str):
    verdict = judge(measure(poor))
    assert verdict.quality is Quality.POOR
    assert verdict.reasons == (reason,)


@pytest.mark.parametrize(
    "good",
    [
        document(PROSE * 10),
        document("Nr. 5"),
        document("従業員は毎月二日半の休暇を取得する権利があります。" * 20),
        document(PROSE, PROSE, pages=3),
        document(PROSE, confidence=0.9),
        document("Ã la carte; the Â sign and €uro"),
    ],
)
def test_healthy_text_is_good(good: ParsedDocument):
    assert judge(measure(good)).quality is Quality.GOOD


def test_tables_of_figures_and_codes_are_no_prose():
    rows = tuple(
        Element(kind=ElementKind.TABLE_ROW, text=f"AX{n} | QZ | BR{n} | K", header="a | b | c | d")
        for n in range(200)
    )
    measures = measure(ParsedDocument(elements=rows))
    assert (measures.words, measures.rows, measures.headed_rows) == (None, 200, 200)
    assert judge(measures).quality is Quality.GOOD
