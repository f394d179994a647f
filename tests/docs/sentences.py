"""Finds in the code the sentences that it says, so that a page can be held to have a word on each."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.docs.console import ROOT

FEWEST_LETTERS = 10  # what is shorter is an article between two names


def returned_by(file: str, *functions: str) -> set[str]:
    """Return what functions of a file return in words: of each text its longest part that is no name."""
    found = [node for node in ast.walk(_tree(file)) if isinstance(node, ast.FunctionDef)]
    named = [node for node in found if not functions or node.name in functions]
    ends = [node for each in named for node in ast.walk(each) if isinstance(node, ast.Return)]
    return set(_fixed_parts(end.value for end in ends if end.value is not None))


def yielded_by(file: str) -> set[str]:
    """Return what the functions of a file yield in words."""
    ends = [node for node in ast.walk(_tree(file)) if isinstance(node, ast.Yield)]
    return set(_fixed_parts(end.value for end in ends if end.value is not None))


def said_by(file: str, call: str, place: int, *containing: str) -> set[str]:
    """Return what stands in words at one place of each call of a name, where the call contains one of some words."""
    calls = [node for node in ast.walk(_tree(file)) if isinstance(node, ast.Call) and _is_called(node, call)]
    meant = [node for node in calls if not containing or any(each in ast.unparse(node) for each in containing)]
    return set(_fixed_parts(node.args[place] for node in meant))


def assigned_to(file: str, name: str) -> set[str]:
    """Return what is written, in words, into variables of a name."""
    given = [node for node in ast.walk(_tree(file)) if isinstance(node, ast.Assign)]
    return set(_fixed_parts(node.value for node in given if ast.unparse(node.targets[0]) == name))


def _tree(file: str) -> ast.Module:
    return ast.parse((ROOT / "balancer" / file).read_text(encoding="utf-8"))


def _is_called(node: ast.Call, name: str) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id == name


def _fixed_parts(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        for text in _texts(node):
            parts = [
                fixed for part in text for fixed in re.split(r"\{[^}]*\}", part)
            ]  # of a text that is filled in later
            longest = max(parts, key=len).strip(" :;,()")
            if len(longest) >= FEWEST_LETTERS:
                yield longest


def _texts(node: ast.AST) -> Iterator[list[str]]:
    """Yield the fixed parts of each text within an expression."""
    if isinstance(node, ast.JoinedStr):
        yield [str(part.value) for part in node.values if isinstance(part, ast.Constant)] or [""]
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield [node.value]
    else:
        for child in ast.iter_child_nodes(node):
            yield from _texts(child)


def files(*patterns: str) -> list[str]:
    """Return files of the package by pattern."""
    package = ROOT / "balancer"
    return [str(Path(file).relative_to(package)) for pattern in patterns for file in sorted(package.glob(pattern))]
