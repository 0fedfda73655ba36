import pytest

from retriever.chat.conversation import Asked, ChatRequest, Task, TaskKind, read_chat
from retriever.chat.language import Language, language_of
from retriever.chat.sources import escape_markdown
from retriever.chat.thinking import ThinkingSplitter


def chat(*contents: tuple[str, object], stream: bool = True) -> ChatRequest:
    messages = [{"role": role, "content": content} for role, content in contents]
    return ChatRequest.model_validate({"model": "m", "messages": messages, "stream": stream})


def test_a_question_that_leans_on_the_one_before_is_searched_with_it():
    wanted = read_chat(
        chat(
            ("user", "Quelle est la durée du congé de paternité pour un premier enfant ?"),
            ("assistant", "25 jours."),
            ("user", "et pour le second ?"),
        )
    )
    assert isinstance(wanted, Asked)
    assert wanted.question == "et pour le second ?"
    assert "congé de paternité" in wanted.search_text
    assert len(wanted.history) == 2


def test_a_new_question_is_searched_alone():
    wanted = read_chat(
        chat(
            ("user", "Who builds the shards?"),
            ("user", "Explain how deletion vectors are stored in published versions."),
        )
    )
    assert isinstance(wanted, Asked)
    assert wanted.search_text == wanted.question


def test_parts_are_read_and_pictures_left_out():
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {}}]
    wanted = read_chat(chat(("user", parts)))
    assert isinstance(wanted, Asked)
    assert wanted.question == "What is it?"


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ('"title"', TaskKind.TITLE),
        ('"tags"', TaskKind.TAGS),
        ('"follow_ups"', TaskKind.FOLLOW_UPS),
        ('"queries"', TaskKind.QUERIES),
    ],
)
def test_tasks_are_told_by_what_they_ask_for(key: str, kind: TaskKind):
    prompt = f"### Task:\nGive {{ {key}: … }}\n<chat_history>\nUSER: Why?\n</chat_history>"
    wanted = read_chat(chat(("user", prompt), stream=False))
    assert isinstance(wanted, Task)
    assert (wanted.kind, wanted.subject) == (kind, "Why?")


def test_a_header_names_a_task_at_once():
    wanted = read_chat(chat(("user", "anything")), "tags_generation")
    assert isinstance(wanted, Task)
    assert wanted.kind is TaskKind.TAGS


def test_a_person_may_write_about_tasks():
    wanted = read_chat(chat(("user", "### Task: what does this heading mean?")))
    assert isinstance(wanted, Asked)


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("Quelle est la durée de la période d'essai ?", Language.FRENCH),
        ("How long is the trial period?", Language.ENGLISH),
        ("démission", Language.FRENCH),
        ("SARS-CoV-2", Language.ENGLISH),
    ],
)
def test_language_of_a_question(question: str, language: Language):
    assert language_of(question) is language


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_thinking_is_parted_from_the_answer_wherever_it_is_cut(size: int):
    text = "Hello <think>a < b</think> world <think>more</think>!"
    splitter = ThinkingSplitter()
    parts = [splitter.feed(text[start : start + size]) for start in range(0, len(text), size)]
    parts.append(splitter.end())
    assert "".join(reasoning for reasoning, _ in parts) == "a < bmore"
    assert "".join(answer for _, answer in parts) == "Hello  world !"


def test_a_name_can_neither_be_markup_nor_turn_the_line():
    assert escape_markdown("[x](http://e)\n# big\u202e") == r"\[x\]\(http\://e\) \# big"


def test_an_address_in_a_document_does_not_become_a_link():
    text = "see https://evil.test, www.evil.test or a@evil.test"
    assert escape_markdown(text) == r"see https\://evil.test, www\.evil.test or a\@evil.test"


def test_a_task_about_a_chat_that_holds_a_context_is_one():
    prompt = (
        '### Task:\nGenerate a title as {"title": "..."}.\n### Chat History:\n<chat_history>\n'
        "USER: What is <context>this</context>?\n</chat_history>"
    )
    assert isinstance(read_chat(chat(("user", prompt), stream=False)), Task)
    wrapped = (
        "### Task:\nRespond to the user query.\n<context>\n<chat_history>USER: no</chat_history>\n"
        "</context>\nWhen does the train go?"
    )
    asked = read_chat(chat(("user", wrapped), stream=False))
    assert isinstance(asked, Asked)
    assert asked.question == "When does the train go?"
