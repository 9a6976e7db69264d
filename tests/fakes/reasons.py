"""Every reason that the code of the mesh can give, read from its source, so that a new one is noticed."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.fakes.upstream import every_mesh_error

MESH = Path(__file__).parents[2] / "mesh"
WORD = re.compile(r"[a-z]+(_[a-z]+)*")
SEVERAL = re.compile(r"[a-z]+(_[a-z]+)+")
DECIDING = ("layers", "decide")
"""Where any such word is a reason: functions give it back, tables hold it."""


@cache
def outcomes() -> frozenset[str]:
    """What an attempt that fails without an answer can end in: `reason` of the errors."""
    errors = {cls.__name__ for cls in every_mesh_error()}
    given = {word for node in _nodes(MESH) for word in _keyword(node) if _called(node) in errors}
    return frozenset(given | {word for node in _nodes(MESH / "errors.py") for word in _assigned(node)})


@cache
def reasons() -> frozenset[str]:
    """Outcomes, and why something was done or left: every reason that is a word. Texts speak for themselves."""
    found = {word for node in _nodes(MESH) for word in (*_keyword(node), *_assigned(node))}
    for folder in DECIDING:
        found |= {word for node in _nodes(MESH / folder) for word in _constants(node) if SEVERAL.fullmatch(word)}
    fields = {word for node in _nodes(MESH) for word in _assigned(node, "__slots__")}
    return frozenset(found - fields | outcomes())


def _nodes(place: Path) -> Iterator[ast.AST]:
    for file in [place] if place.is_file() else sorted(place.rglob("*.py")):
        if "wire" not in file.parts:
            yield from ast.walk(ast.parse(file.read_text(encoding="utf-8")))


def _called(node: ast.AST) -> str:
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def _keyword(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call):
        for keyword in node.keywords:
            if keyword.arg == "reason":
                yield from _words(keyword.value)


def _assigned(node: ast.AST, name: str = "reason") -> Iterator[str]:
    if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets):
        yield from _words(node.value)


def _words(node: ast.AST) -> Iterator[str]:
    yield from (word for inner in ast.walk(node) for word in _constants(inner) if WORD.fullmatch(word))


def _constants(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
