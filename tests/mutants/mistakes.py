"""Small mistakes planted into a module: what a slip of the hand would have written instead."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
}
_SILENT = ("_logger.",)  # statements that no promise is about


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One mistake in one module.

    Attributes:
        module: Name of the module.
        function: Where in it, dotted; empty at the top level.
        line: Line of the mistake, from 1.
        before: What was there.
        after: What is there instead.
        place: Number of the mistake among all of the module, from 0.
    """

    module: str
    function: str
    line: int
    before: str
    after: str
    place: int

    @property
    def name(self) -> str:
        """What it goes by whatever its line."""
        return f"{self.module} {self.function}: {self.before} => {self.after}"


@dataclass(frozen=True, slots=True)
class _Change:
    node: ast.AST
    before: ast.AST
    after: str
    make: Callable[[], None]


def mutants_of(module: str, source: str) -> list[Mutant]:
    """Return every mistake that can be planted into a module, in order of its text."""
    tree = ast.parse(source)
    owners = _functions(tree)
    return [
        Mutant(
            module=module,
            function=owners.get(change.node, ""),
            line=getattr(change.before, "lineno", 0),
            before=_short(ast.unparse(change.before)),
            after=_short(change.after),
            place=place,
        )
        for place, change in enumerate(_changes(tree))
    ]


def mutated(source: str, place: int) -> ast.Module:
    """Return a module with the mistake of that number in it."""
    tree = ast.parse(source)
    for number, change in enumerate(_changes(tree)):
        if number == place:
            change.make()
            return ast.fix_missing_locations(tree)
    raise IndexError(place)


def _short(text: str) -> str:
    return " ".join(text.split())[:120]


def _functions(tree: ast.Module) -> dict[ast.AST, str]:
    owners: dict[ast.AST, str] = {}

    def walk(node: ast.AST, owner: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = owner
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                name = f"{owner}.{child.name}".lstrip(".")
            owners[child] = name
            walk(child, name)

    walk(tree, "")
    return owners


def _changes(tree: ast.Module) -> Iterator[_Change]:
    skipped = set(_annotations(tree))
    for node in ast.walk(tree):
        if node in skipped:
            continue
        yield from _of_expression(node)
        for field in ("body", "orelse", "finalbody"):
            statements = getattr(node, field, None)
            if isinstance(statements, list):
                yield from _of_statements(statements)


def _annotations(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield what is not run: types, and what decorates."""
    for node in ast.walk(tree):
        parts: list[ast.AST | None] = [
            getattr(node, "annotation", None),
            getattr(node, "returns", None),
        ]
        parts += getattr(node, "decorator_list", [])
        for part in parts:
            if isinstance(part, ast.AST):
                yield from ast.walk(part)


def _of_expression(node: ast.AST) -> Iterator[_Change]:
    match node:
        case ast.Compare():
            for number, operator in enumerate(node.ops):
                other = COMPARISONS[type(operator)]()
                yield _swap(node, "ops", [*node.ops[:number], other, *node.ops[number + 1 :]])
        case ast.BoolOp():
            yield _swap(node, "op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
        case ast.BinOp() if type(node.op) in ARITHMETIC:
            yield _swap(node, "op", ARITHMETIC[type(node.op)]())
        case ast.Constant(value=bool() as value):
            yield _swap(node, "value", not value)
        case ast.Constant(value=int() | float() as value):
            yield _swap(node, "value", value + 1)
        case ast.If() | ast.IfExp() | ast.While():
            yield from _of_condition(node)
        case ast.Return(value=ast.expr()) if ast.unparse(node.value) != "None":
            yield _swap(node, "value", ast.Constant(value=None))


def _of_condition(node: ast.If | ast.IfExp | ast.While) -> Iterator[_Change]:
    """Turn a condition round; comparisons and their combinations have mistakes of their own."""
    if isinstance(node.test, ast.Name | ast.Attribute | ast.Call):
        wrong = ast.UnaryOp(op=ast.Not(), operand=node.test)
    elif isinstance(node.test, ast.UnaryOp):
        wrong = node.test.operand
    else:
        return
    yield _Change(node, node.test, ast.unparse(wrong), lambda: setattr(node, "test", wrong))


def _swap(node: ast.AST, field: str, value: object) -> _Change:
    old = getattr(node, field)
    setattr(node, field, value)
    after = ast.unparse(node)
    setattr(node, field, old)
    return _Change(node, node, after, lambda: setattr(node, field, value))


def _of_statements(statements: list[ast.stmt]) -> Iterator[_Change]:
    for number, statement in enumerate(statements):
        if not _has_effect(statement):
            continue

        def remove(number: int = number) -> None:
            statements[number] = ast.Pass()

        yield _Change(statement, statement, "pass", remove)


def _has_effect(statement: ast.stmt) -> bool:
    """Tell whether a statement can be left out without an obvious error of a missing name."""
    match statement:
        case ast.Expr(value=ast.Call()):
            return not ast.unparse(statement).startswith(_SILENT)
        case ast.AugAssign() | ast.Raise() | ast.Continue() | ast.Break() | ast.Delete():
            return True
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            return True
    return False
