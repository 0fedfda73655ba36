"""The audit log of a running service, and that the replay of questions reads it."""

import json
from pathlib import Path

import pytest

from index_store.errors import UsageError
from retriever.audit import AuditLog, AuditOptions
from retriever.options import RetrieverOptions
from tasks.stages.gating.replay import AskedQuestion, read_questions
from tests.retriever.conftest import Serve, Until
from tests.retriever.publishing import Publisher

TRAIN = "The night train to the observatory leaves at eleven."
CHAT = {"model": "docs", "messages": [{"role": "user", "content": TRAIN}]}
DOORS = [
    ("/v1/search", {"query": TRAIN}),
    ("/v1/chat/completions", CHAT),
    ("/v1/rag/query", {"query": TRAIN}),
    ("/tools/search", {"query": TRAIN}),
    ("/v1/web-search", {"query": TRAIN}),
]


@pytest.mark.parametrize("questions", [False, True])
def test_every_door_leaves_one_line_with_the_question_only_if_set(
    publisher: Publisher, serve: Serve, until: Until, tmp_path: Path, questions: bool
):
    path = tmp_path / "audit.jsonl"
    version = publisher.publish("docs", {"en/train.txt": [TRAIN]})
    audit = AuditOptions(path=str(path), questions=questions)
    options = RetrieverOptions(store=publisher.url, poll_s=0.02, retry_s=0.02, audit=audit)
    with serve(options) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        for door, body in DOORS:
            assert client.post(door, json=body).status_code == 200
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == len(DOORS)
    assert {(line["key"], line["collection"], line["version"]) for line in lines} == {
        ("anybody", "docs", version)
    }
    assert all(line["documents"] == ["en/train.txt"] for line in lines)
    assert (TRAIN in path.read_text()) is questions
    assert path.stat().st_mode & 0o777 == 0o600
    asked = (AskedQuestion(text=TRAIN, groups=frozenset()),) if questions else ()
    assert read_questions(str(path), last=10) == asked


def test_a_log_that_cannot_be_written_is_refused_at_the_start(tmp_path: Path):
    options = AuditOptions(path=str(tmp_path / "missing" / "audit.jsonl"))
    with pytest.raises(UsageError, match=r"setting 'audit_log'.*cannot be written"):
        AuditLog(options)
