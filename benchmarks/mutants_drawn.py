"""Small changes of source files that are not chosen: every place that an operator fits, and a fixed sample of them.

A comparison moves by its border, a sum becomes a difference, a count grows by one, a branch is inverted, two arguments
are swapped, a statement is removed. Whether a place is in the sample depends on its own text alone, so that a change
elsewhere neither adds nor removes it.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr,
}  # fmt: skip
FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any", "sum": "mean", "mean": "sum", "floor": "ceil"}
SYMMETRIC = (
    *("min", "max", "np.minimum", "np.maximum", "np.fmin", "np.hypot"),
    *("isinstance", "getattr", "zip", "map", "filter", "islice"),
)
"""Functions that ignore the order of their arguments, or cannot be called in the other order."""
UNTOUCHED = ("annotation", "returns", "decorator_list", "exc")
SHORT = 48

Node = ast.expr | ast.stmt


class Change(NamedTuple):
    """One change of one file: bytes ``start`` to ``end`` become ``new``."""

    function: str
    start: int
    end: int
    old: str
    new: str


def drawn(path: Path, share: float) -> list[tuple[str, str]]:
    """A fixed sample of the changes of a file: what is changed, and the changed source.

    Args:
        path: The file.
        share: How much of all places is in the sample, in 0..1.
    """
    source, times = path.read_bytes(), Counter[str]()
    sample = []
    for change in changes(source):
        what = f"{change.function}: {_short(change.old)} → {_short(change.new)}"
        times[what] += 1
        name = what if times[what] == 1 else f"{what} ({times[what]})"
        if int.from_bytes(sha256(f"{path.name} {name}".encode()).digest()[:4], "big") < share * 2**32:
            sample.append((name, (source[: change.start] + change.new.encode() + source[change.end :]).decode()))
    return sample


def changes(source: bytes) -> Iterator[Change]:
    """Every change, in the order of the source."""
    lengths = [0]
    for line in source.splitlines(keepends=True):
        lengths.append(lengths[-1] + len(line))
    found = []
    for function, node, new in _places(ast.parse(source), ""):
        start = lengths[node.lineno - 1] + node.col_offset
        end = lengths[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        atom = isinstance(new, ast.stmt | ast.Constant | ast.Name | ast.Call)
        text = ast.unparse(new) if atom else f"({ast.unparse(new)})"
        found.append(Change(function, start, end, source[start:end].decode(), text))
    yield from sorted(found, key=lambda change: (change.start, change.end, change.new))


def _places(tree: ast.AST, function: str) -> Iterator[tuple[str, Node, Node]]:
    """Function, what is replaced, and by what. Messages, annotations and decorators are left alone."""
    for field, value in ast.iter_fields(tree):
        if field in UNTOUCHED or (isinstance(tree, ast.keyword) and tree.arg == "strict"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, ast.JoinedStr):
                continue
            named = isinstance(child, ast.FunctionDef | ast.ClassDef)
            name = f"{function}.{child.name}".lstrip(".") if named else function
            if function or isinstance(child, ast.Constant):
                yield from ((name, old, new) for old, new in _mutated(child))
            yield from _places(child, name)


def _mutated(node: ast.AST) -> Iterator[tuple[Node, Node]]:
    match node:
        case ast.Compare():
            for place, operator in enumerate(node.ops):
                new = deepcopy(node)
                new.ops[place] = COMPARISONS[type(operator)]()
                yield node, new
        case ast.BinOp() if type(node.op) in OPERATORS:
            yield node, ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)
        case ast.BoolOp():
            yield node, ast.BoolOp(ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.values)
        case ast.UnaryOp():
            yield node, node.operand
        case ast.Constant(value=bool()):
            yield node, ast.Constant(not node.value)
        case ast.Constant(value=int()):
            yield node, ast.Constant(node.value + 1)
        case ast.Constant(value=float()):
            yield node, ast.Constant(2 * node.value or 1.0)
        case ast.IfExp():
            yield node, ast.IfExp(node.test, node.orelse, node.body)
        case ast.Call():
            yield from ((node, new) for new in _calls(node))
        case ast.If(test=ast.BoolOp() | ast.Name() | ast.Call()):
            yield node.test, ast.UnaryOp(ast.Not(), node.test)
        case ast.comprehension():
            yield from ((condition, ast.Constant(True)) for condition in node.ifs)
        case ast.AugAssign():
            yield node, ast.Assign([node.target], node.value, lineno=node.lineno)
        case ast.Expr(value=ast.Call()) | ast.Raise():
            yield node, ast.Pass()


def _calls(node: ast.Call) -> Iterator[ast.Call]:
    """Another function of the same form; the first two arguments in the other order."""
    match node.func:
        case ast.Name(id=name) if name in FUNCTIONS and name != "sum":
            yield ast.Call(ast.Name(FUNCTIONS[name]), node.args, node.keywords)
        case ast.Attribute(value=value, attr=name) if name in FUNCTIONS:
            yield ast.Call(ast.Attribute(value, FUNCTIONS[name]), node.args, node.keywords)
    alike = ast.unparse(node.func) in SYMMETRIC or any(isinstance(part, ast.Starred) for part in node.args[:2])
    if len(node.args) > 1 and not alike:
        yield ast.Call(node.func, [node.args[1], node.args[0], *node.args[2:]], node.keywords)


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= SHORT else f"{words[: SHORT - 1]}…"
