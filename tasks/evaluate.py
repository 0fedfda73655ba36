"""Tasks: answer questions, have the answers marked, keep and show what came of it."""

import logging
from collections.abc import Callable
from dataclasses import replace

from prefect import task
from prefect.artifacts import create_markdown_artifact

from index_store.errors import TransientError, UsageError
from index_store.storage.opening import open_storage
from tasks.policies import policy
from tasks.stages.evaluation.grid import Evaluation, Row
from tasks.stages.evaluation.judging import Judge, judge_messages, parse_judgement
from tasks.stages.evaluation.keeping import keep_evaluation
from tasks.stages.evaluation.telling import evaluation_markdown
from tasks.stages.gating.golden import GoldenQuestion, read_golden

logger = logging.getLogger("nightpress.evaluate")

Answer = Callable[[GoldenQuestion], tuple[str, tuple[str, ...]]]


@task(**policy("read-questions", run_name="read-questions"))
def read_questions(path: str) -> tuple[GoldenQuestion, ...]:
    """Read the file of questions."""
    if not path:
        raise UsageError("there are no questions: --questions FILE, or evaluation_questions")
    return read_golden(path, needs_targets=False)


@task(**policy("answer", run_name="answer-{question.id}"))
def answer_question(question: GoldenQuestion, answer: Answer) -> Row:
    """Answer one question and see whether the right documents are behind the answer."""
    text, sources = answer(question)
    wanted = question.documents
    return Row(
        id=question.id,
        question=question.question,
        expected=question.answer,
        answer=text,
        sources=sources,
        found=sum(uri in sources for uri in wanted) / len(wanted) if wanted else None,
    )


@task(**policy("judge", run_name="judge-{row.id}", retried=False))
def judge_answer(row: Row, judge: Judge) -> Row:
    """Have a language model mark one answer; one that cannot be used leaves it unmarked."""
    try:
        mark = parse_judgement(judge(judge_messages(row)))
    except TransientError as error:
        logger.warning("question %s is not marked: %s", row.id, error)
        return row
    if mark is None:
        logger.warning("question %s is not marked: the judge gave no marks", row.id)
        return row
    return replace(row, mark=mark)


@task(**policy("keep-answers", run_name="keep-answers-{collection}"))
def keep_answers(store: str, collection: str, evaluation: Evaluation) -> None:
    """Keep the evaluation beside its version, and show it."""
    keep_evaluation(open_storage(store), collection, evaluation)
    name = "".join(mark if mark.isalnum() else "-" for mark in collection.lower())
    create_markdown_artifact(
        key=f"{name}-evaluation",
        markdown=evaluation_markdown(evaluation),
        description="Answers and their marks",
    )
