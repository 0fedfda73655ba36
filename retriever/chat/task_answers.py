"""Answers to Open WebUI's own tasks without a language model; pure.

Invariant: every answer is what the task's reader expects, mostly one JSON object.
"""

import json

from retriever.chat.conversation import Task, TaskKind

TITLE_CHARS = 60


def task_answer(task: Task) -> str:
    """Return a valid answer made from the person's own words."""
    answers: dict[TaskKind, str] = {
        TaskKind.TITLE: _json({"title": _short(task.first) or "Chat"}),
        TaskKind.TAGS: _json({"tags": ["General"]}),
        TaskKind.FOLLOW_UPS: _json({"follow_ups": []}),
        TaskKind.QUERIES: _json({"queries": [task.subject] if task.subject else []}),
        TaskKind.IMAGE_PROMPT: _json({"prompt": task.subject}),
        TaskKind.AUTOCOMPLETE: _json({"text": ""}),
        TaskKind.EMOJI: "💬",
        TaskKind.OTHER: "{}",
    }
    return answers[task.kind]


def _json(value: dict[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _short(text: str) -> str:
    line = " ".join(text.split())
    if len(line) <= TITLE_CHARS:
        return line
    return line[:TITLE_CHARS].rsplit(" ", 1)[0].rstrip(" ,;:") + "…"
