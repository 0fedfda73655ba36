"""Evaluations beside their version: they come back, the marked one first, damage costs nothing."""

from dataclasses import replace

import pytest

from index_store.errors import CorruptArtifactError
from index_store.layout import evaluation_key
from index_store.storage.memory import MemoryStorage
from tasks.stages.evaluation.grid import Evaluation, Row
from tasks.stages.evaluation.keeping import keep_evaluation, last_evaluation, parse_evaluation
from tasks.stages.evaluation.telling import evaluation_markdown
from tests.tasks.stages.evaluation.test_sheets import MADE


def test_the_newest_marked_evaluation_comes_back_as_it_was():
    storage = MemoryStorage("store")
    bare = replace(MADE, rows=(Row(id="1", question="why?"),))
    assert last_evaluation(storage, "docs", MADE.version) is None
    keep_evaluation(storage, "docs", replace(bare, run="r0"))
    assert last_evaluation(storage, "docs", MADE.version) == replace(bare, run="r0")
    keep_evaluation(storage, "docs", replace(MADE, run="r1"))
    keep_evaluation(storage, "docs", replace(bare, run="r2"))
    storage.put(evaluation_key("docs", MADE.version, "r3"), b"{}")
    assert last_evaluation(storage, "docs", MADE.version) == replace(MADE, run="r1")
    assert last_evaluation(storage, "docs", "a" * 64) is None


def test_every_problem_of_a_damaged_one_is_told():
    with pytest.raises(CorruptArtifactError, match=r"format_version.*version.*rows\[0\].id"):
        parse_evaluation(b'{"format_version": 2, "rows": [{}]}', "evaluation")


def test_the_page_names_the_lowest_marks_first_and_what_is_unmarked_last():
    told = evaluation_markdown(MADE)
    assert told.startswith("# bbbbbbbbbbbb: 1 of 2 answers are marked")
    assert "behind 50% of the answers" in told
    assert told.index("How long is the trial?") < told.index("Combien de jours")
    nothing = Evaluation(version="b" * 64, run="r", at_ms=0, answered_by="x")
    assert "0 of 0" in evaluation_markdown(nothing)
