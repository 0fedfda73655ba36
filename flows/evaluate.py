"""Evaluation of answers on one screen.

    questions ─► [ answer ─► judge ]×questions ─► keep

Invariants: composition only; nothing is asked of a model unless an address is set; production is
not touched.
"""

from typing import cast

from prefect import flow

from flows.answering import opened_desk
from flows.entries import entry, flow_policy
from flows.run_settings import new_run_id
from flows.settings import NightSettings, Settings
from index_store.clock import system_clock_ms
from tasks.evaluate import answer_question, judge_answer, keep_answers, read_questions
from tasks.stages.evaluation.grid import Evaluation


@flow(**flow_policy("evaluate"))
@entry
def evaluate(settings: NightSettings, version: str | None = None) -> Evaluation:
    """Ask a version every question, and a judge about the answers where one is set.

    Args:
        settings: Store, collection, questions, and the models that answer and judge.
        version: The version, or the beginning of its id; None for production.

    Returns:
        The evaluation, as it is kept beside the version.

    Raises:
        UsageError: There are no questions, or a setting names no model.
        TransientError: The store, the embedder or the language model is out of reach.
    """
    questions = read_questions(settings.evaluation_questions or settings.golden_questions)
    every = cast("Settings", settings)  # the entry hands over all of them
    with opened_desk(every, version) as desk:
        rows = [answer_question(question, desk.answer) for question in questions]
        if desk.judge is not None:
            rows = [judge_answer(row, desk.judge) for row in rows]
    made = Evaluation(
        version=desk.version,
        run=new_run_id(),
        at_ms=system_clock_ms(),
        answered_by=desk.answered_by,
        rows=tuple(rows),
    )
    keep_answers(settings.store, settings.collection, made)
    return made
