"""Planted mistakes: each is one change, of the right place, and leaves a module that compiles."""

import ast

import pytest

from tests.mutants.mistakes import mutants_of, mutated

SOURCE = '''
"""A module."""
LIMIT: int = 3


class Shelf:
    def put(self, items: list[int], name: str = "x") -> bool:
        _logger.info("not a promise")
        if not items or len(items) > LIMIT:
            raise ValueError(name)
        self.items = items
        items.append(1 + 2)
        return True
'''


def test_every_mistake_is_one_change_that_compiles():
    whole = ast.unparse(ast.parse(SOURCE))
    mutants = mutants_of("shelf", SOURCE)
    texts = {ast.unparse(mutated(SOURCE, mutant.place)) for mutant in mutants}
    assert len(texts) == len(mutants)
    assert whole not in texts
    for text in texts:
        compile(text, "shelf", "exec")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("3", "4"),
        ("not items or len(items) > LIMIT", "not items and len(items) > LIMIT"),
        ("len(items) > LIMIT", "len(items) >= LIMIT"),
        ("raise ValueError(name)", "pass"),
        ("self.items = items", "pass"),
        ("items.append(1 + 2)", "pass"),
        ("1 + 2", "1 - 2"),
        ("return True", "return None"),
        ("True", "False"),
    ],
)
def test_what_is_planted(before: str, after: str):
    made = [
        each for each in mutants_of("shelf", SOURCE) if (each.before, each.after) == (before, after)
    ]
    assert len(made) == 1
    assert made[0].name == f"shelf {made[0].function}: {before} => {after}"


def test_messages_of_the_log_and_types_are_left_alone():
    befores = {mutant.before for mutant in mutants_of("shelf", SOURCE)}
    assert not [text for text in befores if "_logger" in text or "list[int]" in text]
