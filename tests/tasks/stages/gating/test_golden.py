from pathlib import Path

import pytest

from index_store.errors import UsageError
from index_store.records import Citation, Hit
from tasks.stages.gating.comparison import judge_golden
from tasks.stages.gating.golden import (
    GoldenQuestion,
    losers,
    means,
    read_golden,
    score,
    unreachable,
)
from tasks.stages.gating.options import GateOptions
from tasks.stages.gating.replay import read_questions


def hit(uri: str, text: str = "") -> Hit:
    return Hit(score=1.0, uri=uri, text=text, citation=Citation(), chunk="0" * 64)


def asked(*documents: str, passages: tuple[str, ...] = ()) -> GoldenQuestion:
    return GoldenQuestion(id="q", question="?", documents=documents, passages=passages)


def test_a_question_scores_by_the_ranks_at_which_its_targets_are_met():
    first = score(asked("a.txt"), [hit("a.txt"), hit("b.txt")])
    assert (first.recall, first.reciprocal_rank, first.ndcg) == (1.0, 1.0, 1.0)
    second = score(asked("a.txt"), [hit("b.txt"), hit("a.txt")])
    assert (second.recall, second.reciprocal_rank) == (1.0, 0.5)
    assert second.ndcg == pytest.approx(0.6309, abs=1e-4)
    none = score(asked("a.txt"), [hit("b.txt")])
    assert (none.recall, none.reciprocal_rank, none.ndcg) == (0.0, 0.0, 0.0)
    half = score(asked("a.txt", passages=("Trial  Period",)), [hit("x", "the trial period")])
    assert half.recall == 0.5
    assert score(asked("a.txt"), [hit("a.txt"), hit("a.txt")]).recall == 1.0


def test_a_fall_blocks_and_names_what_lost_most_and_what_is_out_of_reach():
    before = [score(asked("a.txt"), [hit("a.txt")])]
    now = [score(asked("a.txt"), [hit("b.txt")])]
    assert losers(before, now) == [("q", 1.0, 0.0)]
    assert unreachable(before, now) == ("a.txt",)
    found = {each.check: each for each in judge_golden(now, before, GateOptions())}
    assert found["golden/recall"].blocks
    assert "q 1.00 → 0.00" in found["golden/recall"].message
    assert not found["golden/unreachable"].passed
    assert "a.txt" in found["golden/unreachable"].message
    assert all(each.passed for each in judge_golden(before, before, GateOptions()))
    alone = judge_golden(now, (), GateOptions(golden_least=0.5))
    assert [each.check for each in alone if each.blocks] == ["golden/recall"]
    assert means(before)["mrr"] == 1.0


def test_questions_are_read_from_yaml_and_csv(tmp_path: Path):
    listed = tmp_path / "golden.yaml"
    listed.write_text("questions:\n- question: Combien ?\n  documents: a.txt\n  groups: [hr]\n")
    (one,) = read_golden(str(listed))
    assert (one.question, one.documents, one.groups) == ("Combien ?", ("a.txt",), frozenset({"hr"}))
    table = tmp_path / "golden.csv"
    table.write_text("id;question;documents;passages\nq1;Combien ?;a.txt|b.txt;trois mois\n")
    (one,) = read_golden(str(table))
    assert (one.id, one.documents, one.passages) == ("q1", ("a.txt", "b.txt"), ("trois mois",))


def test_a_question_of_an_evaluation_needs_no_documents_and_may_bear_its_answer(tmp_path: Path):
    table = tmp_path / "questions.csv"
    table.write_text("question;answer\nCombien ?;deux | trois\n")
    (one,) = read_golden(str(table), needs_targets=False)
    assert (one.documents, one.answer) == ((), "deux | trois")
    with pytest.raises(UsageError, match="question 1: it names neither"):
        read_golden(str(table))


def test_every_problem_of_a_file_of_questions_is_named(tmp_path: Path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("- question: ''\n  reply: x\n- question: a\n  documents: b\n  id: 1\n")
    with pytest.raises(UsageError, match="field 'reply' is unknown.*asks nothing.*neither"):
        read_golden(str(bad))
    bad.write_text("[]")
    with pytest.raises(UsageError, match="no question"):
        read_golden(str(bad))
    bad.write_text("a: [")
    with pytest.raises(UsageError, match="not YAML"):
        read_golden(str(bad))
    with pytest.raises(UsageError, match="cannot be read"):
        read_golden(str(tmp_path / "none.yaml"))


def test_recent_questions_are_read_from_any_log_of_json_lines(tmp_path: Path):
    log = tmp_path / "audit.jsonl"
    log.write_text(
        '{"question": "one"}\nnot json\n[]\n{"event": "start"}\n'
        '{"query": "two", "groups": ["hr"]}\n{"question": "one"}\n{"question": " "}\n'
    )
    questions = read_questions(str(log), last=10)
    assert [each.text for each in questions] == ["two", "one"]
    assert questions[0].groups == frozenset({"hr"})
    assert [each.text for each in read_questions(str(log), last=1)] == ["one"]
    with pytest.raises(UsageError, match="replay_log"):
        read_questions(str(tmp_path / "none"), last=1)
