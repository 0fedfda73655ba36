from contextlib import closing
from pathlib import Path

import psutil
import pytest

from index_store.errors import UsageError
from tasks.stages.gating.expectation import Engine, Expectation, Frame, Kind, Severity, Suite
from tasks.stages.gating.great_engine import GreatEngine
from tasks.stages.gating.options import parse_severities
from tasks.stages.gating.plain_engine import PlainEngine
from tasks.stages.gating.suites import every_expectation


def expected(name: str, column: str, **fields: object) -> Expectation:
    return Expectation(name=f"s/{name}", column=column, protects="Something.", **fields)  # type: ignore[arg-type]


FRAME = Frame(
    columns={"a": [0.1, 0.5, None, 3.0], "none": [None] * 4, "same": [2.0] * 4},
    labels=("w", "x", "y", "z"),
)
SUITE = Suite(
    name="s",
    frame=FRAME,
    expectations=(
        expected("inside", "a", least=0, most=3),
        expected("outside", "a", most=1),
        expected("mostly", "a", most=1, mostly=0.6),
        expected("mostly not", "a", most=1, mostly=0.7),
        expected("mean", "a", least=1.1, most=1.3, kind=Kind.MEAN),
        expected("mean not", "a", most=1.1, kind=Kind.MEAN),
        expected("unknown", "none", least=5),
        expected("unknown mean", "none", least=5, kind=Kind.MEAN),
        expected("equal", "same", least=2, most=2),
        expected("off", "same", least=3, severity=Severity.OFF),
        expected("warned", "same", least=3, severity=Severity.WARN),
    ),
)
NOT_MET = ["s/outside", "s/mostly not", "s/mean not", "s/warned"]


@pytest.mark.parametrize("kind", [PlainEngine, GreatEngine])
def test_both_engines_find_the_same(kind: type[Engine]):
    with closing(kind()) as engine:
        found = engine.check([SUITE])
    assert [each.check for each in found if not each.passed] == NOT_MET
    assert [each.check for each in found if each.blocks] == NOT_MET[:-1]
    assert "s/off" not in {each.check for each in found}
    assert len(found) == len(SUITE.expectations) - 1


def test_the_answer_arrives_whole_however_output_is_buffered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    with closing(GreatEngine()) as engine:
        assert engine.check([SUITE])


def test_an_engine_that_was_not_needed_leaves_no_process():
    before = set(psutil.Process().children())  # other tests keep processes of their own
    engine = GreatEngine()
    (child,) = set(psutil.Process().children()) - before
    engine.close()
    engine.close()
    assert not child.is_running()
    assert set(psutil.Process().children()) <= before


def test_a_library_that_cannot_be_loaded_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    Path(tmp_path, "great_expectations.py").write_text("raise ImportError('half installed')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with (
        closing(GreatEngine()) as engine,
        pytest.raises(UsageError, match="half installed; set gate"),
    ):
        engine.check([SUITE])


def test_a_finding_says_what_was_expected_and_where_it_was_not_met():
    found = {each.check: each for each in PlainEngine().check([SUITE])}
    assert found["s/outside"].message == "expected a at most 1, found 1 of 3 outside, first 3: z"
    assert found["s/unknown"].message.endswith("found nothing to judge")
    assert (
        found["s/mean"].message == "expected mean a at least 1.1 and at most 1.3, found 1.2 over 3"
    )


def test_every_expectation_says_in_a_sentence_what_it_protects():
    every = every_expectation()
    assert len({each.name for each in every}) == len(every)
    for each in every:
        assert each.protects.endswith("."), each.name
        assert len(each.protects.split()) >= 7, each.name


def test_severities_are_read_from_words_and_anything_else_is_refused():
    assert parse_severities(("outcomes=off",)) == {"outcomes": Severity.OFF}
    with pytest.raises(UsageError, match="found 'outcomes=maybe'"):
        parse_severities(("outcomes=maybe",))
