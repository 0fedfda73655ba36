"""reStructuredText: headings by underline, lists, tables, directives, marks taken off."""

from pathlib import Path

from tasks.stages.parsing.dispatch import parse_as
from tasks.stages.parsing.elements import ElementKind, ParsedDocument
from tasks.stages.parsing.registry import parser_for
from tasks.stages.parsing.restructured import plain


def _parse(tmp_path: Path, text: str) -> ParsedDocument:
    path = tmp_path / "a.rst"
    path.write_text(text, encoding="utf-8")
    return parse_as(path, parser_for("a.rst"))


def _seen(parsed: ParsedDocument) -> list[tuple[str, int, str]]:
    return [(element.kind.value, element.level, element.text) for element in parsed.elements]


def test_levels_follow_the_order_of_adornments(tmp_path: Path):
    text = "=====\nTitle\n=====\n\nOne\n===\n\ntext\n\nUnder\n-----\n\nTwo\n===\n\n----\n\nend\n"

    assert _seen(_parse(tmp_path, text)) == [
        ("heading", 1, "Title"),
        ("heading", 2, "One"),
        ("paragraph", 0, "text"),
        ("heading", 3, "Under"),
        ("heading", 2, "Two"),
        ("paragraph", 0, "end"),
    ]


def test_lists_fields_code_and_directives(tmp_path: Path):
    text = """
:Author: Ada

* first
  goes on

  * inside
#. numbered

Do this::

    make it
      so

.. note:: Mind the gap.

   It is wide.

.. code-block:: python
   :linenos:

   print(1)

.. unknown-thing:: with words here

   and content of its own

.. image:: picture.png
   :alt: not shown

.. [1] A footnote.
.. a comment
   that goes on
.. _target:

End.
"""
    assert _seen(_parse(tmp_path, text)) == [
        ("paragraph", 0, "Author: Ada"),
        ("list-item", 0, "first goes on"),
        ("list-item", 0, "inside"),
        ("list-item", 0, "numbered"),
        ("paragraph", 0, "Do this:"),
        ("code", 0, "make it\n  so"),
        ("paragraph", 0, "Mind the gap."),
        ("paragraph", 0, "It is wide."),
        ("code", 0, "print(1)"),
        ("paragraph", 0, "with words here"),
        ("paragraph", 0, "and content of its own"),
        ("note", 0, "A footnote."),
        ("paragraph", 0, "End."),
    ]


def test_tables_of_all_kinds_become_rows_with_their_header(tmp_path: Path):
    text = """
====  =====
name  age
====  =====
Ada   36
Max   7 and
      more
====  =====

+------+-----+
| name | age |
+======+=====+
| Ada  | 36  |
|      | now |
+------+-----+

.. list-table:: People

   * - name
     - age
   * - Ada
     - 36

.. csv-table:: Others
   :header: "name", "age"

   "Max, junior", 7

After.
"""
    parsed = _parse(tmp_path, text)
    rows = [(e.text, e.header) for e in parsed.elements if e.kind is ElementKind.TABLE_ROW]

    assert rows == [
        ("name | age", ""),
        ("Ada | 36", "name | age"),
        ("Max | 7 and more", "name | age"),
        ("name | age", ""),
        ("Ada | 36 now", "name | age"),
        ("name | age", ""),
        ("Ada | 36", "name | age"),
        ("name | age", ""),
        ("Max, junior | 7", "name | age"),
    ]
    assert [e.text for e in parsed.elements if e.kind is ElementKind.PARAGRAPH] == [
        "People",
        "Others",
        "After.",
    ]


def test_inline_marks_are_taken_off():
    text = (
        "*a* **b** ``c d`` :ref:`shown <target>` :func:`~os.path` `link <http://x>`_ name_ [1]_ |s|"
    )

    assert plain(text) == "a b c d shown os.path link name s"
    assert plain("2 * 3 * 4, snake_case_name, a\\*b") == "2 * 3 * 4, snake_case_name, a*b"
